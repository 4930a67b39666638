"""Options of a step: what their parsers take, and what they refuse."""

from typing import Annotated

import pytest
import typer
from stepkit.app import Result, StepApp
from stepkit.signature import read_signature, share, whole_number


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


def test_a_step_answers_questions_before_its_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    """A question with a value and one without are options of the step itself; `--help` tells them; verbs still run."""
    app = StepApp("toy", "1", "A toy.")

    @app.question("--list-toys")
    def toys(_: str) -> str:
        """List the toys."""
        return "bear, ball"

    @app.question("--explain", about="TOY")
    def explain(toy: str) -> str:
        """Explain a toy."""
        return f"what a {toy} is"

    @app.step("play", of_the_world=True)
    def play() -> Result:
        """Play."""
        return Result(facts={"played": True})

    def said(*words: str) -> str:
        app(list(words), standalone_mode=False)
        return capsys.readouterr().out

    assert said("--list-toys") == "bear, ball\n"
    assert said("--explain", "bear") == "what a bear is\n"
    assert '"played": true' in said("play")
    told = said("--help")
    assert "Explain a toy." in told
    assert "TOY" in told
    assert "--version" in told
