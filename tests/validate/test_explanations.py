"""What is told of the gates: of each one, and in words that a person can act on."""

from brakeline_validate import gates
from brakeline_validate.explanations import EXPLANATIONS


def test_every_gate_is_explained_and_nothing_else() -> None:
    """The table and its explanations name the same gates."""
    assert set(EXPLANATIONS) == {gate.name for gate in (gates.CONTRACT, *gates.TABLE)}


def test_an_explanation_is_three_whole_sentences_at_least() -> None:
    """What is measured, where the limit comes from, what to do: none is empty, each ends as a sentence does."""
    for name, told in EXPLANATIONS.items():
        for words in (told.measured, told.origin, told.remedy):
            assert words.endswith((".", "?")), name
            assert len(words.split()) >= 2, name
