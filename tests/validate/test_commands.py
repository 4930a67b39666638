"""What a person asks of the gate: its scenarios, a gate explained, some runs driven, a verdict given again."""

import json
from pathlib import Path

import pytest
from brakeline_validate import gates
from brakeline_validate.explanations import EXPLANATIONS
from brakeline_validate.loop.closed_loop import SCENARIOS

from tests.conftest import Chain, Done, command


def replay(chain: Chain, verdict: Path, **instead: Path) -> Done:
    words: list[object] = ["brakeline-validate", "replay", "--verdict", verdict]
    for option in ("model", "holdout", "faulty", "floor", "champion"):
        words += [f"--{option}", instead.get(option, chain.folder / option)]
    return command(*words)


def test_the_scenarios_are_listed_one_a_line() -> None:
    """`--list-scenarios` names every row, with its road and what is held against it, and loads no model to do so."""
    lines = command("brakeline-validate", "--list-scenarios").stdout.splitlines()
    assert len(lines) == len(SCENARIOS) + 1
    for one, line in zip(SCENARIOS, lines[1:], strict=True):
        assert line.startswith(one.name)
        assert f" {one.road} " in line
        assert " %" in line


@pytest.mark.parametrize("gate", ["bound missed", "hits, worst scenario"])
def test_a_gate_is_explained(gate: str) -> None:
    """`--explain GATE` says limit, reason, who is hurt, what is measured and what to do."""
    told = command("brakeline-validate", "--explain", gate).stdout
    (known,) = (each for each in gates.TABLE if each.name == gate)
    for words in (gate, f"{known.limit:g}", known.reason, known.hurt, EXPLANATIONS[gate].remedy):
        assert words in told


def test_every_gate_is_explained_and_nothing_else() -> None:
    """`--explain all` names each gate of the table; explanations of gates that are gone are gone too."""
    names = [gate.name for gate in (gates.CONTRACT, *gates.TABLE)]
    lines = command("brakeline-validate", "--explain", "all").stdout.splitlines()
    assert [line.partition(":")[0] for line in lines] == names
    assert set(EXPLANATIONS) == set(names)


def test_an_unknown_gate_is_a_usage_error_that_guesses() -> None:
    """A misspelt gate ends with a usage error and the names near to it."""
    done = command("brakeline-validate", "--explain", "bound mised")
    assert done.code == 2
    assert "bound missed" in done.error["message"]


def test_one_scenario_is_driven_alone(tiny: Chain) -> None:
    """`drive --only` tells how its runs went, in short on stderr and whole on stdout."""
    name = "FMVSS 127: standing, 50 km/h"
    done = command("brakeline-validate", "drive", "--model", tiny.model, "--only", name, "--runs", "12")
    assert done.code == 0, done.stderr
    (driven,) = done.result["scenarios"].values()
    assert driven["nuisance"]["runs"] == 12
    told = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["scenario"] for line in told if line["event"] == "driven"] == [name]


def test_a_name_that_no_scenario_has_is_a_usage_error(tiny: Chain) -> None:
    """Nothing to drive is no result."""
    done = command("brakeline-validate", "drive", "--model", tiny.model, "--only", "moon")
    assert done.code == 2
    assert "--list-scenarios" in done.error["message"]


def test_a_verdict_is_given_again(tiny: Chain) -> None:
    """On the same artifacts it comes out the same, passed or not, with as many runs as it rests on."""
    done = replay(tiny, tiny.verdict)
    assert done.code == 0, done.stderr
    assert done.result["passed"] is False


def test_an_altered_verdict_does_not_come_out_again(tiny: Chain, tmp_path: Path) -> None:
    """One figure changed by hand is named, with what the gate says instead."""
    content = json.loads(tiny.verdict.read_text())
    content["gates"][0]["passed"] = not content["gates"][0]["passed"]
    altered = tmp_path / "verdict"
    altered.write_text(json.dumps(content))
    done = replay(tiny, altered)
    assert done.code == 65
    assert done.error["field"] == "gates[0].passed"


@pytest.mark.parametrize("content", ["[]", "{}", '{"gate_version": 1, "runs_per_scenario": 4}', "{"])
def test_what_is_no_verdict_of_this_gate_is_bad_data(content: str, tiny: Chain, tmp_path: Path) -> None:
    """Another gate's verdict cannot be replayed, and says so."""
    (tmp_path / "verdict").write_text(content)
    assert replay(tiny, tmp_path / "verdict").code == 65


def test_few_runs_show_little_and_so_fail(tiny: Chain) -> None:
    """With four runs a row no rate can be shown to be low: the loop's gates fail closed, whatever the model."""
    found = {gate["name"]: gate for gate in json.loads(tiny.verdict.read_text())["gates"]}
    assert not found["needless braking, worst scenario"]["passed"]
    assert not found["hits, worst scenario"]["passed"]
