"""`brakeline schedule`: cron as the scheduler reads it, made once, looked after."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice

import pytest
from brakeline import cron, schedules
from brakeline.access import Access, Refused, UnusableAccess
from brakeline.cli import app
from typer.testing import CliRunner

from tests.cluster.conftest import SMALL
from tests.cluster.kfp_server import Api, Fault

# A Tuesday.
START = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "six", "coming"),
    [
        ("0 3 * * *", "0 0 3 * * *", ["2026-11-25T03:00:00", "2026-11-26T03:00:00"]),
        ("*/30 12 * * *", "0 */30 12 * * *", ["2026-11-24T12:30:00", "2026-11-25T12:00:00"]),
        ("15 0 3 * * *", "15 0 3 * * *", ["2026-11-25T03:00:15", "2026-11-26T03:00:15"]),
        ("0 3 * * mon-fri", "0 0 3 * * mon-fri", ["2026-11-25T03:00:00", "2026-11-26T03:00:00"]),
        ("0 3 29 2 *", "0 0 3 29 2 *", ["2028-02-29T03:00:00", "2032-02-29T03:00:00"]),
        ("0 3 1 * 0", "0 0 3 1 * 0", ["2026-11-29T03:00:00", "2026-12-01T03:00:00"]),
        ("0 3 */31 * sun", "0 0 3 */31 * sun", ["2027-08-01T03:00:00", "2028-10-01T03:00:00"]),
        ("0 3 1,15 JAN ?", "0 0 3 1,15 JAN ?", ["2027-01-01T03:00:00", "2027-01-15T03:00:00"]),
    ],
)
def test_five_fields_become_six_and_come_when_said(text: str, six: str, coming: list[str]) -> None:
    """Worked by hand from Tuesday 2026-11-24 12:00 UTC; where neither day nor weekday has a star, either will do."""
    parsed = cron.parse(text)
    assert parsed.text == six and parsed.converted == (len(text.split()) == 5)
    assert [at.isoformat()[:19] for at in islice(parsed.next(START), 2)] == coming


@pytest.mark.parametrize(
    "text",
    ["", "0 3 * *", "60 3 * * *", "0 24 * * *", "0 3 0 * *", "0 3 * 13 *", "0 3 * * 7", "0 3 30 2 *", "a b c d e",
     "0 3 * * * * *", "5-1 3 * * *", "*/0 3 * * *", "@daily", "0,,1 3 * * *", "-1 3 * * *", "\u00b2 3 * * *"],
)  # fmt: skip
def test_what_would_never_come_or_is_no_cron_is_refused(text: str) -> None:
    """Each says what is allowed; 30 February is no day, and the scheduler's Sunday is 0."""
    with pytest.raises(UnusableAccess, match="cron"):
        cron.parse(text)


def test_a_schedule_never_runs_twice_at_once_nor_catches_up(way: Access, api: Api) -> None:
    """What is sent: the six-field cron, one run at a time, no times that were missed; and it is said."""
    said: list[str] = []
    made = schedules.add(way, SMALL, "0 3 * * *", tell=said.append)
    (kept,) = api.state.schedules.values()
    assert kept["trigger"]["cron_schedule"]["cron"] == "0 0 3 * * *"
    assert (kept["max_concurrency"], kept["no_catchup"], kept["mode"]) == ("1", True, "ENABLE")
    assert kept["runtime_config"]["parameters"]["rows"] == 20_000
    assert made["made"] and made["next"][0].endswith("03:00:00+00:00")
    assert any("0 0 3 * * *" in line and "UTC" in line for line in said)


@pytest.mark.parametrize("kind", ["", "lost", 500])
def test_the_same_schedule_is_found(way: Access, api: Api, kind: str | int) -> None:
    """Said twice, or its answer lost: one schedule. Another time or other parameters are another."""
    if kind:
        api.faults.append(Fault("CreateRecurringRun", kind))
    first = schedules.add(way, SMALL, "0 3 * * *")
    again = schedules.add(way, SMALL, "0 3 * * *")
    assert first["schedule"] == again["schedule"] and (first["made"], again["made"]) == (True, False)
    schedules.add(way, SMALL, "0 4 * * *")
    schedules.add(way, replace(SMALL, seed=1), "0 3 * * *")
    assert len(api.state.schedules) == 3


def test_schedules_are_listed_paused_resumed_and_deleted(way: Access, api: Api) -> None:
    """By name or id; a deletion whose answer was lost, and came again, is done."""
    made = schedules.add(way, SMALL, "0 3 * * *")
    assert schedules.change(way, "pause", made["name"])["state"] == "DISABLED"
    assert schedules.every(way)[0]["state"] == "DISABLED" and schedules.every(way)[0]["next"] == []
    assert schedules.change(way, "resume", made["schedule"])["state"] == "ENABLED"
    with pytest.raises(Refused, match=made["name"]):
        schedules.change(way, "pause", "another")
    api.faults.append(Fault("DeleteRecurringRun", 404))
    assert schedules.change(way, "delete", made["name"])["state"] == "DELETED"
    assert schedules.change(way, "delete", made["name"])["state"] == "DELETED"
    assert schedules.every(way) == []


def test_schedules_of_others_are_listed_too(way: Access, api: Api) -> None:
    """One whose cron is not ours to read has no times that are told, and keeps nobody from ours or from itself."""
    other, ours = schedules.add(way, SMALL, "0 3 * * *"), schedules.add(way, SMALL, "0 4 * * *")
    api.state.schedules[other["schedule"]]["trigger"]["cron_schedule"]["cron"] = "@daily"
    known = {one["name"]: one for one in schedules.every(way)}
    assert (known[other["name"]]["cron"], known[other["name"]]["next"]) == ("@daily", [])
    assert known[ours["name"]]["next"]
    assert schedules.change(way, "pause", other["name"])["state"] == "DISABLED"


def test_the_verb_lists_for_people_and_machines(way: Access, api: Api) -> None:
    """A table and one object, from the command line alone."""
    done = CliRunner().invoke(app, ["schedule", "0 3 * * *", "--rows", "20000", "--json"])
    assert done.exit_code == 0, done.output
    name = json.loads(done.stdout)["name"]
    assert json.loads(CliRunner().invoke(app, ["schedule", "list", "--json"]).stdout)["schedules"][0]["name"] == name
    assert "0 0 3 * * *" in CliRunner().invoke(app, ["schedule", "list"], env={"COLUMNS": "200"}).stdout
    assert CliRunner().invoke(app, ["schedule", "0 3 * *"]).exit_code == 2
