"""A file of recorded stops: its forms, the units and contract it must declare, and what is wrong with it as a whole."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from brakeline_synthesize import recorded
from brakeline_synthesize.contract import CONTRACT
from stepkit import contract
from stepkit.errors import ContractViolation

from tests.conftest import HOUSE
from tests.synthesize.recording import GOOD, HEADER, SHIPPED, UNITS, refusal, stops

GOLDEN = {version: (HOUSE / "tests" / "data" / f"contract-v{version}.json").read_text() for version in (1, 2)}


def test_shipped_recorded_stops_are_in_the_contract() -> None:
    """The CSV of published stops reads without a reject; the example for users is the same file."""
    found = recorded.read(SHIPPED, max_rejected_share=0.0)
    assert found.stops.height == 30
    assert found.stops["drive"].max() == -1
    assert set(found.stops["surface"]) == {"dry", "wet", "snow", "ice"}
    assert found.stops["source"].str.contains(r"\d{4}").all()
    assert set(found.stops["fault"]) == {"unknown"}
    assert (HOUSE / "examples" / "recorded_stops.csv").read_bytes() == SHIPPED.read_bytes()


def test_the_documents_example_is_a_recording(tmp_path: Path) -> None:
    """What `docs/recorded.md` shows as a file is one, with a unit for each column that has one."""
    shown = (HOUSE / "docs" / "recorded.md").read_text().split("```\n")[1]
    assert recorded.read(stops(tmp_path, shown), 0.0).stops.height == 1


def test_parquet_and_csv_give_the_same_stops(tmp_path: Path) -> None:
    """The format of a recording does not matter."""
    from_csv = recorded.read(SHIPPED, 0.0).stops
    for name, units in (("units", {"brakeline.units": json.dumps(all_units())}), ("contract", carried(2))):
        file = tmp_path / f"{name}.parquet"
        from_csv.write_parquet(file, metadata=units)
        assert recorded.read(file, 0.0).stops.equals(from_csv, null_equal=True)


def all_units() -> dict[str, str]:
    known = {feature.name: feature.unit for feature in CONTRACT.features}
    return {**known, CONTRACT.target.name: CONTRACT.target.unit}


def carried(version: int) -> dict[str, str]:
    return {contract.METADATA_KEY: GOLDEN[version]}


def test_data_of_an_older_contract_is_read_by_todays(tmp_path: Path) -> None:
    """A Parquet file that carries contract 1 needs no other declaration, and what 1 did not know is missing."""
    old = recorded.read(SHIPPED, 0.0).stops.select([*contract.parse(GOLDEN[1]).names, "stopping_distance_m"])
    old.write_parquet(tmp_path / "old.parquet", metadata=carried(1))
    found = recorded.read(tmp_path / "old.parquet", 0.0).stops
    assert found.columns == recorded.read(SHIPPED, 0.0).stops.columns
    (added,) = set(CONTRACT.names) - set(contract.parse(GOLDEN[1]).names)
    assert found[added].is_nan().all()
    assert set(found["source"]) == {"recorded"}


@pytest.mark.parametrize("version", ["1", "2"])
def test_a_csv_may_say_its_contract(version: str, tmp_path: Path) -> None:
    """`# contract: N` is taken for every supported version."""
    file = stops(tmp_path, f"# contract: {version}\n{UNITS}{HEADER}{GOOD}")
    assert recorded.read(file, 0.0).stops.height == 1


@pytest.mark.parametrize("version", ["3", "0", "two", ""])
def test_an_unknown_contract_is_refused(version: str, tmp_path: Path) -> None:
    """Any other version is named with its line and what is allowed."""
    told = refusal(stops(tmp_path, f"# contract: {version}\n{UNITS}{HEADER}{GOOD}"))
    assert "contract, line 1" in told
    assert f"version {version}" in told
    assert "versions 1, 2" in told


def test_units_are_declared_line_by_line_or_together(tmp_path: Path) -> None:
    """One column a line, several by commas, and a plain keyboard's spelling of a unit: all the same."""
    one = "# unit: wheel_speed_mps = m/s\n#unit:stopping_distance_m=m\n"
    more = "# unit: acceleration_mps2 = m/s2, disc_temperature_c = degC\n"
    header = "wheel_speed_mps,vehicle_class,stopping_distance_m,acceleration_mps2,disc_temperature_c\n"
    found = recorded.read(stops(tmp_path, f"# taken in May\n{one}\n{more}{header}20,1,30,-1,80\n"), 0.0).stops
    assert found.row(0, named=True)["acceleration_mps2"] == -1.0


def test_missing_units_are_named_with_the_line_to_add(tmp_path: Path) -> None:
    """A file with rows and no units is refused; adding the line that the message gives mends it."""
    told = refusal(stops(tmp_path, HEADER + GOOD))
    assert "none declared" in told
    line = told.partition("`")[2].partition("`")[0]
    assert line == UNITS.strip()
    assert recorded.read(stops(tmp_path, f"{line}\n{HEADER}{GOOD}"), 0.0).stops.height == 1


def test_missing_units_of_parquet_are_named_with_what_to_add(tmp_path: Path) -> None:
    """The message gives the key and the JSON that the file's metadata lacks."""
    file, frame = tmp_path / "stops.parquet", pl.DataFrame({"wheel_speed_mps": [20.0], "vehicle_class": [1]})
    frame = frame.with_columns(stopping_distance_m=30.0)
    frame.write_parquet(file)
    told = refusal(file).partition("brakeline.units = ")[2].partition(" in the schema metadata")[0]
    frame.write_parquet(file, metadata={"brakeline.units": told})
    assert recorded.read(file, 0.0).stops["stopping_distance_m"].to_list() == [30.0]


@pytest.mark.parametrize(
    ("units", "told"),
    [
        ("wheel_speed_mps = km/h, stopping_distance_m = m", "unit of wheel_speed_mps: found km/h, allowed m/s"),
        ("wheel_speed_mps = m/s, stopping_distance_m = ft", "unit of stopping_distance_m: found ft, allowed m"),
        ("wheel_speed_mps = m/s", "unit of stopping_distance_m: found none declared"),
        ("wheel_speed_mps = m/s, stopping_distance_m = m, vehicle_class = kg", "found kg, allowed 1"),
        ("wheel_speed_mps = m/s, stopping_distance_m = m, speed = m/s", "unit of speed"),
        ("wheel_speed_mps m/s, stopping_distance_m = m", "COLUMN = UNIT"),
        ("", "COLUMN = UNIT"),
    ],
)
def test_wrong_units_are_refused(units: str, told: str, tmp_path: Path) -> None:
    """A unit that is not the contract's stops the step: file, column, what was found and what is allowed."""
    assert told in refusal(stops(tmp_path, f"# unit: {units}\n{HEADER}{GOOD}"))


@pytest.mark.parametrize("text", ["{", "[]", '{"wheel_speed_mps": "km/h"}', '"m"'])
def test_wrong_units_of_parquet_are_refused(text: str, tmp_path: Path) -> None:
    """The metadata is held to the same, in whatever form it is wrong."""
    recorded.read(SHIPPED, 0.0).stops.write_parquet(tmp_path / "s.parquet", metadata={"brakeline.units": text})
    assert "unit" in refusal(tmp_path / "s.parquet")


def test_a_carried_contract_that_is_unknown_is_refused(tmp_path: Path) -> None:
    """Parquet of a contract that this code does not know is not read by guessing."""
    text = json.dumps(json.loads(GOLDEN[2]) | {"version": 3})
    recorded.read(SHIPPED, 0.0).stops.write_parquet(tmp_path / "s.parquet", metadata={contract.METADATA_KEY: text})
    assert "version 3" in refusal(tmp_path / "s.parquet")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"{UNITS}wheel_speed_mps,vehicle_class\n20,1\n", "column stopping_distance_m: found missing"),
        (f"{UNITS}vehicle_class,stopping_distance_m\n1,30\n", "column wheel_speed_mps: found missing"),
        (f"{UNITS}{HEADER.strip()},colour\n20,1,30,red\n", "unknown colour"),
        (f"{UNITS}{HEADER.strip()},grade,grade\n20,1,30,0,0\n", "grade twice"),
        (f"{UNITS}{HEADER.replace(',', ';')}20;1;30\n", "unknown wheel_speed_mps;vehicle_class"),
        (f'{UNITS}{HEADER}20,1,"30\n20,1,30\n', "not a readable CSV file"),
    ],
)
def test_a_faulty_file_is_refused_whole(text: str, told: str, tmp_path: Path) -> None:
    """What is wrong with the file and not with a row stops the step, whatever share may be rejected."""
    assert told in refusal(stops(tmp_path, text), share=1.0)


def test_unreadable_files_are_refused(tmp_path: Path) -> None:
    """Bytes that are no text, half a Parquet file, a folder: each is bad data that is named."""
    (tmp_path / "latin.csv").write_bytes(f"{UNITS}{HEADER}".encode() + b"20,1,30,\xe9\n")
    whole = tmp_path / "whole.parquet"
    recorded.read(SHIPPED, 0.0).stops.write_parquet(whole)
    (tmp_path / "half.parquet").write_bytes(whole.read_bytes()[:-100])
    (tmp_path / "folder").mkdir()
    for name in ("latin.csv", "half.parquet", "folder"):
        assert "not a readable" in refusal(tmp_path / name)


@pytest.mark.parametrize("values", [[True], ["2024-01-01"], [[20.0]], [b"\xff"]], ids=["bool", "date", "list", "bytes"])
def test_parquet_columns_of_other_types_are_refused(values: list[Any], tmp_path: Path) -> None:
    """A truth value or a date is no measurement, though it could be read as a number."""
    column = pl.Series(values).str.to_date() if values == ["2024-01-01"] else pl.Series(values)
    frame = pl.DataFrame({"wheel_speed_mps": column, "vehicle_class": [1], "stopping_distance_m": [30.0]})
    frame.write_parquet(tmp_path / "stops.parquet", metadata={"brakeline.units": json.dumps(all_units())})
    assert "column wheel_speed_mps" in refusal(tmp_path / "stops.parquet")


@pytest.mark.parametrize("text", ["", "# nothing yet\n", HEADER, "\n\n"])
def test_an_empty_recording_is_no_recording(text: str, tmp_path: Path) -> None:
    """A file without rows adds none, needs no units, and is no error: it is how a run without recordings starts."""
    found = recorded.read(stops(tmp_path, text), 0.0)
    assert found.stops.height == 0
    assert found.facts()["recorded_rejected_rows"] == 0


def test_the_exception_names_its_facts(tmp_path: Path) -> None:
    """The error carries file, field, what was found and what is allowed, for machines too."""
    with pytest.raises(ContractViolation) as refused:
        recorded.read(stops(tmp_path, f"# unit: wheel_speed_mps = mph\n{HEADER}{GOOD}"), 0.1)
    facts = refused.value.facts
    assert (facts["field"], facts["found"], facts["allowed"]) == ("unit of wheel_speed_mps", "mph", "m/s")
