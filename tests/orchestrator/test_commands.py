"""Every command of `brakeline`: how it is asked for its result, and how it shows its use."""

from collections.abc import Iterator
from typing import Any

import pytest
from brakeline.cli import app
from typer.core import TyperGroup
from typer.main import get_command


def commands(group: Any, name: str = "brakeline") -> Iterator[tuple[str, Any]]:
    for verb, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands(command, f"{name} {verb}")
        else:
            yield f"{name} {verb}", command


ALL = dict(commands(get_command(app)))


@pytest.mark.parametrize("name", ALL)
def test_every_command_tells_its_result_as_json_and_shows_an_example(name: str) -> None:
    """`--json` is an option of it, or JSON is all that it prints; its help has an example that begins with its name."""
    known = {option for parameter in ALL[name].params for option in parameter.opts}
    # Its whole result is one JSON line on any terminal.
    assert "--json" in known or name == "brakeline compile"
    assert f"Example: {name}" in " ".join((ALL[name].help or "").split())


def test_the_commands_are_those_of_the_orchestrators_page() -> None:
    """None is lost on the way to the command line."""
    assert {name.split()[1] for name in ALL} == {
        "compile", "run", "demo", "models", "deploy", "rollback", "lineage", "submit", "schedule", "runs", "wait",
        "logs", "explain-cache", "doctor", "prune", "feedback", "watch",
    }  # fmt: skip
