"""A byte that is flipped in an artifact between two steps: the step that reads it says so, and nothing comes of it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from stepkit import artifacts

from tests.conftest import Done, command
from tests.faults.calls import CALLS, begin, left_by
from tests.faults.counting import Tally
from tests.faults.flipping import files_of, flipped, places
from tests.steps.verbs import Verb

READERS = {name: tuple(verb.inputs) for name, verb in CALLS.items() if verb.inputs}
QUICK = (("train rank", "scored"), ("validate validate", "champion"), ("register promote", "registered"))
# What is handed on as a folder tells of itself, so that its reader knows by itself too.
FOLDERS = (
    ("synthesize assemble", "parts"), ("synthesize floor", "holdout"), ("train search", "dataset"),
    ("train rank", "scored"), ("train fit", "dataset"), ("train fit", "results"), ("validate validate", "model"),
    ("validate validate", "faulty"), ("validate validate", "floor"), ("validate validate", "champion"),
    ("register add", "model"), ("deploy apply", "model"),
)  # fmt: skip


def in_the_pipeline(verb: Verb, chain: Path, out: Path) -> list[str]:
    """The call as the pipeline makes it: inputs with the sha256 that their makers reported."""

    def listed(name: str, path: Path, metadata: dict[str, Any]) -> dict[str, Any]:
        return {"artifacts": [{"name": name, "uri": str(path), "metadata": metadata}]}

    given = {
        name: listed(name, chain / at, {"sha256": artifacts.sha256_of(chain / at)}) for name, at in verb.inputs.items()
    }
    made = {name: listed(name, out / name, {}) for name in verb.outputs}
    message = {
        "inputs": {"artifacts": given},
        "outputs": {"artifacts": made, "outputFile": str(out / "run" / "executor_output.json")},
    }
    settings = [word.format(out=out, chain=chain) for word in verb.settings]
    server = ["--server", "http://127.0.0.1:1"] if verb.step == "deploy" else []
    return [f"brakeline-{verb.step}", verb.verb, "--executor-input", json.dumps(message), *settings, *server]


def flip(words: list[str], verb: Verb, name: str, chain: Path, out: Path, tally: Tally) -> None:
    """Flip bytes of every file of an input, one at a time; each call ends with 65, and leaves all as it was."""
    before = left_by(out)
    artifact = chain / verb.inputs[name]
    for file in files_of(artifact):
        for place in places(file.stat().st_size):
            told = f"{verb.name} --{name}: byte {place} of {file.name}"
            with flipped(file, place):
                tally.tried()
                done = command(*words)
            require_found(done, artifact, told)
            assert left_by(out) == before, told
            tally.survived()


def require_found(done: Done, artifact: Path, told: str) -> None:
    """Bad data, by name, and no result."""
    assert done.code == 65, f"{told}: {done.code} {done.stderr}"
    assert artifact.name in done.error["message"], told
    assert done.stdout == "", told


@pytest.fixture
def own_chain(chain: Path, tmp_path: Path) -> Path:
    """A copy of the chain, to be spoilt."""
    return Path(shutil.copytree(chain, tmp_path / "chain"))


@pytest.mark.parametrize(("name", "given"), QUICK)
def test_a_reader_finds_a_flipped_byte(name: str, given: str, own_chain: Path, tmp_path: Path, tally: Tally) -> None:
    """Three readers of three kinds of artifact, as all of them in the long suite."""
    verb, out = CALLS[name], tmp_path / "out"
    begin(verb, own_chain, out)
    flip(in_the_pipeline(verb, own_chain, out), verb, given, own_chain, out, tally)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "given"), [(name, given) for name, listed in READERS.items() for given in listed])
def test_each_reader_finds_a_flipped_byte(
    name: str, given: str, own_chain: Path, tmp_path: Path, tally: Tally
) -> None:
    """In every file of every artifact, first, middle and last byte: 65, and nothing in registry or model store."""
    verb, out = CALLS[name], tmp_path / "out"
    begin(verb, own_chain, out)
    flip(in_the_pipeline(verb, own_chain, out), verb, given, own_chain, out, tally)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "given"), FOLDERS)
def test_a_reader_finds_it_without_the_pipeline(
    name: str, given: str, own_chain: Path, tmp_path: Path, tally: Tally
) -> None:
    """Called by hand, with paths alone: a folder tells what it was made of, and its reader holds it to that."""
    verb, out = CALLS[name], tmp_path / "out"
    begin(verb, own_chain, out)
    server = ["--server", "http://127.0.0.1:1"] if verb.step == "deploy" else []
    flip([*verb.words(own_chain, out), *server], verb, given, own_chain, out, tally)
