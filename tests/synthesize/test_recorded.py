"""Recorded stops row by row: which are rejected and how that is told, and what is kept of the others."""

import hashlib
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from brakeline_synthesize import recorded

from tests.conftest import command
from tests.synthesize.recording import GOOD, HEADER, SHIPPED, UNITS, refusal, stops


@pytest.fixture(scope="module")
def part(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shard to assemble with."""
    made = tmp_path_factory.mktemp("recorded") / "part"
    sizes = ("--rows", "100", "--holdout-rows", "100", "--faulty-rows", "100")
    assert command("brakeline-synthesize", "generate", "--part", made, *sizes).code == 0
    return made


def reasons(found: recorded.Recorded, folder: Path) -> list[dict[str, Any]]:
    """The rejects file's lines, as who reads it finds them."""
    found.rejects.write(folder / "rejects.csv")
    return pl.read_csv(folder / "rejects.csv", infer_schema=False).to_dicts()


def test_stops_come_in_the_datasets_columns(part: Path) -> None:
    """Recorded rows have the columns and types of generated ones, in the same order."""
    block = next(part.rglob("*.parquet"))
    assert recorded.read(SHIPPED, 0.0).stops.schema == pl.read_parquet(block).schema


BAD_ROWS = {
    "no number": ("fast,1,30", [("wheel_speed_mps", "fast", "0 to 70 m/s")]),
    "missing where it may not be": (",1,30", [("wheel_speed_mps", "missing", "0 to 70 m/s")]),
    "below its range": ("-5,1,30", [("wheel_speed_mps", "-5", "0 to 70 m/s")]),
    "above its range": ("20,7,30", [("vehicle_class", "7", "0 to 4")]),
    "infinite": ("inf,1,30", [("wheel_speed_mps", "inf", "0 to 70 m/s")]),
    "too large for any number": ("20,1,1e999", [("stopping_distance_m", "1e999", "a finite number above 0 m")]),
    "no way at all": ("20,1,0", [("stopping_distance_m", "0", "a finite number above 0 m")]),
    "a way below 0": ("20,1,-4", [("stopping_distance_m", "-4", "a finite number above 0 m")]),
    "no target": ("20,1,", [("stopping_distance_m", "missing", "a finite number above 0 m")]),
    "no target but NaN": ("20,1,nan", [("stopping_distance_m", "nan", "a finite number above 0 m")]),
    "too few cells": ("20,1", [("row", "2 cells", "3 cells")]),
    "too many cells": ("20,1,30,4", [("row", "4 cells", "3 cells")]),
    "everything": (
        "x,,0",
        [
            ("wheel_speed_mps", "x", "0 to 70 m/s"),
            ("vehicle_class", "missing", "0 to 4"),
            ("stopping_distance_m", "0", "a finite number above 0 m"),
        ],
    ),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_a_bad_row_is_rejected_with_all_its_reasons(case: str, tmp_path: Path) -> None:
    """The row goes to the rejects under the number that an editor shows, one line a reason; its neighbours stay."""
    row, expected = BAD_ROWS[case]
    found = recorded.read(stops(tmp_path, f"{UNITS}{HEADER}{GOOD}{row}\n{GOOD}"), 0.5)
    assert found.stops["wheel_speed_mps"].to_list() == [20.0, 20.0]
    assert found.facts() == {
        "recorded_rows": 2,
        "recorded_rejected_rows": 1,
        "recorded_rejected_by_column": {column: 1 for column, _, _ in sorted(expected)},
    }
    told = [(line["column"], line["found"], line["allowed"]) for line in reasons(found, tmp_path)]
    assert told == expected
    assert {(line["line"], line["row"]) for line in reasons(found, tmp_path)} == {("4", None)}


def test_lines_are_those_that_an_editor_shows(tmp_path: Path) -> None:
    """Comments, blank lines, line ends of every kind, quoted cells over lines and a byte order mark all count right."""
    text = (
        f"\ufeff{UNITS}\r\n{HEADER.strip()},source\r\n"
        '20,1,30,"first\nsecond, with ""quotes"""\r\n'
        "# a note\n"
        "bad,1,30,here\r"
        '20,1,bad,"and\n# no comment\nhere"\n'
        "20,bad,30,last"
    )
    file = tmp_path / "stops.csv"
    file.write_bytes(text.encode())
    found = recorded.read(file, 1.0)
    assert found.stops["source"].to_list() == ['first\nsecond, with "quotes"']
    assert [line["line"] for line in reasons(found, tmp_path)] == ["7", "8", "11"]


def test_rows_of_parquet_are_counted_from_0(tmp_path: Path) -> None:
    """Nulls, NaN and infinities of Parquet are judged as a CSV's cells are."""
    frame = pl.DataFrame(
        {
            "wheel_speed_mps": [20.0, None, float("nan"), float("-inf"), 20.0],
            "vehicle_class": [1, 1, 2, 1, None],
            "grade": [None, 0.0, float("inf"), float("nan"), float("nan")],
            "stopping_distance_m": [30.0] * 5,
        }
    )
    units = {"brakeline.units": json.dumps({"wheel_speed_mps": "m/s", "stopping_distance_m": "m"})}
    frame.write_parquet(tmp_path / "stops.parquet", metadata=units)
    found = recorded.read(tmp_path / "stops.parquet", 1.0)
    told = [(line["row"], line["line"], line["column"], line["found"]) for line in reasons(found, tmp_path)]
    assert told == [
        ("1", None, "wheel_speed_mps", "missing"),
        ("2", None, "wheel_speed_mps", "missing"),
        ("2", None, "grade", "inf"),
        ("3", None, "wheel_speed_mps", "-inf"),
        ("4", None, "vehicle_class", "missing"),
    ]
    assert found.stops["drive"].to_list() == [-1]


def test_without_rejects_the_file_is_its_header(tmp_path: Path) -> None:
    """The rejects are always written, so that who reads them need not ask whether they are there."""
    recorded.read(SHIPPED, 0.0).rejects.write(tmp_path / "rejects.csv")
    assert (tmp_path / "rejects.csv").read_text() == "line,row,column,found,allowed\n"


def test_too_many_rejects_stop_the_step(tmp_path: Path) -> None:
    """One of 10 is as much as 0.1 allows; one of 9 is more, and the message names row, reason, counts and flag."""
    recorded.read(stops(tmp_path, UNITS + HEADER + 9 * GOOD + "20,9,30\n"), 0.1)
    told = refusal(stops(tmp_path, UNITS + HEADER + 8 * GOOD + "20,9,30\n"), 0.1)
    for part in ("1 of 9", "vehicle_class 1", "line 11", "found 9, allowed 0 to 4", "0.1", "--max-rejected-share"):
        assert part in told
    assert "line 11" in refusal(stops(tmp_path, UNITS + HEADER + 8 * GOOD + "20,9,30\n"), 0.0)


def test_a_message_names_the_first_rejects_only(tmp_path: Path) -> None:
    """A thousand bad rows do not make a message of a thousand reasons."""
    told = refusal(stops(tmp_path, UNITS + HEADER + 1000 * "x,9,0\n"), 0.1)
    assert len(told) < 1000
    assert "1000 of 1000" in told
    assert "line 3: wheel_speed_mps found x" in told


def test_rows_of_one_drive_stay_together(tmp_path: Path) -> None:
    """Drives get numbers below 0 by name or number; a row that names none is rejected where others do."""
    text = f"{UNITS}drive,{HEADER}b,{GOOD}a,{GOOD}b,{GOOD},{GOOD}"
    found = recorded.read(stops(tmp_path, text), 0.5)
    assert found.stops["drive"].to_list() == [-1, -2, -1]
    assert [(line["column"], line["found"]) for line in reasons(found, tmp_path)] == [("drive", "missing")]
    assert recorded.read(stops(tmp_path, UNITS + HEADER + 3 * GOOD), 0.0).stops["drive"].to_list() == [-1, -2, -3]


def test_the_step_keeps_and_tells_what_it_rejected(part: Path, tmp_path: Path) -> None:
    """Rejects, counts and the recording's own sha256 are in the artifacts; the diary warns of rejects alone."""
    file = stops(tmp_path, f"{UNITS}{HEADER}{GOOD}-5,9,30\n")
    done = assemble(part, file, tmp_path / "out", "--max-rejected-share", "0.5")
    assert done.code == 0, done.stderr
    counts = {
        "recorded_rejected_rows": 1,
        "recorded_rejected_by_column": {"vehicle_class": 1, "wheel_speed_mps": 1},
    }
    made = done.result["artifacts"]
    kept = {"recorded_rows": 1, "recorded_sha256": hashlib.sha256(file.read_bytes()).hexdigest(), **counts}
    assert made["dataset"]["metadata"].items() >= kept.items()
    assert made["rejects"]["metadata"].items() >= counts.items()
    assert done.result.items() >= {"recorded_rows": 1, **counts}.items()
    (warning,) = [said for said in map(json.loads, done.stderr.splitlines()) if said["level"] == "warning"]
    assert warning.items() >= counts.items()
    lines = (tmp_path / "out" / "rejects").read_text().splitlines()
    assert lines[1:] == ["4,,wheel_speed_mps,-5,0 to 70 m/s", "4,,vehicle_class,9,0 to 4"]
    clean = assemble(part, stops(tmp_path, UNITS + HEADER + GOOD), tmp_path / "clean")
    assert "warning" not in clean.stderr


def test_the_step_ends_with_65_and_no_output(part: Path, tmp_path: Path) -> None:
    """More rejects than the default tenth: the error names the row, and nothing is written."""
    done = assemble(part, stops(tmp_path, f"{UNITS}{HEADER}{GOOD}-5,1,30\n"), tmp_path / "out")
    assert done.code == 65
    assert "line 4: wheel_speed_mps found -5, allowed 0 to 70 m/s" in done.error["message"]
    assert not list((tmp_path / "out").iterdir())


def assemble(part: Path, file: Path, out: Path, *more: str) -> Any:
    outputs = [word for name in ("dataset", "holdout", "faulty", "rejects") for word in (f"--{name}", out / name)]
    return command("brakeline-synthesize", "assemble", "--parts", part, "--recorded", file, *outputs, *more)
