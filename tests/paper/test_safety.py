"""docs/safety.md names gates, tests and figures that there are, leaves no gate out, and claims no regulation."""

import re

import pytest
from brakeline_validate import gates

from tests.conftest import HOUSE
from tests.paper import commands
from tests.validate.sabotages.catalogue import SABOTAGES

PAGE = (HOUSE / "docs" / "safety.md").read_text()
KNOWN = {gate.name for gate in (*gates.TABLE, gates.CONTRACT)}
CLAIMS = [line.strip("|").split("|") for line in re.findall(r"^\| \d+ \|.*$", PAGE, re.MULTILINE)]

CLAIMING = re.compile(r"\b(compl(y|ies|iant|iance)|conform(s|ing)?\b|fulfil|certifi|homologat|approved|meets)")


def in_code(text: str) -> set[str]:
    return {" ".join(name.split()) for name in re.findall(r"`([^`]+)`", text)}


def test_each_claim_names_gates_tests_and_assumptions_that_there_are() -> None:
    """Gates by their names, tests by their files; and each claim says what it holds only if."""
    assert [int(number) for number, *_ in CLAIMS] == list(range(1, len(CLAIMS) + 1))
    for number, claim, of_gates, tests, only_if in CLAIMS:
        assert in_code(of_gates) <= KNOWN, claim
        assert all((HOUSE / test).is_file() for test in in_code(tests)) and in_code(tests), claim
        assert only_if.strip() or "missing refuses" in claim, number


def test_no_gate_is_left_out() -> None:
    """Each is evidence of a claim, or is said to be of none."""
    claimed = {gate for _, _, of_gates, *_ in CLAIMS for gate in in_code(of_gates)}
    (others,) = re.findall(r"no claim of safety rests on them alone: (.*?)\.\n", PAGE, re.DOTALL)
    assert in_code(others) | claimed == KNOWN
    assert in_code(others) & claimed == set()


def test_figures_of_the_page_are_those_of_the_gates_page() -> None:
    """How many sabotages, how many honest models, and what a stuck friction reading does."""
    measured = (HOUSE / "docs" / "gate.md").read_text()
    sabotages = re.search(r"<!-- sabotages -->\n(.*?)<!-- end -->", measured, re.DOTALL)
    honest = re.search(r"<!-- honest -->\n(.*?)<!-- end -->", measured, re.DOTALL)
    assert sabotages and honest
    count = len(sabotages[1].strip().splitlines()) - 2
    assert f"{count} sabotages" in PAGE
    assert count == len(SABOTAGES)
    assert len(honest[1].strip().splitlines()) - 2 == 20 and "twenty\nhonest" in PAGE
    for figures in ("0 %", "55 %", "99 %"):
        assert figures in PAGE and figures in measured


@pytest.mark.parametrize("page", commands.pages(), ids=lambda page: str(page.relative_to(HOUSE)))
def test_no_sentence_claims_a_regulation(page: object) -> None:
    """Scenarios are after them; nothing complies, conforms to, fulfils, or is certified or homologated by one."""
    text = " ".join((HOUSE / str(page)).read_text().split())
    for sentence in re.split(r"(?<=[.!?:;]) ", text):
        if re.search(r"R152|FMVSS|NCAP|ISO ?26262|UN R13|regulation", sentence):
            claims = CLAIMING.search(sentence)
            assert not claims or re.search(r"\b(no|not|nothing|never)\b", sentence), sentence
