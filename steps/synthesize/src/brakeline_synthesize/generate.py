"""Generate: blocks of drives, each from a seed of its own, so that any division into shards gives the same rows."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from stepkit import diary, tables
from stepkit.errors import UsageError

from brakeline_synthesize import drives, sensors
from brakeline_synthesize.contract import CONTRACT
from brakeline_synthesize.physics import stopping_distance_m

BLOCK_ROWS = 50_000
_BLOCK_DRIVES = BLOCK_ROWS // drives.SNAPSHOTS_PER_DRIVE
# Seeds of the two sets never meet: the set's number is part of every block's seed.
SETS = ("dataset", "holdout")


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


def write_shard(part: Path, rows: dict[str, int], shard: Shard, seed: int) -> dict[str, int]:
    """Write this shard's blocks of every set below `part`; returns the rows written by set."""
    work = {name: shard.of(block_count(rows[name])) for name in SETS}
    written = dict.fromkeys(SETS, 0)
    with diary.progress("synthesize", sum(len(blocks) for blocks in work.values())) as advance:
        for name, blocks in work.items():
            folder = part / name
            folder.mkdir(parents=True)
            for block in blocks:
                frame = make_block(SETS.index(name), block, seed, rows[name])
                stamp = {"brakeline.rows": str(rows[name]), "brakeline.seed": str(seed)}
                tables.write_part(folder / f"block-{block:08d}.parquet", frame, CONTRACT, stamp)
                written[name] += frame.height
                advance()
    return written


def block_count(rows: int) -> int:
    """How many blocks hold `rows` rows."""
    return -(-rows // BLOCK_ROWS)


def make_block(set_number: int, block: int, seed: int, total_rows: int) -> pl.DataFrame:
    """The rows of one block as the contract orders them; the last block is cut to the total."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(set_number, block)))
    rows = min(BLOCK_ROWS, total_rows - block * BLOCK_ROWS)
    wanted_drives = min(_BLOCK_DRIVES, -(-rows // drives.SNAPSHOTS_PER_DRIVE))
    seen = drives.sample(rng, block * _BLOCK_DRIVES, wanted_drives)
    readings = sensors.observe(rng, seen)
    columns: dict[str, pl.Series] = {
        name: pl.Series(name, values.astype(np.float32)) for name, values in readings.items()
    }
    distance = stopping_distance_m(seen.stop).astype(np.float32)
    columns[CONTRACT.target.name] = pl.Series(CONTRACT.target.name, distance)
    columns[CONTRACT.group] = pl.Series(CONTRACT.group, seen.drive)
    surfaces = [drives.SURFACES[kind] for kind in seen.surface]
    truths: dict[str, Callable[[], pl.Series]] = {
        "surface": lambda: pl.Series("surface", surfaces, dtype=pl.String),
        "source": lambda: pl.Series("source", ["synthetic"] * len(surfaces), dtype=pl.String),
    }
    columns |= {name: truths[name]() for name in CONTRACT.truths}
    return pl.DataFrame(columns).head(rows)
