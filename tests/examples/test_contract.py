"""A step in another language keeps the contract, and one that breaks a promise is found out."""

import json
import shutil
from pathlib import Path

import pytest

from tests.conftest import HOUSE, command
from tests.examples import program
from tests.examples.mutants import MUTANTS, Mutant
from tests.steps.conftest import strangers


def test_the_example_keeps_the_contract(drivelog: Path, long_log: Path, tmp_path: Path) -> None:
    """Every test of the suite passes, on a log that takes long enough to be interrupted."""
    done = program.held_to_the_contract(program.table(drivelog, long_log), tmp_path, "-rs")
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("SKIPPED") <= done.stdout.count("no small disk can be mounted"), done.stdout


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_step_that_breaks_a_promise_is_found_out(mutant: Mutant, long_log: Path, tmp_path: Path) -> None:
    """Each mutant is refused by the test that is meant to, which the example itself passes."""
    sources = tmp_path / "sources"
    shutil.copytree(program.SOURCES, sources)
    text = (sources / mutant.file).read_text()
    assert text.count(mutant.old) == 1, "what is to be changed stands there once"
    (sources / mutant.file).write_text(text.replace(mutant.old, mutant.new))
    log = long_log if "test_sig" in mutant.found_by else program.SOURCES / "sample" / "south.csv"
    calls = program.table(program.built(sources, tmp_path), log)
    done = program.held_to_the_contract(calls, tmp_path, "-k", mutant.found_by, "-rs")
    if "no small disk can be mounted" in done.stdout:
        pytest.skip("no small disk can be mounted here")
    assert done.returncode == 1, f"not found out\n{done.stdout}"
    assert "1 failed" in done.stdout or "2 failed" in done.stdout, done.stdout


def test_the_suite_is_called_by_build(drivelog: Path) -> None:
    """`python build.py test contract --step FILE`, with a path of the caller's folder."""
    calls = program.table(drivelog, program.SOURCES / "sample" / "south.csv")
    words = ("test", "contract", "--step", calls.name, "-k", "version", "-p", "no:cacheprovider")
    done = command("python", HOUSE / "build.py", *words, folder=calls.parent)
    assert done.code == 0, done.stdout
    assert "1 passed" in done.stdout


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("program", ["./not-built"], "build the step first"),
        ("verbs", [{"verb": "convert", "inputs": {}}], "needed are inputs, outputs, verb"),
        ("verbs", [{"verb": "a", "inputs": {}, "outputs": ["b"], "origin": "c"}], "allowed one of"),
        ("colour", "red", "allowed program, step, verbs"),
    ],
)
def test_a_wrong_table_is_told(field: str, value: object, told: str, tmp_path: Path) -> None:
    """File, field, what was found and what is allowed."""
    content = json.loads((program.SOURCES / "calls.json").read_text()) | {"program": ["sh"], field: value}
    file = tmp_path / "calls.json"
    file.write_text(json.dumps(content))
    with pytest.raises(pytest.UsageError, match=told):
        strangers(file)


def test_the_sources_are_formatted_and_vetted(tmp_path: Path) -> None:
    """As Go's own tools want them, in Go 1.19's language; and no module but the standard library is asked for."""
    sources = tmp_path / "sources"
    shutil.copytree(program.SOURCES, sources)
    assert program.go("fmt", "./...", folder=sources) == ""
    program.go("vet", "./...", folder=sources)
    assert (program.SOURCES / "go.mod").read_text() == "module brakeline.example/drivelog\n\ngo 1.19\n"
