"""--compare: a change is beyond the rounds' own spread; what cannot be judged is not called better or worse."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import _compare
import pytest
from _compare import Change
from _results import Entry, Results

from tests.bench.conftest import Room

MACHINE: dict[str, Any] = {"cpu": "a cpu", "cores": 2, "memory_gb": 8, "system": "Linux", "python": "3.11.7"}


def entry(bench: str, *figures: dict[str, Any], status: str = "done", why: str = "") -> Entry:
    return Entry(bench, status, False, "2026-01-02 03:04", "abc", 1.0, 1.0, MACHINE, why=why, figures=list(figures))


def figure(rounds: list[float], aim: str | None = None, met: bool | None = None, name: str = "f") -> dict[str, Any]:
    middle = sorted(rounds)[len(rounds) // 2]
    return {"name": name, "value": middle, "unit": "ratio", "aim": aim, "met": met, "rounds": rounds}


def results(*entries: Entry) -> Results:
    return Results(False, MACHINE, list(entries))


def change(old: dict[str, Any], new: dict[str, Any]) -> Change:
    (found,) = _compare.changes(results(entry("b", old)), results(entry("b", new)))
    return found


BEFORE = [10.0, 11.0, 12.0]  # a spread of 2, as has each below


@pytest.mark.parametrize(
    ("after", "aim", "verdict"),
    [
        (BEFORE, ">= 1", _compare.SAME),
        ([14.0, 15.0, 16.0], ">= 1", _compare.WITHIN),
        ([14.1, 15.1, 16.1], ">= 1", _compare.BETTER),
        ([14.1, 15.1, 16.1], "<= 20", _compare.WORSE),
        ([14.1, 15.1, 16.1], None, _compare.MOVED),
        ([6.0, 7.0, 8.0], ">= 1", _compare.WITHIN),
        ([5.9, 6.9, 7.9], ">= 1", _compare.WORSE),
        ([5.9, 6.9, 7.9], "<= 20", _compare.BETTER),
        ([90.0], ">= 1", _compare.ONE_ROUND),
    ],
)
def test_a_verdict_at_the_spread_and_beside_it(after: list[float], aim: str | None, verdict: str) -> None:
    """As far as both spreads nothing has changed; just beyond it is better or worse by the aim, or has moved."""
    found = change(figure(BEFORE, aim, True if aim else None), figure(after, aim, True if aim else None))
    assert found.verdict == verdict
    assert found.is_worse is (verdict == _compare.WORSE)
    assert found.ratio == pytest.approx(sorted(after)[len(after) // 2] / 11.0)


def test_an_aim_that_one_round_loses_is_worse() -> None:
    """Shares and sizes have one round and no spread: told, and worse only where the aim was met and is not."""
    kept = change(figure([1.0], ">= 0.9", met=True), figure([0.95], ">= 0.9", met=True))
    assert (kept.verdict, kept.is_worse, kept.is_told) == (_compare.ONE_ROUND, False, True)
    lost = change(figure([1.0], ">= 1", met=True), figure([0.99], ">= 1", met=False))
    assert (lost.old_met, lost.new_met, lost.is_worse) == (True, False, True)


def test_an_aim_lost_within_the_spread_is_told_and_not_worse() -> None:
    """The rounds still meet: the aim was met and is not, which is shown."""
    found = change(figure([1.0, 1.1, 1.2], ">= 1.05", met=True), figure([0.9, 1.0, 1.1], ">= 1.05", met=False))
    assert (found.verdict, found.is_told, found.is_worse) == (_compare.WITHIN, True, False)


def test_what_is_not_measured_any_more_is_told_with_its_reason() -> None:
    """A bench that fails, or is skipped, loses an aim that was met; a new figure is new."""
    old = results(entry("b", figure([1.0], ">= 1", met=True)))
    new = results(entry("b", status="skipped", why="no engine"), entry("c", figure([1.0])))
    gone, come = _compare.changes(old, new)
    assert (gone.verdict, gone.why, gone.is_worse) == (_compare.GONE, "skipped: no engine", True)
    assert (come.verdict, come.is_worse) == (_compare.NEW, False)


def test_machines_that_differ_are_not_compared_as_one() -> None:
    """Both values are shown; none is better or worse, however far apart."""
    old = results(entry("b", figure(BEFORE, ">= 1", met=True)))
    new = replace(results(entry("b", figure([0.1, 0.1], ">= 1", met=False))), machine={**MACHINE, "cores": 64})
    (found,) = _compare.changes(old, new)
    assert (found.old, found.new, found.verdict, found.is_worse) == (11.0, 0.1, _compare.ELSEWHERE, False)


def test_quick_and_full_are_refused() -> None:
    """Their sizes differ, so their figures are not of the same thing."""
    with pytest.raises(_compare.NotComparable, match="old figures are quick and the new ones full"):
        _compare.changes(replace(results(), quick=True), results())


def _alter(file: Path, to: Path, rounds: list[float], **machine: object) -> None:
    told = json.loads(file.read_text())
    told["machine"] |= machine
    told["benches"][0]["figures"][0] |= {"rounds": rounds, "value": rounds[0], "met": True}
    to.write_text(json.dumps(told))


def test_the_command_tells_and_fails_only_if_asked(room: Room) -> None:
    """Status 0 with what is worse in words; 1 with --fail-on-worse; nothing is run."""
    room.bench("one", "")
    assert room.call().returncode == 0
    old = room.folder / "old.json"
    _alter(room.folder / "results.json", old, [7.0, 8.0])
    done = room.call("--compare", str(old))
    assert done.returncode == 0, done.stderr
    assert "worse: one: made" in done.stderr
    assert "│ 7 " in done.stdout
    assert room.call("--compare", str(old), "--fail-on-worse").returncode == 1
    told = json.loads(room.call("--compare", str(old), "--json").stdout)
    assert told["same_machine"] is True
    assert [each["verdict"] for each in told["figures"]] == [_compare.WORSE]
    same = room.call("--compare", str(room.folder / "results.json"), "--fail-on-worse")
    assert same.returncode == 0
    assert "1 of 1 figures are as they were" in same.stdout
    assert room.runs("one") == 1


def test_the_command_says_that_machines_differ(room: Room) -> None:
    """Plainly, with both; what cannot be judged is no pass where a judgement was asked for."""
    room.bench("one", "")
    room.call()
    old = room.folder / "old.json"
    _alter(room.folder / "results.json", old, [7.0, 8.0], cpu="of another make")
    done = room.call("--compare", str(old))
    assert done.returncode == 0
    assert "measured on different machines" in done.stderr
    assert "old: of another make" in done.stderr
    assert "worse: " not in done.stderr
    assert room.call("--compare", str(old), "--fail-on-worse").returncode == 1


def test_the_command_refuses_quick_beside_full_and_what_is_no_result(room: Room) -> None:
    """Status 2, and one line that says why."""
    room.bench("one", "")
    room.call()
    assert "not there" in room.call("--quick", "--compare", str(room.folder / "results.json")).stderr
    room.call("--quick")
    refused = room.call("--quick", "--compare", str(room.folder / "results.json"))
    assert refused.returncode == 2
    assert "the old figures are full and the new ones quick" in refused.stderr
    for content, why in (("{", "cannot be read as JSON"), ("{}", "form is None"), ('{"form": 1}', "is no result of")):
        (room.folder / "old.json").write_text(content)
        refused = room.call("--compare", str(room.folder / "old.json"))
        assert refused.returncode == 2
        assert why in refused.stderr
