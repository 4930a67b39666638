"""The gate, tested by what it must refuse: every sabotage of the catalogue, each killed by the check meant for it."""

from pathlib import Path

import pytest
from brakeline_validate import gates

from tests.conftest import Chain
from tests.validate.sabotages.attempt import Attempt, Sabotage, failed, judge
from tests.validate.sabotages.catalogue import SABOTAGES

# Fewer rows than the gate wants are no evidence; as many are quick.
QUICK_ROWS = 20_000
# The first of each gate is quick enough for every day; the rest, and what is trained, take their minutes.
QUICK = list({sabotage.gate: sabotage for sabotage in reversed(SABOTAGES) if not sabotage.is_slow}.values())
SLOW = [sabotage for sabotage in SABOTAGES if sabotage not in QUICK]
# Gates that have sabotages of their own elsewhere.
ELSEWHERE: set[str] = set()


def named(sabotage: Sabotage) -> str:
    return sabotage.name


@pytest.mark.parametrize("sabotage", QUICK, ids=named)
def test_a_sabotaged_graph_is_refused_by_its_gate(sabotage: Sabotage, good: Chain, tmp_path: Path) -> None:
    """Each sabotage fails the gate meant for it, though the saboteur covered the tracks."""
    found = judge(good, sabotage.make(good, tmp_path), rows=QUICK_ROWS, whole=False)
    assert not found.passed
    assert sabotage.gate in failed(found)


@pytest.mark.slow
@pytest.mark.parametrize("sabotage", SLOW, ids=named)
def test_every_other_sabotage_is_refused_by_its_gate(sabotage: Sabotage, good: Chain, tmp_path: Path) -> None:
    """Also what a broken pipeline exports in good faith, and what only floor or faulty drives show."""
    found = judge(good, sabotage.make(good, tmp_path))
    assert not found.passed
    assert sabotage.gate in failed(found)


def test_the_honest_model_passes_beside_them(good: Chain) -> None:
    """The model that all of them were made from fails no gate."""
    assert failed(judge(good, Attempt(good.model))) == set()


def test_every_gate_is_meant_for_a_sabotage() -> None:
    """A gate that no sabotage was made for might be one that cannot fail."""
    assert {sabotage.gate for sabotage in SABOTAGES} == {
        gate.name for gate in (gates.CONTRACT, *gates.TABLE)
    } - ELSEWHERE


def test_there_are_many_and_no_two_are_the_same() -> None:
    """At least 28, each with a name of its own."""
    assert len({sabotage.name for sabotage in SABOTAGES}) == len(SABOTAGES) >= 28
