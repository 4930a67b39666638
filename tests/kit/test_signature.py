"""Options of a step: what their parsers take, and what they refuse."""

import json
import time
from pathlib import Path
from typing import Annotated

import pytest
import typer
from stepkit.app import Result
from stepkit.signature import read_signature, share, whole_number

from tests.conftest import Done, command

TOY = Path(__file__).with_name("toy_step.py")


def parsed(option: object, text: str) -> object:
    parse = getattr(option, "parser", None)
    assert parse is not None
    return parse(text)


@pytest.mark.parametrize(("text", "number"), [("0", 0.0), ("0.1", 0.1), ("1e-1", 0.1), ("1.0", 1.0), ("1", 1.0)])
def test_shares_are_read_tolerantly(text: str, number: float) -> None:
    """A share is any way to write a number from 0 to 1, both ends included."""
    assert parsed(share("any"), text) == number


@pytest.mark.parametrize("text", ["-0.1", "1.01", "10%", "nan", "inf", "", "half"])
def test_what_is_no_share_is_refused(text: str) -> None:
    """Anything else is a usage error that says what was found and what is allowed."""
    with pytest.raises(typer.BadParameter, match="allowed a number from 0 to 1"):
        parsed(share("any"), text)


def test_a_share_is_described_as_a_number() -> None:
    """`--describe` tells a share's type and default apart from a whole number's."""

    def verb(
        most: Annotated[float, share("The most")] = 0.25, rows: Annotated[int, whole_number("Rows")] = 3
    ) -> Result:
        """Do nothing."""
        return Result()

    described = read_signature(verb, "verb").parameters
    assert described["most"] == {"type": "NUMBER", "description": "The most", "default": 0.25}
    assert described["rows"]["type"] == "INTEGER"


def test_an_optional_input_may_be_left_out(tmp_path: Path) -> None:
    """Without it the step is handed None; with it a file that must be there; and the signature says so."""
    for words, found in (((), "nothing"), (("--source", str(TOY)), TOY.read_text())):
        assert toy("choose", "--chosen", str(tmp_path / "chosen"), *words).code == 0
        assert (tmp_path / "chosen").read_text() == found
        assert toy("choose", "--chosen", str(tmp_path / "chosen"), "--reuse", *words).result["status"] == "done"
    assert toy("choose", "--chosen", str(tmp_path / "chosen"), "--source", str(tmp_path / "none")).code == 65
    assert json.loads(toy("choose", "--describe").stdout)["inputs"]["source"]["optional"] is True
    assert json.loads(toy("count", "--describe").stdout)["inputs"]["source"]["optional"] is False


def test_a_step_answers_questions_before_its_verbs() -> None:
    """A question with a value and one without are options of the step itself; `--help` tells them; verbs still run."""
    assert toy("--list-toys").stdout == "bear, ball\n"
    assert toy("--explain", "bear").stdout == "what a bear is\n"
    assert toy("tell").result["verb"] == "tell"
    told = toy("--help").stdout
    for words in ("List the toys.", "Explain a toy.", "TOY", "--version"):
        assert words in told


def test_a_question_that_has_no_answer_is_an_error() -> None:
    """It ends as a verb's error does: a line that says what was found, and the error's exit status."""
    refused = toy("--explain", "moon")
    assert refused.code == 2
    assert refused.error["found"] == "moon"
    assert refused.stdout == ""


def test_told_to_end_a_step_says_only_that(tmp_path: Path) -> None:
    """SIGTERM takes away what the work has staged: the error which that causes does not become the exit status."""
    for number in range(5):
        ended = toy("linger", "--kept", str(tmp_path / str(number)))
        assert ended.code == 143
        assert ended.error["event"] == "Terminated"
    assert list(tmp_path.iterdir()) == []


def test_told_to_end_a_step_takes_back_what_it_did_to_the_world(tmp_path: Path) -> None:
    """All that is open, whatever fails among it, which is told; what takes longer than there is time is told too."""
    ended = toy("occupy", "--place", str(tmp_path))
    assert (ended.code, list(tmp_path.iterdir())) == (143, [])
    assert "never made" in ended.stderr
    began = time.monotonic()
    ended = toy("occupy", "--place", str(tmp_path), "--seconds", "30")
    assert ended.code == 143
    assert time.monotonic() - began < 10, "the start of a process, and the second that it has to end"
    assert '"not_taken_back"' in ended.stderr
    assert len(list(tmp_path.iterdir())) == 2


def toy(*words: str) -> Done:
    """The toy step as a process: run here, it would keep this one's children from hearing SIGTERM."""
    return command("python", TOY, *words)
