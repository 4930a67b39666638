"""Every verb that reads a table refuses each kind of broken one, says why, and writes nothing."""

import json
from pathlib import Path

import polars as pl
import pytest

from tests.conftest import Chain, command
from tests.steps.verbs import VERBS, Verb

reads_a_table = pytest.mark.parametrize("verb", [verb for verb in VERBS if verb.table], ids=lambda verb: verb.name)

BAD_TABLES = {
    "not Parquet": "Parquet",
    "truncated": "Parquet",
    "no contract": "contract",
    "contract of version 99": "99",
    "a column missing": "friction_estimate",
    "a column of another type": "Float64",
    "NaN where none may be": "NaN",
    "out of range": "999",
    "no rows": "at least 1",
    "a distance below 0": "stopping_distance_m",
    "an empty folder": "no .parquet file",
}


@reads_a_table
@pytest.mark.parametrize("fault", BAD_TABLES)
def test_bad_tables_end_with_65(verb: Verb, fault: str, tiny: Chain, tmp_path: Path) -> None:
    """Each kind of broken table is bad data; the message says what was found, and no output appears."""
    bad = tmp_path / "bad"
    _break_table(tiny.folder / verb.inputs[verb.table], bad, fault)
    done = command(*verb.words(tiny.folder, tmp_path / "out", **{verb.table: bad}))
    assert done.code == 65, done.stderr
    assert BAD_TABLES[fault] in done.error["message"]
    assert not [file for file in (tmp_path / "out").rglob("*") if file.is_file()]


def _break_table(table: Path, bad: Path, fault: str) -> None:
    bad.mkdir()
    (part,) = table.glob("*.parquet")
    metadata = pl.read_parquet_metadata(part)
    metadata.pop("ARROW:schema", None)
    frame, target = pl.read_parquet(part), bad / part.name
    contract = json.loads(metadata["brakeline.contract"])
    match fault:
        case "an empty folder":
            return
        case "not Parquet":
            target.write_text("speed,distance\n1,2\n")
            return
        case "truncated":
            target.write_bytes(part.read_bytes()[:-200])
            return
        case "no contract":
            metadata = {}
        case "contract of version 99":
            metadata["brakeline.contract"] = json.dumps(contract | {"version": 99})
        case "a column missing":
            frame = frame.drop("friction_estimate")
        case "a column of another type":
            frame = frame.with_columns(pl.col("friction_estimate").cast(pl.Float64))
        case "NaN where none may be":
            frame = frame.with_columns(pl.lit(float("nan"), pl.Float32).alias("wheel_speed_mps"))
        case "out of range":
            frame = frame.with_columns(pl.lit(999.0, pl.Float32).alias("wheel_speed_mps"))
        case "no rows":
            frame = frame.head(0)
        case "a distance below 0":
            frame = frame.with_columns(pl.lit(-1.0, pl.Float32).alias("stopping_distance_m"))
    frame.write_parquet(target, metadata=metadata)
