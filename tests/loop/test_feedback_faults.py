"""What spoils a join: each is counted or refused in words that name file, line, field, found and allowed."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from brakeline import feedback_file, prediction_log
from brakeline.refusals import Refused
from brakeline_synthesize import recorded

from tests.conftest import Chain, Done, command
from tests.loop import traffic
from tests.loop.conftest import KEPT, LARGE, SINGLES, Log, logging_to
from tests.loop.test_feedback import feedback, told
from tests.serving.conftest import Server

Start = Callable[..., Server]


def refused(done: Done, *words: str) -> None:
    """65, the same sentence on stderr and as JSON, with these words."""
    assert done.code == 65, done.stderr
    error = json.loads(done.stdout)["error"]
    assert error in done.stderr
    for word in words:
        assert word in error


def spoiled(log: Log, folder: Path, change: Callable[[list[bytes]], list[bytes]]) -> Path:
    """A copy of the log whose lines were changed."""
    copy = log.copy(folder)
    file = copy.folder / "predictions-0.jsonl"
    file.write_bytes(b"".join(change(file.read_bytes().splitlines(keepends=True))))
    return copy.folder


def test_rows_of_the_fail_safe_are_told_apart_and_not_learned_from(start: Start, tiny: Chain, tmp_path: Path) -> None:
    """A speed of 500 m/s: answered with the worst case, counted, no part of the coverage, and not in the data."""
    world = traffic.world(tiny)
    fast = world.with_rows(world.rows[:4].with_columns(pl.lit(500.0).alias(world.named("speed")).cast(pl.Float32)))
    server = start("--model", str(traffic.model_of(tiny)), *logging_to(tmp_path / "kept"))
    traffic.ask(server, world, range(20), "fit")
    traffic.ask(server, fast, range(4), "unfit")
    traffic.logged(server, 2)
    stops = [("fit", row, 20.0) for row in range(20)] + [("unfit", row, 20.0) for row in range(4)]
    file, out = traffic.stops_file(tmp_path / "s.csv", stops), tmp_path / "out.csv"
    found = told(feedback(file, tmp_path / "kept", tmp_path, "--output", out))
    assert (found["counts"]["out_of_range"], found["counts"]["for_training"]) == (4, 20)
    assert (found["overall"]["rows"], found["out_of_range"]["rows"]) == (20, 4)
    assert recorded.read(out, 0.0).stops.height == 20


def test_a_stop_told_twice_counts_once_and_two_values_are_refused(log: Log, tmp_path: Path) -> None:
    """Duplicates are counted; a conflict names both lines and both values."""
    stops = [("one-0", 0, 30.0), ("one-1", 0, 31.0), ("one-0", 0, 30.0)]
    found = told(feedback(traffic.stops_file(tmp_path / "s.csv", stops), log.folder, tmp_path))
    assert (found["counts"]["stops"], found["counts"]["duplicates"]) == (2, 1)
    file = traffic.stops_file(tmp_path / "s.csv", [*stops, ("one-1", 0, 31.5)])
    refused(feedback(file, log.folder, tmp_path), f"{file}: line 3", f"{file}: line 5", "31 m", "31.5 m", "one-1")


def test_what_matches_nothing_is_counted_named_and_refused_if_strict(log: Log, tmp_path: Path) -> None:
    """An unknown id, and a row beyond those that the log keeps of a large request."""
    file = traffic.stops_file(tmp_path / "s.csv", [("one-0", 0, 30.0), ("nobody", 0, 5.0), ("many", LARGE - 1, 9.0)])
    found = told(feedback(file, log.folder, tmp_path))
    assert (found["counts"]["joined"], found["counts"]["unmatched"]) == (1, 2)
    assert found["named"]["unmatched"] == ["nobody row 0 (line 3)", f"many row {LARGE - 1} (line 4)"]
    assert KEPT < LARGE
    done = feedback(file, log.folder, tmp_path / "strict", "--strict", "--output", tmp_path / "out.csv")
    refused(done, "--strict, unmatched", "nobody row 0 (line 3)")
    assert not (tmp_path / "strict").exists()
    assert not (tmp_path / "out.csv").exists()
    refused(feedback(traffic.stops_file(tmp_path / "s.csv", [("nobody", 0, 5.0)]), log.folder, tmp_path), "none of 1")


def test_an_id_of_several_requests_is_named_and_left_out(log: Log, tmp_path: Path) -> None:
    """The same id with another answer says nothing; a client's repetition with the same answer says the same."""

    def reused(lines: list[bytes]) -> list[bytes]:
        again = next(line for line in lines if b'"one-1"' in line)
        return [*lines, again.replace(b'"one-1"', b'"one-0"'), next(line for line in lines if b'"one-2"' in line)]

    folder = spoiled(log, tmp_path / "kept", reused)
    stops = [(f"one-{at}", 0, 30.0) for at in range(3)]
    found = told(feedback(traffic.stops_file(tmp_path / "s.csv", stops), folder, tmp_path))
    counts = found["counts"]
    assert (counts["joined"], counts["ambiguous"], counts["repeated_requests"], counts["unmatched"]) == (2, 1, 1, 0)
    (named,) = found["named"]["ambiguous"]
    assert named.startswith("one-0 (")
    assert named.count("predictions-0.jsonl:") == 2
    file = traffic.stops_file(tmp_path / "s.csv", stops)
    refused(feedback(file, folder, tmp_path, "--strict"), "--strict, ambiguous", "one-0")


def test_a_killed_servers_half_line_is_passed_over_and_joined_to_no_other(
    start: Start, tiny: Chain, tmp_path: Path
) -> None:
    """Killed while it wrote, started again: the half line stays alone, and what follows is whole."""
    world, kept = traffic.world(tiny), tmp_path / "kept"
    words = ("--model", str(traffic.model_of(tiny)), *logging_to(kept))
    server = start(*words)
    traffic.ask(server, world, [0], "before")
    traffic.ask(server, world, [1], "torn")
    traffic.logged(server, 2)
    server.stop(signal.SIGKILL)
    file = kept / "predictions-0.jsonl"
    os.truncate(file, file.stat().st_size - 100)
    again = start(*words)
    traffic.ask(again, world, [2], "after")
    traffic.logged(again, 1)
    assert not list(kept.glob(".*")), "nothing half-written is left beside the log"
    stops = traffic.stops_file(tmp_path / "s.csv", [("before", 0, 9.0), ("torn", 0, 9.0), ("after", 0, 9.0)])
    found = told(feedback(stops, kept, tmp_path))
    assert [found["counts"][what] for what in ("joined", "unmatched", "broken_lines", "log_lines")] == [2, 1, 1, 3]
    assert found["named"]["broken_lines"] == [f"{file}:2"]
    refused(
        feedback(traffic.stops_file(tmp_path / "s.csv", [("after", 0, 9.0)]), kept, tmp_path, "--strict"), f"{file}:2"
    )


def test_a_line_that_is_still_being_written_is_no_error(log: Log, tmp_path: Path) -> None:
    """The last line without its end: counted, and the rest is read."""
    folder = spoiled(log, tmp_path / "kept", lambda lines: [*lines, lines[0][:200]])
    found = told(feedback(traffic.stops_file(tmp_path / "s.csv", [("one-0", 0, 30.0)]), folder, tmp_path))
    assert (found["counts"]["joined"], found["counts"]["broken_lines"]) == (1, 1)


def test_files_that_rotated_are_all_read_and_each_once(log: Log, tmp_path: Path) -> None:
    """Parts of the log as .2, .1 and of another worker, one of them under two names: every stop is joined once."""
    folder = log.copy(tmp_path / "kept").folder
    lines = (folder / "predictions-0.jsonl").read_bytes().splitlines(keepends=True)
    for name, part in (("0.jsonl", lines[:50]), ("0.jsonl.2", lines[50:90]), ("0.jsonl.1", lines[90:200]),
                       ("1.jsonl", lines[200:])):  # fmt: skip
        (folder / f"predictions-{name}").write_bytes(b"".join(part))
    os.link(folder / "predictions-0.jsonl.1", folder / "predictions-0.jsonl.3")
    found = told(feedback(traffic.stops_file(tmp_path / "s.csv", log.stops()), folder, tmp_path))
    assert (found["counts"]["joined"], found["counts"]["log_files"]) == (len(log.stops()), 4)
    assert found["counts"]["repeated_requests"] == 0


def _without(key: str) -> Callable[[dict[str, Any]], Any]:
    return lambda line: line.pop(key)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_without("outputs"), ("outputs", "None", "dict")),
        (_without("sha256"), ("sha256", "None")),
        (lambda line: line["inputs"].popitem(), ("no ", "model-")),
        (lambda line: next(iter(line["inputs"].values())).append(1.0), ("columns of [1, 2] rows",)),
        (lambda line: line.update(sha256="0" * 64), (f"model-{'0' * 64}.json", "none")),
    ],
)
def test_a_whole_line_that_is_no_prediction_is_refused(
    log: Log, tmp_path: Path, spoil: Callable[[dict[str, Any]], Any], words: tuple[str, ...]
) -> None:
    """File and line, the field, what was found and what is allowed."""

    def change(lines: list[bytes]) -> list[bytes]:
        content = json.loads(lines[7])
        spoil(content)
        return [*lines[:7], json.dumps(content).encode() + b"\n", *lines[8:]]

    folder = spoiled(log, tmp_path / "kept", change)
    id_ = json.loads((log.folder / "predictions-0.jsonl").read_bytes().splitlines()[7])["id"]
    done = feedback(traffic.stops_file(tmp_path / "s.csv", [(id_, 0, 9.0)]), folder, tmp_path)
    refused(done, "predictions-0.jsonl:8", *words)


BAD_FILES = {
    "no id": ("id,measured_m\n,4\n", "line 2: id: found nothing"),
    "no number": ("id,measured_m\na,4\nb,fast\n", "line 3: measured_m: found 'fast'"),
    "nothing measured": ("id,measured_m\na,\n", "line 2: measured_m: found nothing"),
    "no way": ("id,measured_m\na,0\n", "allowed a finite number above 0"),
    "endless": ("id,measured_m\na,inf\n", "allowed a finite number above 0"),
    "half a row": ("id,row,measured_m\na,0.5,4\n", "line 2: row: found '0.5'"),
    "row below 0": ("id,row,measured_m\na,-1,4\n", "line 2: row: found '-1'"),
    "a column too many": ("id,measured_m,speed\na,4,1\n", "unknown speed, allowed id, row, measured_m, drive"),
    "a column missing": ("id,row\na,4\n", "allowed measured_m among"),
    "a column twice": ("id,id,measured_m\na,a,4\n", "a name twice"),
    "a cell too many": ("id,measured_m\na,4,5\n", "line 2: row: found 3 cells, allowed 2"),
    "an open quote": ('id,measured_m\n"a,4\n', "line 2"),
    "nothing at all": ("", "found none"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_feedback_file_that_is_none_is_refused(name: str, tmp_path: Path) -> None:
    """Each with the file, its line, the column, what stands there and what is allowed."""
    text, told_of = BAD_FILES[name]
    file = tmp_path / "stops.csv"
    file.write_text(text)
    with pytest.raises(Refused) as caught:
        feedback_file.read(file, ("drive", "surface"))
    assert told_of in str(caught.value)
    assert str(caught.value).startswith(str(file))


def test_a_log_that_is_none_is_refused(log: Log, tmp_path: Path) -> None:
    """No folder, an empty one, another model's, a broken description, a file that cannot be written: in words."""
    file = traffic.stops_file(tmp_path / "s.csv", [("one-0", 0, 9.0)])
    refused(feedback(file, tmp_path / "none", tmp_path), "no such folder", "--prediction-log")
    (tmp_path / "empty").mkdir()
    refused(feedback(file, tmp_path / "empty", tmp_path), "none named")
    refused(feedback(file, log.folder, tmp_path, "--name", "another"), "none named another")
    broken = log.copy(tmp_path / "kept").folder
    described = next(broken.glob("model-*.json"))
    described.write_text("{}")
    refused(feedback(file, broken, tmp_path), str(described), "KeyError")
    done = feedback(file, log.folder, tmp_path, "--output", tmp_path / "out.txt")
    assert done.code == 2
    assert ".csv or .parquet" in done.stderr


def test_a_log_is_read_in_a_stream(log: Log, tmp_path: Path) -> None:
    """What nobody asked for is neither parsed nor kept: a hundred times the log takes no more memory."""
    import tracemalloc

    folder = log.copy(tmp_path / "kept").folder
    text = (folder / "predictions-0.jsonl").read_bytes()
    peaks = []
    for times in (1, 100):
        (folder / "predictions-0.jsonl").write_bytes(text * times)
        tracemalloc.start()
        reading = prediction_log.Reading()
        assert not list(prediction_log.answers(folder, traffic.NAME, {"nobody"}, reading))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert reading.lines == times * (SINGLES + 41)
        assert reading.broken_lines == 0
    assert peaks[1] < peaks[0] + 100_000


def test_people_get_a_table(log: Log, tmp_path: Path) -> None:
    """Without --json: the figures in words, and a hint where the bound is kept less often than promised."""
    file = traffic.stops_file(tmp_path / "s.csv", [(id_, row, 500.0) for id_, row, _ in log.stops()])
    words = ("--predictions", log.folder, "--state", tmp_path, "--output", tmp_path / "out.csv")
    done = command("brakeline", "feedback", file, *words, environment={"COLUMNS": "150"})
    assert done.code == 0, done.stderr
    assert "fail-safe" not in done.stdout
    assert "kept less often than the 99.00% promised" in done.stdout
    assert str(tmp_path / "out.csv") in done.stdout
    found = json.loads((tmp_path / "feedback.json").read_text())["overall"]
    assert found["high"] < 0.99
    assert np.isclose(found["covered"], 1 - found["missed"] / found["rows"], atol=1e-4)
