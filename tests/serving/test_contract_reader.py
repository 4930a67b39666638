import json
from pathlib import Path

import pytest
from brakeline_serving import contract
from stepkit import contract as of_the_steps

DATA = Path(__file__).parents[1] / "data"
GOLDEN = {version: (DATA / f"contract-v{version}.json").read_text(encoding="utf-8") for version in (1, 2)}
every_version = pytest.mark.parametrize("golden", GOLDEN.values(), ids=[f"contract {version}" for version in GOLDEN])


@every_version
def test_reads_a_golden_contract_and_writes_it_back_byte_for_byte(golden: str) -> None:
    """The server understands the contract that the steps write, all of it, in every version that it supports."""
    assert contract.parse(golden).to_json() == golden.strip()


def test_reads_the_versions_that_the_steps_read() -> None:
    """Server and steps are told of a new version together, and each has its golden file."""
    assert contract.SUPPORTED_VERSIONS == of_the_steps.SUPPORTED_VERSIONS == tuple(GOLDEN)


@every_version
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "another"}, "no contract named brakeline.stop"),
        ({"version": 3}, "found contract version 3, allowed 1, 2"),
        ({"features": []}, "found features none"),
        ({"target": None}, "target"),
        ({"group": 7}, "group"),
    ],
)
def test_refuses_what_is_no_contract_of_its_version(change: dict[str, object], said: str, golden: str) -> None:
    """A contract that the server does not understand is refused, and the message says why."""
    content = json.loads(golden) | change
    with pytest.raises(ValueError, match=said):
        contract.parse(json.dumps(content))


@every_version
def test_refuses_a_feature_with_an_empty_range_or_an_unknown_field(golden: str) -> None:
    """A feature is read in full or not at all."""
    content = json.loads(golden)
    first = content["features"][0]
    for change, said in (({"high": first["low"]}, "low < high"), ({"colour": "red"}, "colour")):
        altered = content | {"features": [first | change, *content["features"][1:]]}
        with pytest.raises(ValueError, match=said):
            contract.parse(json.dumps(altered))
