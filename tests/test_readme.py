"""Words on paper are tested: the README's commands run, and what it says is there is there."""

import json
import os
import re
import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from brakeline.cli import app
from typer.core import TyperGroup
from typer.main import get_command

from tests.conftest import BIN, HOUSE, Chain, command

README = (HOUSE / "README.md").read_text()
BLOCKS = re.findall(r"^```\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
COMMANDS = [line for block in BLOCKS for line in block.splitlines() if line.startswith("python build.py")]
COMMANDS += re.findall(r"\| `((?:python build\.py|\.venv/bin/brakeline) [^`]+)` \|", README)
SMALL = ["--rows", "3000", "--holdout-rows", "2000", "--trials", "1", "--shards", "1"]


def test_the_readme_is_short_and_its_two_commands_stand_first() -> None:
    """One screen or two; the first commands are run and test."""
    assert len(README.splitlines()) <= 150
    assert COMMANDS[:2] == ["python build.py run", "python build.py test"]


def test_every_folder_and_file_named_is_there() -> None:
    """Paths in the README exist, but for what a run makes."""
    made = {".venv", ".brakeline", "/v2/models/stopping-distance", "dossier.html", "run.json"}
    for name in re.findall(r"`([\w./-]+(?:/|\.md|\.py|\.csv|\.yaml))`", README):
        if name.split("/")[0] not in made and name not in {"pipeline.yaml", "compose.yaml", *made}:
            assert (HOUSE / name).exists(), name


@pytest.mark.parametrize("line", [line for line in COMMANDS if " run" in line and "docker" not in line])
def test_every_run_of_the_readme_is_understood(line: str, tmp_path: Path) -> None:
    """Each `run` goes as far as its gate: at this size the model is refused, which is 65 and no usage error."""
    words = shlex.split(line)[2:]
    kept = [word for word in words if word != "--serve"]
    for option, value in zip(SMALL[::2], SMALL[1::2], strict=True):
        if option in kept:
            del kept[kept.index(option) : kept.index(option) + 2]
        kept += [option, value]
    if "--port" in kept:
        kept[kept.index("--port") + 1] = "0"
    words = ["python", str(HOUSE / "build.py"), *kept, "--runner", "process", "--state", str(tmp_path), "--json"]
    done = command(*words, folder=HOUSE)
    assert done.code == 65, done.stderr
    assert json.loads(done.stdout)["status"] == "refused"


@pytest.mark.parametrize("line", [line for line in COMMANDS if line.startswith(".venv")])
def test_other_commands_of_the_readme_run(line: str, tmp_path: Path) -> None:
    """Commands of `brakeline` run as written."""
    program, *rest = shlex.split(line)
    assert command(Path(program).name, *rest, folder=tmp_path).code == 0


PAGES = [HOUSE / "README.md", HOUSE / "orchestrator" / "README.md", *sorted((HOUSE / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(HOUSE)))
def test_every_command_on_paper_is_known_with_its_options(page: Path) -> None:
    """What a page calls `brakeline VERB --option` has that verb and that option."""
    text, root = page.read_text(), get_command(app)
    lines = [
        line.strip().removeprefix("$ ") for line in text.splitlines() if re.match(r"( {0,4}|\$ )brakeline [a-z]", line)
    ]
    lines += re.findall(r"`(?:\.venv/bin/)?(brakeline [a-z][^`]+)`", text)
    for line in lines:
        # A comment behind it, and what is passed on to a run, are not the verb's own.
        words = shlex.split(line.replace("…", ""), comments=True)[1:]
        words = words[: words.index("--")] if "--" in words else words
        verb: Any = root
        while words and isinstance(verb, TyperGroup) and words[0] in verb.commands:
            verb = verb.commands[words.pop(0)]
        assert verb is not root, line
        known = {option for parameter in verb.params for option in (*parameter.opts, *parameter.secondary_opts)}
        given = {word.partition("=")[0] for word in words if word.startswith("--")} - {"--help", "--version"}
        assert given <= known, f"{line}: {given - known}"


def test_every_call_of_build_on_paper_is_known_with_its_options() -> None:
    """What a page calls `python build.py VERB --option` has that verb and that option, by its own help."""
    asked: dict[str, set[str]] = {}
    for page in (*PAGES, HOUSE / "manifests" / "README.md"):
        for verb, rest in re.findall(r"python build\.py ([a-z]+)([^`#|\n]*)", page.read_text()):
            asked.setdefault(verb, set()).update(word.partition("=")[0] for word in rest.split() if word[:2] == "--")
    for verb, options in asked.items():
        # These two hand their words on to pytest and to a benchmark.
        if options and verb not in {"test", "bench"}:
            told = command("python", HOUSE / "build.py", verb, "--help", environment={"COLUMNS": "200"})
            assert told.code == 0, told.stderr
            assert options - {"--help"} <= set(re.findall(r"--[a-z][\w-]*", told.stdout)), verb


def test_check_and_test_are_verbs() -> None:
    """The verbs that would run this very suite are at least known, with the rest of them."""
    told = command("python", HOUSE / "build.py", "--help").stdout
    for verb in ("images", "run", "test", "check", "lock", "bench"):
        assert re.search(rf"^  {verb} ", told, re.MULTILINE), verb
    assert command("python", HOUSE / "build.py", "fly").code == 2
    assert command("python", HOUSE / "build.py", "bench", "nothing").code == 2


@pytest.fixture
def served(good: Chain, tmp_path: Path) -> Iterator[str]:
    ready = tmp_path / "ready"
    words = [BIN / "brakeline-serving", "--model", good.model / "model.onnx", "--port", "0", "--ready-file", ready]
    child = subprocess.Popen([str(word) for word in words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not ready.exists():
            assert child.poll() is None
            time.sleep(0.02)
        yield ready.read_text().strip()
    finally:
        child.terminate()
        child.wait(10)


def test_the_question_by_curl_is_answered(served: str) -> None:
    """The README's curl, word for word but for the port, gets a distance, a longer bound and no flag."""
    (asked,) = [block for block in BLOCKS if block.startswith("curl")]
    asked = asked.replace("http://127.0.0.1:8080", served)
    done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, check=True, env={**os.environ})
    outputs = {output["name"]: output["data"][0] for output in json.loads(done.stdout)["outputs"]}
    assert 30 < outputs["stopping_distance_m"] < outputs["stopping_distance_upper_m"] < 150
    assert outputs["out_of_range"] == 0.0
