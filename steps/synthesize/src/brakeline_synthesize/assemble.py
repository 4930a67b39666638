"""Assemble: shards in any number and order become one table of each set, in one canonical order."""

from pathlib import Path

import polars as pl
from stepkit import diary, tables
from stepkit.errors import ContractViolation

from brakeline_synthesize.contract import CONTRACT
from brakeline_synthesize.generate import ROWS_KEY, SCENARIO_KEY, SEED_KEY, SETS, block_count

BLOCKS_PER_PART = 20


def assemble(parts: list[Path], recorded: pl.DataFrame, targets: dict[str, Path]) -> dict[str, int]:
    """Write each set's blocks as a folder of Parquet files, recorded stops after the dataset's own rows.

    One file's rows are in memory at a time. Raises ContractViolation when blocks are missing, doubled, or of another
    call. Returns rows by set.
    """
    written = dict.fromkeys(SETS, 0)
    for name in SETS:
        files, stamp = _complete(parts, name)
        targets[name].mkdir(parents=True)
        starts = range(0, len(files), BLOCKS_PER_PART)
        with diary.progress(f"assemble {name}", len(files)) as advance:
            for number, start in enumerate(starts):
                chosen = files[start : start + BLOCKS_PER_PART]
                frame = pl.concat([tables.read_table(file)[0] for file in chosen])
                if name == "dataset" and number == len(starts) - 1:
                    frame = pl.concat([frame, recorded])
                tables.write_part(targets[name] / f"part-{number:06d}.parquet", frame, CONTRACT, stamp)
                written[name] += frame.height
                advance(len(chosen))
    return written


def _complete(parts: list[Path], name: str) -> tuple[list[Path], dict[str, str]]:
    """All blocks of a set in order, once each, and what they are stamped with. Raises ContractViolation."""
    found: dict[int, Path] = {}
    stamps: dict[str, set[str]] = {SCENARIO_KEY: set(), ROWS_KEY: set(), SEED_KEY: set()}
    for part in parts:
        for file in sorted((part / name).glob("block-*.parquet")):
            block = int(file.stem.removeprefix("block-"))
            if block in found:
                raise ContractViolation(file, f"block {block} of {name}", f"also in {found[block]}", "once")
            found[block] = file
            metadata = tables.read_metadata(file)
            for key, values in stamps.items():
                values.add(metadata.get(key, ""))
    for key, values in stamps.items():
        if len(values) != 1:
            raise ContractViolation(parts[0], f"{key} of {name}'s blocks", f"{len(values)} values", "one call's blocks")
    stamp = {key: values.pop() for key, values in stamps.items()}
    wanted = block_count(int(stamp[ROWS_KEY]))
    missing = [block for block in range(wanted) if block not in found]
    if missing:
        raise ContractViolation(parts[0], f"blocks of {name}", f"{missing[:5]} missing", f"0 to {wanted - 1}")
    return [found[block] for block in sorted(found)], {key: stamp[key] for key in (SCENARIO_KEY, SEED_KEY)}
