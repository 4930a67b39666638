"""What the example does with logs: numbers by hand, rows that are left out, and forms that do not hold."""

import csv
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from stepkit import lineage

from tests.conftest import Done, command
from tests.examples import program

FORM: dict[str, Any] = {
    "version": 1,
    "contract": 2,
    "columns": [
        {"name": "wheel_speed_mps", "from": "v", "unit": "km/h", "to": "m/s", "required": True},
        {"name": "vehicle_class", "from": "kind", "codes": {"car": 1, "lorry": 4}},
        {"name": "stopping_distance_m", "from": "way", "unit": "ft", "to": "m"},
    ],
}
LOG = "v,kind,way\n90,car,100\n36,lorry,50\n"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def convert(
    drivelog: Path, out: Path, *logs: str | bytes, form: dict[str, Any] = FORM, more: tuple[str, ...] = ()
) -> Done:
    """Convert logs that are given as text."""
    out.parent.mkdir(exist_ok=True)
    words = list[object]()
    for number, log in enumerate(logs):
        file = out.parent / f"log-{number}.csv"
        file.write_bytes(log.encode() if isinstance(log, str) else log)
        words += ["--logs", file]
    (out.parent / "form.json").write_text(json.dumps(form))
    words += ["--form", out.parent / "form.json", "--recorded", out / "recorded", "--rejects", out / "rejects"]
    return program.run(drivelog, "convert", *words, *more)


def rows(file: Path) -> list[dict[str, str]]:
    lines = [line for line in file.read_text().splitlines() if not line.startswith("#")]
    return list(csv.DictReader(lines))


def column(**fields: Any) -> dict[str, Any]:
    return FORM | {"columns": [{"name": "x", "from": "x", **fields}]}


@pytest.mark.parametrize(
    ("unit", "to", "found", "expected"),
    [
        ("km/h", "m/s", "90", 25.0),
        ("mph", "m/s", "60", 26.8224),
        ("kn", "km/h", "10", 18.52),
        ("°F", "°C", "212", 100.0),
        ("°F", "°C", "-40", -40.0),
        ("K", "degC", "273.15", 0.0),
        ("ft", "m", "100", 30.48),
        ("in", "mm", "1", 25.4),
        ("t", "kg", "11.5", 11500.0),
        ("lb", "kg", "100", 45.359237),
        ("psi", "kPa", "32", 220.632233),
        ("bar", "kPa", "2.4", 240.0),
        ("g", "m/s²", "-0.5", -4.903325),
        ("%", "1", "5", 0.05),
        ("in/h", "mm/h", "1e-1", 2.54),
        ("m/s", "m/s", "27.780000001", 27.780000001),
    ],
)
def test_units_are_converted(drivelog: Path, out: Path, unit: str, to: str, found: str, expected: float) -> None:
    """Worked by hand from the definitions; nine digits are kept, and all of what needs no conversion."""
    assert convert(drivelog, out, f"x\n{found}\n", form=column(unit=unit, to=to)).code == 0
    (row,) = rows(out / "recorded")
    assert float(row["x"]) == pytest.approx(expected, rel=1e-8, abs=1e-9)
    assert len(row["x"]) <= 12


def test_the_sample_is_taken_by_assemble(drivelog: Path, out: Path) -> None:
    """The recording declares its units as docs/recorded.md asks for, and all its rows join the dataset."""
    words = [word for name in ("north", "south") for word in ("--logs", program.SOURCES / "sample" / f"{name}.csv")]
    words += ["--form", program.SOURCES / "sample" / "form.json", "--recorded", out / "recorded.csv"]
    done = program.run(drivelog, "convert", *words, "--rejects", out / "rejects.csv", "--origin", out / "origin.json")
    assert (done.code, done.result["rows"], done.result["rejected_rows"]) == (0, 21, 1)
    made = command("brakeline-synthesize", "generate", "--part", out / "part", "--rows", "200", "--holdout-rows", "100")
    assert made.code == 0
    joined = command(
        "brakeline-synthesize", "assemble", "--parts", out / "part", "--recorded", out / "recorded.csv",
        "--dataset", out / "dataset", "--holdout", out / "holdout", "--faulty", out / "faulty",
        "--rejects", out / "left",
    )  # fmt: skip
    assert joined.code == 0, joined.stderr
    assert (joined.result["recorded_rows"], joined.result["recorded_rejected_rows"]) == (21, 0)
    stops = pl.read_parquet(out / "dataset" / "*.parquet").filter(pl.col("source") == "sample fleet, invented")
    # Two logs number their trips alike: seven and four drives, and one row of the fleet's was left out.
    assert (stops.height, stops["drive"].n_unique()) == (21, 11)
    (call,) = lineage.read(out / "origin.json")
    assert call.outputs["recorded"] == done.sha256("recorded")
    assert len(call.inputs["logs"]) == 2


def test_rows_that_cannot_be_read_are_left_out_with_their_reasons(drivelog: Path, out: Path) -> None:
    """Each reason with log, line, both columns' names, what was found and what is allowed; the rest is converted."""
    log = LOG + "fast,bus,\n1,2\n,car,1e400\n54,car,\n"
    done = convert(drivelog, out, log, more=("--max-rejected-share", "0.9"))
    assert (done.code, done.result["rows"], done.result["rejected_rows"]) == (0, 3, 3)
    assert [tuple(row.values())[1:] for row in rows(out / "rejects")] == [
        ("4", "wheel_speed_mps", "v", "fast", "a number [km/h]"),
        ("4", "vehicle_class", "kind", "bus", "one of car, lorry"),
        ("5", "row", "", "2 cells", "3 cells"),
        ("6", "wheel_speed_mps", "v", "missing", "something"),
        ("6", "stopping_distance_m", "way", "1e400", "a number [ft]"),
    ]
    assert [row["stopping_distance_m"] for row in rows(out / "recorded")] == ["30.48", "15.24", ""]
    assert (out / "recorded").read_text().splitlines()[1] == "# unit: wheel_speed_mps = m/s, stopping_distance_m = m"


def test_too_many_rejects_end_with_65(drivelog: Path, out: Path) -> None:
    """A wrong form must not pass for bad rows: share, counts and first rows are told, and nothing is written."""
    done = convert(drivelog, out, LOG + "fast,car,1\n")
    assert done.code == 65
    for words in ("1 of 3 rejected", "wheel_speed_mps 1", "log-0.csv line 4", "--max-rejected-share"):
        assert words in done.error["message"]
    assert list(out.iterdir()) == []


def test_logs_as_offices_write_them(drivelog: Path, out: Path) -> None:
    """A byte order mark, semicolons, decimal commas, quotes over lines, and a word for nothing."""
    form = FORM | {"delimiter": ";", "decimal": ",", "missing": ["", "n/a"]}
    log = '\ufeffv;kind;way\r\n"90,5";car;n/a\r\n1.000,0;car;1\r\n"36";"car";1\r\n'
    assert convert(drivelog, out, log, form=form, more=("--max-rejected-share", "0.5")).code == 0
    assert [row["wheel_speed_mps"] for row in rows(out / "recorded")] == ["25.1388889", "10"]
    (left_out,) = rows(out / "rejects")
    assert "no dots" in left_out["allowed"]


def test_texts_stand_as_they_are(drivelog: Path, out: Path) -> None:
    """Commas and quotes come back; a row that would begin with the sign of a comment is no comment."""
    log = 'x,y\n#1,"a, ""b"""\n'
    form = FORM | {"columns": [{"name": "drive", "from": "x"}, {"name": "source", "from": "y"}]}
    assert convert(drivelog, out, log, form=form).code == 0
    *_, last = (out / "recorded").read_text().splitlines()
    assert last == '"#1","a, ""b"""'


@pytest.mark.parametrize(
    ("form", "told"),
    [
        (FORM | {"version": 2}, "version: found 2, allowed 1"),
        (FORM | {"contract": 0}, "contract: found 0"),
        (FORM | {"colour": 1}, 'unknown field "colour"'),
        (FORM | {"columns": []}, "columns: found none"),
        (FORM | {"decimal": "'"}, "decimal"),
        (column(unit="furlong", to="m"), 'unit "furlong", allowed %, 1, K'),
        (column(unit="ft", to="s"), 'to "s", allowed a unit of length: cm, ft'),
        (column(unit="ft", to="kg"), 'to "kg", allowed a unit of length'),
        (column(unit="ft", to="m", codes={"a": 1}), "unit and codes"),
        (column(constant="a"), "constant beside other fields"),
        (FORM | {"columns": [{"name": "x"}]}, "neither from nor constant"),
        (FORM | {"columns": 2 * FORM["columns"][:1]}, "a name of its own"),
    ],
)
def test_a_form_that_does_not_hold_is_refused(drivelog: Path, out: Path, form: dict[str, Any], told: str) -> None:
    """65, with the file, the field, what was found and what is allowed."""
    done = convert(drivelog, out, LOG, form=form)
    assert done.code == 65, done.stderr
    assert told in done.error["message"] and "form.json" in done.error["message"]


@pytest.mark.parametrize(
    ("log", "told"),
    [
        ("", "no header"),
        ("v,kind\n", "column way: found missing"),
        ("v,kind,way,wya\n", "column wya: found not in the form"),
        ("v,kind,way,way\n", '"way" twice'),
        ('v,kind,way\n1,"a" b,2\n', "line 2"),
        (b"v,kind,way\n1,\xff,2\n", "line 2 is not UTF-8"),
    ],
)
def test_a_log_that_cannot_be_read_is_refused(drivelog: Path, out: Path, log: str | bytes, told: str) -> None:
    """What is wrong with a file as a whole ends the step, whatever its rows are like."""
    done = convert(drivelog, out, log)
    assert done.code == 65, done.stderr
    assert told in done.error["message"] and "log-0.csv" in done.error["message"]


def test_the_same_log_twice_is_refused(drivelog: Path, out: Path) -> None:
    """Its stops would stand on both sides of a split."""
    done = convert(drivelog, out, LOG, LOG)
    assert done.code == 65
    assert "log-1.csv: content: found the same as in" in done.error["message"]


def test_what_is_reused_is_what_stands(drivelog: Path, out: Path) -> None:
    """Another parameter, another log, a touched output or an unknown image is work done anew."""
    image = {"BRAKELINE_IMAGE": f"drivelog:{'0' * 20}"}
    base = [*("--logs", out.parent / "log-0.csv", "--form", out.parent / "form.json"), "--reuse"]
    base += ["--recorded", out / "recorded", "--rejects", out / "rejects"]
    convert(drivelog, out, LOG)

    def status(*more: object, environment: dict[str, str] = image) -> str:
        return str(program.run(drivelog, "convert", *base, *more, environment=environment).result["status"])

    assert [status(), status()] == ["done", "unchanged"]
    assert status(environment={"BRAKELINE_IMAGE": "drivelog:newest"}) == "done"
    assert [status("--max-rejected-share", "0.2"), status("--max-rejected-share", "2e-1")] == ["done", "unchanged"]
    assert [status(), status()] == ["done", "unchanged"]
    (out / "rejects").write_text("touched")
    assert [status(), status()] == ["done", "unchanged"]
    (out.parent / "log-0.csv").write_text(LOG + "36,car,60\n")
    assert [status(), status()] == ["done", "unchanged"]
