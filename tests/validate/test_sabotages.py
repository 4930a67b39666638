"""The gate, tested by what it must refuse: every sabotage of the catalogue, each killed by the check meant for it."""

from pathlib import Path

import pytest
from brakeline_validate import gates, physical
from brakeline_validate.candidate import Candidate

from tests.conftest import HOUSE, Chain
from tests.validate.sabotages.attempt import Attempt, Sabotage, cut, failed, judge
from tests.validate.sabotages.catalogue import SABOTAGES
from tests.validate.sabotages.matrix import outcomes
from tests.validate.sabotages.mutants import KINDS, Mutant

# Fewer rows than the gate wants are no evidence; as many are quick.
QUICK_ROWS = 20_000
# The first of each gate is quick enough for every day.
QUICK = list(
    {
        sabotage.gate: sabotage for sabotage in reversed(SABOTAGES) if not sabotage.is_slow and not sabotage.is_driven
    }.values()
)
PAGE = (HOUSE / "docs" / "gate.md").read_text(encoding="utf-8")


def named(sabotage: Sabotage) -> str:
    return sabotage.name


@pytest.mark.parametrize("sabotage", QUICK, ids=named)
def test_a_sabotaged_graph_is_refused_by_its_gate(sabotage: Sabotage, good: Chain, tmp_path: Path) -> None:
    """Each sabotage fails the gate meant for it, though the saboteur covered the tracks."""
    found = judge(good, sabotage.make(good, tmp_path), rows=QUICK_ROWS, whole=False)
    assert sabotage.gate in failed(found)


@pytest.mark.slow
@pytest.mark.parametrize("sabotage", SABOTAGES, ids=named)
def test_every_sabotage_is_refused_as_the_page_says(sabotage: Sabotage, good: Chain) -> None:
    """On all rows, with floor and faulty drives: by its gate, and by the others that docs/gate.md names."""
    (outcome,) = outcomes(good, [sabotage])
    assert outcome.is_killed_as_meant
    assert outcome.row in PAGE, f"the page lacks {outcome.row}"


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_damage_to_a_tenth_of_the_trees_is_seen(kind: str, good: Chain, tmp_path: Path) -> None:
    """By parity where the probes are kept, by behaviour where they were made to agree."""
    damage = Mutant(kind, 0.1, 0).damage
    (tmp_path / "kept").mkdir()
    kept = cut(damage, keeps_probes=True)(good, tmp_path / "kept")
    assert physical.parity(Candidate.load(kept.model)) > 1e-4
    assert "parity" not in (found := failed(judge(good, cut(damage)(good, tmp_path))))
    assert found


def test_the_honest_model_passes_beside_them(good: Chain) -> None:
    """The model that all of them were made from fails no gate."""
    assert failed(judge(good, Attempt(good.model))) == set()


def test_every_gate_is_meant_for_a_sabotage() -> None:
    """A gate that no sabotage was made for might be one that cannot fail."""
    assert {sabotage.gate for sabotage in SABOTAGES} == {gate.name for gate in (gates.CONTRACT, *gates.TABLE)}


def test_there_are_many_and_no_two_are_the_same() -> None:
    """At least 28, each with a name of its own."""
    assert len({sabotage.name for sabotage in SABOTAGES}) == len(SABOTAGES) >= 28
