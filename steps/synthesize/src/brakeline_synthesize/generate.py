"""Generate: blocks of drives, each from a seed of its own, so that any division into shards gives the same rows."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from stepkit import diary, tables
from stepkit.errors import UsageError

from brakeline_synthesize import drives, faults, sensors, surfaces
from brakeline_synthesize.contract import CONTRACT
from brakeline_synthesize.physics import stopping_distance_m
from brakeline_synthesize.scenario import Scenario

BLOCK_ROWS = 50_000
_BLOCK_DRIVES = BLOCK_ROWS // drives.SNAPSHOTS_PER_DRIVE
# Seeds of the sets never meet: the set's number is part of every block's seed. In `faulty` every drive has a fault.
SETS = ("dataset", "holdout", "faulty")
SCENARIO_KEY, ROWS_KEY, SEED_KEY = "brakeline.scenario", "brakeline.rows", "brakeline.seed"


@dataclass(frozen=True)
class Shard:
    """The part `index` of `count` equal parts of the work."""

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Parse `0/2`. Raises UsageError."""
        index, _, count = text.partition("/")
        if not (index.isdigit() and count.isdigit() and int(index) < int(count)):
            raise UsageError(f"--shard: found {text!r}, allowed i/n with 0 <= i < n")
        return cls(int(index), int(count))

    def of(self, blocks: int) -> range:
        """The blocks of this shard: a contiguous run."""
        return range(self.index * blocks // self.count, (self.index + 1) * blocks // self.count)


@dataclass(frozen=True)
class Call:
    """What is to be made, whatever the number of shards: scenario, rows by set, seed."""

    scenario: Scenario
    rows: dict[str, int]
    seed: int

    def stamp(self, name: str) -> dict[str, str]:
        """What every file of a set carries, so that blocks of different calls cannot be mixed up."""
        return {SCENARIO_KEY: self.scenario.to_json(), ROWS_KEY: str(self.rows[name]), SEED_KEY: str(self.seed)}


def write_shard(part: Path, call: Call, shard: Shard) -> dict[str, int]:
    """Write this shard's blocks of every set below `part`, on all cores; returns the rows written by set."""
    work = [(name, block) for name in SETS for block in shard.of(block_count(call.rows[name]))]
    written = dict.fromkeys(SETS, 0)
    for name in SETS:
        (part / name).mkdir(parents=True)

    def write(name: str, block: int) -> tuple[str, int]:
        frame = make_block(call, name, block)
        tables.write_part(part / name / f"block-{block:08d}.parquet", frame, CONTRACT, call.stamp(name))
        return name, frame.height

    # A thread each: numpy and polars let go of the interpreter while they work on a block.
    with diary.progress("synthesize", len(work)) as advance, _pool() as pool:
        for done in as_completed([pool.submit(write, *entry) for entry in work]):
            name, rows = done.result()
            written[name] += rows
            advance()
    return written


def block_count(rows: int) -> int:
    """How many blocks hold `rows` rows."""
    return -(-rows // BLOCK_ROWS)


def make_block(call: Call, name: str, block: int) -> pl.DataFrame:
    """The rows of one block of a set as the contract orders them; the last block is cut to the total."""
    rng = np.random.default_rng(np.random.SeedSequence(call.seed, spawn_key=(SETS.index(name), block)))
    rows = min(BLOCK_ROWS, call.rows[name] - block * BLOCK_ROWS)
    wanted, first = min(_BLOCK_DRIVES, -(-rows // drives.SNAPSHOTS_PER_DRIVE)), block * _BLOCK_DRIVES
    seen = drives.sample(rng, call.scenario, first, wanted)
    if name == "faulty":
        chosen = faults.one_after_another(rng, first, wanted)
    else:
        chosen = faults.choose(rng, wanted, call.scenario.faults)
    readings, fault = sensors.observe(rng, seen, call.scenario.friction_missing, chosen)
    columns = {name: values.astype(np.float32) for name, values in readings.items()}
    truths = {
        "surface": _names(surfaces.NAMES, seen.surface),
        "source": pl.repeat("synthetic", seen.drive.size, dtype=pl.String, eager=True),
        "fault": _names((*faults.NAMES, faults.NONE), fault),
    }
    frame = pl.DataFrame(
        columns
        | {CONTRACT.target.name: stopping_distance_m(seen.stop).astype(np.float32), CONTRACT.group: seen.drive}
        | {name: truths[name] for name in CONTRACT.truths}
    )
    return frame.head(rows)


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0))


def _names(names: tuple[str, ...], index: np.ndarray) -> pl.Series:
    """Names by their places; -1 is the last one."""
    return pl.Series(np.array(names, dtype=object)[index], dtype=pl.String)


@contextmanager
def _pool() -> Iterator[ThreadPoolExecutor]:
    """A thread per usable core. After a failure nothing that has not begun is begun."""
    pool = ThreadPoolExecutor(max_workers=cores())
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
