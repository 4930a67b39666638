"""Rows per second of synthesis beside two plain ways of making the same rows, its cores, memory, and growth.

The peers compute the same physics, checked row by row: a loop over rows with the standard library's random numbers,
and textbook numpy over all rows at once. Growth is held to the linear limit, memory to a bound that no number of rows
moves.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from _peers import all_at_once, distance_m, row_by_row, textbook_distance_m
from _report import Figure, options, report
from brakeline_synthesize import drives, generate, physics
from brakeline_synthesize import scenario as scenarios
from brakeline_synthesize.contract import CONTRACT
from stepkit import tables

MOST_MB = 1_500  # at the greatest size of a full run, which is what the step promises


@dataclass(frozen=True)
class Size:
    """How much is measured; `grown` are the rows of whole runs, each compared with the first."""

    rounds: int
    peer_rows: int
    loop_rows: int
    shard_rows: int
    grown: tuple[int, ...]


FULL = Size(3, 500_000, 5_000, 4_000_000, (1_000_000, 4_000_000, 16_000_000, 50_000_000))
QUICK = Size(2, 100_000, 1_000, 500_000, (250_000, 1_000_000))
BIN = Path(sys.executable).parent
RECORDED = Path(__file__).parents[1] / "tests" / "data" / "recorded_stops.csv"


def main() -> None:
    """Interleave rounds; growth is measured on whole runs of the step, in processes of their own."""
    chosen = options(__doc__).parse_args()
    size = QUICK if chosen.quick else FULL
    # First, while this process is small: a child's peak counts what it was forked from.
    growth, scenario = _growth(size.grown, FULL.grown[-1]), scenarios.load("default")
    ours, over_loop, over_numpy, by_core = [], [], [], []
    for seed in range(size.rounds):
        with tempfile.TemporaryDirectory() as folder:
            at, rows, few = Path(folder), size.peer_rows, size.loop_rows
            one = rows / _timed(lambda: _one_core(scenario, rows, seed, at))  # noqa: B023
            plain = rows / _timed(lambda: all_at_once(scenario, rows, seed, at / "numpy"))  # noqa: B023
            loop = few / _timed(lambda: row_by_row(scenario, few, seed, at / "loop"))  # noqa: B023
            shards = {n: _generated(at / f"cores{n}", size.shard_rows, cores=n)[0] for n in (1, generate.cores())}
        ours.append(one)
        over_loop.append(one / loop)
        over_numpy.append(one / plain)
        by_core.append(shards[1] / shards[generate.cores()] / generate.cores())
    figures = [
        Figure("rows of one core", ours, "rows/s"),
        Figure("one core / loop over rows", over_loop, "ratio of rows/s", ">= 50"),
        Figure("one core / plain numpy", over_numpy, "ratio of rows/s", ">= 1"),
        Figure("all cores / one core, per core", by_core, "ratio of rows/s", ">= 0.8"),
        Figure("distances beside both peers, greatest difference", [_differences(scenario)], "share", "<= 1e-12"),
        *growth,
    ]
    report("data", figures, chosen=chosen)


def _one_core(scenario: scenarios.Scenario, rows: int, seed: int, folder: Path) -> None:
    """The step's own blocks, one after another, as the step writes them."""
    call = generate.Call(scenario, dict.fromkeys(generate.SETS, 0) | {"dataset": rows}, seed)
    for block in range(generate.block_count(rows)):
        frame = generate.make_block(call, "dataset", block)
        tables.write_part(folder / f"{block}.parquet", frame, CONTRACT, call.stamp("dataset"))


def _differences(scenario: scenarios.Scenario) -> float:
    """That the peers do the same work: worst relative difference of distances on the same stops."""
    stop = drives.sample(np.random.default_rng(0), scenario, 0, 1_000).stop
    ours = physics.stopping_distance_m(stop)
    single = [
        distance_m(SimpleNamespace(**{name: float(v[row]) for name, v in vars(stop).items()}))
        for row in range(ours.size)
    ]
    return float(max(np.max(np.abs(peer / ours - 1.0)) for peer in (np.array(single), textbook_distance_m(stop))))


def _growth(grown: tuple[int, ...], most_rows: int) -> list[Figure]:
    """Time and peak memory of generate and assemble, from the least rows to the most."""
    seconds: dict[str, list[float]] = {"generate": [], "assemble": []}
    peaks: dict[str, list[float]] = {"generate": [], "assemble": []}
    for rows in grown:
        with tempfile.TemporaryDirectory() as name:
            made = _generated(Path(name) / "part", rows)
            words = ["--parts", "part", "--dataset", "d", "--holdout", "h", "--faulty", "f", "--rejects", "r"]
            assembled = _run(Path(name), "assemble", *words, "--recorded", str(RECORDED))
            for verb, found in (("generate", made), ("assemble", assembled)):
                seconds[verb].append(found[0] / rows)
                peaks[verb].append(found[1])
    figures = []
    for verb in seconds:
        for at, rows in enumerate(grown[1:], 1):
            many = f"{verb}, {rows / 1e6:g} M rows / {grown[0] / 1e6:g} M rows"
            figures.append(Figure(f"{many}: time per row", [seconds[verb][at] / seconds[verb][0]], "ratio", "<= 1.1"))
            figures.append(Figure(f"{many}: peak memory", [peaks[verb][at] / peaks[verb][0]], "ratio", "<= 1.5"))
        aim = f"<= {MOST_MB}" if grown[-1] == most_rows else None
        figures.append(Figure(f"{verb}: peak memory at {grown[-1] / 1e6:g} M rows", peaks[verb][-1:], "MB", aim))
    return figures


def _generated(part: Path, rows: int, cores: int | None = None) -> tuple[float, float]:
    part.parent.mkdir(exist_ok=True)
    words = ("--part", part.name, "--rows", str(rows), "--holdout-rows", "1000", "--faulty-rows", "1000")
    return _run(part.parent, "generate", *words, cores=cores)


def _run(at: Path, *words: str, cores: int | None = None) -> tuple[float, float]:
    """Seconds and peak memory [MB] of one call of the step, on the first `cores` cores."""
    # A child inherits the cores that its parent may use.
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(allowed)[:cores])
    start = time.perf_counter()
    step = subprocess.Popen(
        [BIN / "brakeline-synthesize", *words],
        cwd=at,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.sched_setaffinity(0, allowed)
    _, status, usage = os.wait4(step.pid, 0)
    step.returncode = os.waitstatus_to_exitcode(status)
    if step.returncode:
        raise SystemExit(f"brakeline-synthesize {' '.join(words)}: exit status {step.returncode}")
    return time.perf_counter() - start, usage.ru_maxrss / 1000


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


main()
