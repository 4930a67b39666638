"""docs/cluster.md is true: its commands, options and variables are the code's."""

import re
import shlex

import pytest
from brakeline.cli import app
from typer.testing import CliRunner

from tests.conftest import HOUSE

TEXT = (HOUSE / "docs" / "cluster.md").read_text()
COMMANDS = [line.partition("#")[0].strip() for line in TEXT.splitlines() if line.startswith("    brakeline ")]


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_of_the_page_is_understood(line: str) -> None:
    """Its verb is there, and takes each of its options."""
    verb, *words = shlex.split(line)[1:]
    shown = CliRunner().invoke(app, [verb, "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0 and "Example:" in shown.stdout
    for option in (word for word in words if word.startswith("--")):
        assert re.search(rf"{option}\b", shown.stdout), option


def test_every_variable_of_the_page_is_read() -> None:
    """What the table says to set is a name in the code, and what the code reads of these is in the table."""
    told = set(re.findall(r"`(BRAKELINE_\w+)`", TEXT))
    sources = "".join(file.read_text() for file in (HOUSE / "orchestrator/src/brakeline").rglob("*.py"))
    names = {f"BRAKELINE_KFP_{name}" for name in ("URL", "TOKEN_FILE", "CA", "NAMESPACE")}
    assert names <= told
    assert all(name in sources for name in told - names)
    assert "--token" not in sources.replace("--token-file", "")
