"""Which steps the contract's tests hold to it: ours, or those of a table that `--step` names."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Chain
from tests.steps.verbs import GUARDED, VERBS, Verb

FIELDS = {"step", "program", "verbs"}
VERB_FIELDS = {"verb", "inputs", "outputs", "settings", "origin"}


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--step FILE`: a table of calls of a step that is not ours."""
    parser.addoption("--step", help="JSON with the calls of a step to hold to the contract", metavar="FILE")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Each verb for tests of `verb`; each step, by its first verb, for tests of `step`."""
    table = metafunc.config.getoption("step", None)
    verbs = strangers(Path(table)) if table else VERBS
    # Deploy has no call here: tests/deploy makes servers for it.
    more = () if table else (*GUARDED, Verb("deploy", "", {}, ()))
    firsts = {verb.step: verb for verb in reversed((*verbs, *more))}
    if "verb" in metafunc.fixturenames and not _marked(metafunc, "verb"):
        metafunc.parametrize("verb", verbs, ids=lambda verb: verb.name)
    if "step" in metafunc.fixturenames and not _marked(metafunc, "step"):
        metafunc.parametrize("step", [firsts[name] for name in sorted(firsts)], ids=lambda verb: verb.step)


@pytest.fixture
def chain(request: pytest.FixtureRequest) -> Chain:
    """Where inputs are: our own steps' chain; a stranger's table names its own files."""
    if request.config.getoption("step", None):
        return Chain(Path("/"))
    made: Chain = request.getfixturevalue("tiny")
    return made


def strangers(file: Path) -> tuple[Verb, ...]:
    """The calls of a table; paths in it are relative to it. Raises pytest.UsageError."""
    try:
        table = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise pytest.UsageError(f"--step {file}: {error}") from error
    _require(file, "the table", table, FIELDS, FIELDS)
    for number, one in enumerate(table["verbs"]):
        _require(file, f"verbs[{number}]", one, VERB_FIELDS, {"verb", "inputs", "outputs"})
        if lacking := set(one.get("origin", "").split()) - set(one["outputs"]):
            raise pytest.UsageError(f"--step {file}: origin: found {lacking}, allowed one of {one['outputs']}")
    first, *more = table["program"]
    found = str(_beside(file, first)) if "/" in first else shutil.which(first) or first
    if not Path(found).is_file():
        raise pytest.UsageError(f"--step {file}: program: found {first}, which is no file; build the step first")
    program = (found, *(str(_beside(file, word)) if "/" in word else word for word in more))
    return tuple(
        Verb(
            table["step"],
            one["verb"],
            {option: str(_beside(file, place)) for option, place in one["inputs"].items()},
            tuple(one["outputs"]),
            tuple(one.get("settings", ())),
            origin=one.get("origin", ""),
            stranger=program,
        )
        for one in table["verbs"]
    )


def _beside(file: Path, place: str) -> Path:
    # A link stays one: of an environment's Python it is the link that knows the environment.
    return file.parent.absolute() / place


def _require(file: Path, where: str, content: Any, allowed: set[str], needed: set[str]) -> None:
    found = set(content) if isinstance(content, dict) else set()
    if not needed <= found <= allowed:
        told = f"found {', '.join(sorted(found)) or type(content).__name__}, allowed {', '.join(sorted(allowed))}"
        raise pytest.UsageError(f"--step {file}: {where}: {told}; needed are {', '.join(sorted(needed))}")


def _marked(metafunc: pytest.Metafunc, name: str) -> bool:
    """Whether a test says itself what it is run with."""
    return any(name in str(mark.args[0]) for mark in metafunc.definition.iter_markers("parametrize"))
