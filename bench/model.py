"""The model beside the best possible, beside plain baselines, on slices and under faults; its costs.

The limit is the noise floor: the best that any model could do with these sensors, from the exact posterior of what they
hide. Baselines on the same rows are the formula of physics alone, a ridge on physics features, and boosted trees out of
the box. A call is timed beside the same trees with nothing around them.
"""

import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from _baselines import predictions
from _latency import single_row
from _report import Figure, options, report
from brakeline_validate import faults, limit, slices
from brakeline_validate.candidate import UPPER, Candidate
from stepkit import artifacts, tables

LATENCY_ROUNDS, SHARDS = 5, 2
BASELINE_ROWS = 400_000


@dataclass(frozen=True)
class Size:
    """How many models are made of how many rows, and what they are asked."""

    seeds: int
    rows: int
    holdout_rows: int
    floor_rows: int
    faulty_rows: int
    trials: int
    least_slice_rows: int


FULL = Size(3, 1_000_000, 200_000, 20_000, 100_000, 8, 4_000)
QUICK = Size(2, 20_000, 15_000, 500, 15_000, 1, 1_000)
BIN = Path(sys.executable).parent
RECORDED = Path(__file__).parents[1] / "tests" / "data" / "recorded_stops.csv"


def main() -> None:
    """Train on fresh data with each seed; all are asked about one holdout, whose floor is known."""
    parser = options(__doc__)
    parser.add_argument("--rows", type=int, metavar="N", help="rows to learn from (1,000,000; quick: 20,000)")
    chosen = parser.parse_args()
    size = QUICK if chosen.quick else FULL
    size = replace(size, rows=chosen.rows or size.rows)
    with tempfile.TemporaryDirectory() as name:
        at = Path(name)
        _synthesize(at / "asked", size, 1_000, size.seeds)
        _step(at / "asked", "synthesize", "floor --holdout holdout --floor floor --rows", size.floor_rows)
        times = [_train(at / f"seed{seed}", size, seed) for seed in range(size.seeds)]
        models = [Candidate.load(at / f"seed{seed}" / "model") for seed in range(size.seeds)]
        figures = _accuracy(at, models) + _slices(at / "asked", models, size.least_slice_rows)
        figures += _faults(at / "asked", models) + _costs(at, times) + _latency(at)
    report("model", figures, chosen=chosen)


def _accuracy(at: Path, models: list[Candidate]) -> list[Figure]:
    """Each model beside the floor, and the baselines of the first seed's data beside it."""
    table, inputs, distance = _read(at / "asked" / "holdout")
    floor = limit.Floor.read(at / "asked" / "floor", distance)
    surface = table["surface"].to_numpy().astype(str)
    found = [limit.beside(floor, distance, model.ask(inputs), surface) for model in models]
    figures = []
    for name in found[0]:
        aim = ">= 0.98" if name == "all" else None
        figures.append(Figure(f"efficiency, {name}", [each[name].efficiency for each in found], "floor/model MAE", aim))
    for name in found[0]:
        figures.append(Figure(f"bound / ideal bound, {name}", [each[name].width_ratio for each in found], "ratio"))
    missed = [each["all"].limit_missed_share for each in found[:1]]
    figures.append(Figure("ideal bound missed", missed, "share"))
    _, seen, stops = _read(at / "seed0" / "dataset", BASELINE_ROWS)
    asked = predictions(models[0].contract, seen, stops, inputs[floor.row], 0)
    truth = distance[floor.row]
    best = float(np.abs(truth - floor.median_m).mean())
    for name, predicted in asked.items():
        value = best / float(np.abs(truth - predicted).mean())
        figures.append(Figure(f"baseline's efficiency: {name}", [value], "floor/model MAE"))
    return figures


def _slices(asked: Path, models: list[Candidate], least_rows: int) -> list[Figure]:
    """How often the bound is missed on rows without a fault, on every observable slice."""
    table, inputs, distance = _read(asked / "holdout")
    usual = (table["fault"] == faults.NONE).to_numpy()
    parts = [("all", usual)]
    parts += [(name, rows & usual) for name, rows in slices.observable(inputs, models[0].contract)]
    missed = [distance > model.ask(inputs)[UPPER] for model in models]
    shares = {
        name: [float(each[rows].mean()) for each in missed] for name, rows in parts if rows.sum() >= least_rows
    }
    # The aim is 1 % within half a point, so its two sides are one figure: how far from 1 %.
    return [
        Figure(f"coverage off 99 %, {name}", [abs(share - 0.01) for share in of_seed], "share", "<= 0.005")
        for name, of_seed in shares.items()
    ]


def _faults(asked: Path, models: list[Candidate]) -> list[Figure]:
    """Under each fault: the bound missed on usual roads, which the gate's limit is of, and the error's growth."""
    found = [faults.examine(model, asked / "faulty") for model in models]
    figures = []
    for name in sorted(set(found[0]) - {faults.NONE}):
        of_fault = [each[name] for each in found]
        if min(each.score.rows for each in of_fault) < faults.LEAST_ROWS:
            continue
        shares = [each.on_usual_roads.value for each in of_fault]
        figures.append(Figure(f"bound missed under {name}", shares, "share", f"<= {of_fault[0].limit:g}"))
        grown = [each[name].score.relative_error / each[faults.NONE].score.relative_error for each in found]
        figures.append(Figure(f"error's growth under {name}", grown, "ratio of relative error"))
    return figures


def _costs(at: Path, times: list[dict[str, float]]) -> list[Figure]:
    files = [at / f"seed{seed}" / "model" for seed in range(len(times))]
    reports = [artifacts.read_json(folder / "trials.json") for folder in files]
    return [
        Figure("search and refinement / fit", [(t["search"] + t["refine"]) / t["fit"] for t in times], "ratio of time"),
        Figure("fit", [t["fit"] for t in times], "s"),
        Figure("gain of search over defaults", [_gain(told) for told in reports], "share of pinball loss"),
        Figure("size", [(folder / "model.onnx").stat().st_size / 1e6 for folder in files], "MB", "<= 4"),
    ]


def _gain(told: dict[str, Any]) -> float:
    return float(told["summary"]["gain"] or 0.0)


def _latency(at: Path) -> list[Figure]:
    _, inputs, _ = _read(at / "asked" / "holdout", 1_000)
    model = at / "seed0" / "model"
    names = list(Candidate.load(model).contract.names)
    rounds = [single_row(model / "model.onnx", inputs, names) for _ in range(LATENCY_ROUNDS)]

    def ratio(over: str, under: str = "bare", less: str | None = None) -> list[float]:
        return [(each[over] - (each[less] if less else 0.0)) / each[under] for each in rounds]

    beside = "single row, bound inputs, / bare ensembles"
    return [
        Figure(f"{beside}: the model", ratio("model"), "ratio of p50", "<= 1.5"),
        Figure(f"{beside}: an empty call", ratio("nothing"), "ratio of p50"),
        Figure(f"{beside}: gathering the named inputs", ratio("gathering", less="nothing"), "ratio of p50"),
        Figure(f"{beside}: all but gathering and trees", ratio("model", less="gathered"), "ratio of p50"),
        Figure("single row, inputs as a dict: model / bare", ratio("model, fed", "bare, fed"), "ratio of p50"),
        Figure("bare ensembles, single row", [each["bare"] for each in rounds], "µs"),
    ]


def _train(at: Path, size: Size, seed: int) -> dict[str, float]:
    """Data, search in two rungs of two shards side by side, fit; seconds by part."""
    _synthesize(at, size, size.rows, seed)
    shards = range(SHARDS)
    took, start = {}, time.perf_counter()
    _together(
        at,
        *(
            f"search --dataset dataset --results s{n} --trials {size.trials} --shard {n}/{SHARDS} --seed {seed}"
            for n in shards
        ),
    )
    took["search"], start = time.perf_counter() - start, time.perf_counter()
    scored = " ".join(f"--scored s{n}" for n in shards)
    _together(
        at,
        *(f"refine --dataset dataset {scored} --results r{n} --shard {n}/{SHARDS} --seed {seed}" for n in shards),
    )
    took["refine"], start = time.perf_counter() - start, time.perf_counter()
    results = " ".join(f"--results r{n}" for n in shards)
    _together(at, f"fit --dataset dataset {results} --model model --seed {seed}")
    return took | {"fit": time.perf_counter() - start}


def _together(at: Path, *lines: str) -> None:
    steps = [
        subprocess.Popen([BIN / "brakeline-train", *line.split()], cwd=at, stdout=subprocess.DEVNULL) for line in lines
    ]
    if any([step.wait() for step in steps]):  # noqa: C419  all are waited for
        raise SystemExit(f"brakeline-train {lines[0].split()[0]} failed")


def _synthesize(at: Path, size: Size, rows: int, seed: int) -> None:
    at.mkdir()
    sizes = f"--rows {rows} --holdout-rows {size.holdout_rows} --faulty-rows {size.faulty_rows} --seed {seed}"
    _step(at, "synthesize", f"generate --part part {sizes}")
    sets = "--dataset dataset --holdout holdout --faulty faulty --rejects rejects"
    _step(at, "synthesize", f"assemble --parts part {sets} --recorded", RECORDED)


def _step(at: Path, step: str, words: str, *more: object) -> None:
    done = subprocess.run(
        [BIN / f"brakeline-{step}", *words.split(), *map(str, more)],
        cwd=at,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr)


def _read(folder: Path, most: int | None = None) -> tuple[pl.DataFrame, np.ndarray, np.ndarray]:
    table, contract = tables.read_table(folder)
    table = table.head(most) if most else table
    inputs = np.ascontiguousarray(table.select(contract.names).to_numpy().astype(np.float32))
    return table, inputs, table[contract.target.name].to_numpy().astype(np.float64)


main()
