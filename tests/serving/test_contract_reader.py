import json
from pathlib import Path

import pytest
from brakeline_serving import contract

GOLDEN = Path(__file__).parents[1] / "data" / "contract-v1.json"


def test_reads_the_golden_contract_and_writes_it_back_byte_for_byte() -> None:
    """The server understands the contract that the steps write, all of it."""
    text = GOLDEN.read_text(encoding="utf-8")
    assert contract.parse(text).to_json() == text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": "another"}, "no contract named brakeline.stop"),
        ({"version": 2}, "found contract version 2, allowed 1"),
        ({"features": []}, "found features none"),
        ({"target": None}, "target"),
        ({"group": 7}, "group"),
    ],
)
def test_refuses_what_is_no_contract_of_its_version(change: dict[str, object], said: str) -> None:
    """A contract that the server does not understand is refused, and the message says why."""
    content = json.loads(GOLDEN.read_text(encoding="utf-8")) | change
    with pytest.raises(ValueError, match=said):
        contract.parse(json.dumps(content))


def test_refuses_a_feature_with_an_empty_range_or_an_unknown_field() -> None:
    """A feature is read in full or not at all."""
    content = json.loads(GOLDEN.read_text(encoding="utf-8"))
    first = content["features"][0]
    for change, said in (({"high": first["low"]}, "low < high"), ({"colour": "red"}, "colour")):
        altered = content | {"features": [first | change, *content["features"][1:]]}
        with pytest.raises(ValueError, match=said):
            contract.parse(json.dumps(altered))
