"""Each step's README: verbs with what they take and make, as the step describes itself; and what it prints."""

import json
import re

import pytest

from tests.conftest import HOUSE, Chain, command
from tests.paper import commands

every_step = pytest.mark.parametrize("step", commands.STEPS)


def page(step: str) -> str:
    return (HOUSE / "steps" / step / "README.md").read_text()


def named(cell: str) -> set[str]:
    return set(re.findall(r"`(\w+)`", cell))


def rows(step: str) -> dict[str, tuple[str, str]]:
    """Takes and makes by verb, as the cells stand."""
    found = dict[str, tuple[str, str]]()
    table = page(step).partition("| verb | takes | makes | does |\n|---|---|---|---|\n")[2]
    for line in table.partition("\n\n")[0].splitlines():
        verbs, takes, makes, *_ = (cell.strip() for cell in line[1:].split("|"))
        found |= dict.fromkeys(named(verbs), (takes, makes))
    return found


@every_step
def test_verbs_inputs_and_outputs_are_those_of_the_step(step: str) -> None:
    """By its own `--describe`; an input that repeats is said to."""
    described = {verb["verb"]: verb for verb in json.loads(command(f"brakeline-{step}", "--describe").stdout)["verbs"]}
    told = rows(step)
    assert told.keys() == described.keys()
    before = ""
    for name, verb in described.items():
        takes, makes = told[name]
        # The table says it shorter where a verb takes what the one before it does.
        takes, before = takes.replace("the same", before), takes
        assert named(takes) == set(verb["inputs"]), name
        assert named(makes) == set(verb["outputs"]), name
        many = {option for option, about in verb["inputs"].items() if about["many"]}
        assert set(re.findall(r"`(\w+)` \(many\)", takes)) == many, name


@every_step
def test_statuses_are_told(step: str) -> None:
    """Each README says what the step ends with; without a service there is no 69."""
    (told,) = re.findall(r"^Ends with .*?\n\n|^Ends with .*\Z", page(step), re.MULTILINE | re.DOTALL)
    found = {int(number) for number in re.findall(r"\b(\d{1,3})\b", told)}
    assert {0, 2, 65, 70, 75, 143} <= found <= {0, 2, 65, 69, 70, 75, 143}
    assert (69 in found) is (step in {"register", "deploy"})


def shown(step: str) -> dict[str, object]:
    """The line of result that a README shows."""
    (line,) = re.findall(r'^    (\{"step": .*\})$', page(step), re.MULTILINE)
    return dict(json.loads(line))


def held(step: str, result: dict[str, object]) -> None:
    """What is shown is part of what is printed, numbers and hashes aside."""
    line = shown(step)
    assert {key: result.get(key) for key in ("step", "verb", "status")} == {
        key: line[key] for key in ("step", "verb", "status")
    }
    assert line.keys() <= result.keys()
    artifacts, printed = line["artifacts"], result["artifacts"]
    assert isinstance(artifacts, dict) and isinstance(printed, dict)
    for name, made in artifacts.items():
        assert made["metadata"].keys() <= printed[name]["metadata"].keys()


def test_what_is_shown_is_what_is_printed(tiny: Chain, tmp_path: object) -> None:
    """For a verb of each step that shows one, called for real."""
    out, chain = tmp_path, tiny.folder
    calls = {
        "synthesize": f"assemble --parts {chain}/part --recorded {chain}/recorded.csv --dataset {out}/dataset "
        f"--holdout {out}/holdout --faulty {out}/faulty --rejects {out}/rejects",
        "train": f"fit --dataset {chain}/dataset --results {chain}/results --model {out}/model",
        "register": f"record --verdict {chain}/verdict --recorded {out}/recorded --registry sqlite:///{out}/r.sqlite",
        "deploy": f"status --model-store {out}/store",
    }
    for step, words in calls.items():
        done = command(f"brakeline-{step}", *words.split())
        assert done.code == 0, done.stderr
        held(step, done.result)
