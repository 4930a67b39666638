"""What the pages show of the example and of a step of one's own is so."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests import engine
from tests.conftest import HOUSE
from tests.examples import program
from tests.paper.test_commands_run import block, shell

PAGE = "examples/drivelog/README.md"


def copied(folder: Path) -> Path:
    """The project's folder as a reader has it, as far as the example goes."""
    shutil.copytree(program.SOURCES, folder / "examples" / "drivelog", ignore=shutil.ignore_patterns(program.NAME))
    return folder


def test_the_commands_of_the_readme_do_what_it_says(tmp_path: Path) -> None:
    """Built and called as it stands; the counts and the line of the diary are those of the page."""
    program.go("version", folder=tmp_path)
    done = shell(block(PAGE, "cd examples"), copied(tmp_path), **program.BUILD)
    told = json.loads(done.stdout)
    text = (HOUSE / PAGE).read_text()
    assert f"{told['rows']} rows and {told['rejected_rows']} rejected" in " ".join(text.split())
    shown, _, _ = block(PAGE, '{"event"').partition(", …")
    assert shown in done.stderr


def test_the_image_of_the_readme_is_built(drivelog: Path, tmp_path: Path) -> None:
    """Built, labelled and asked as it stands, under another user and with a read-only root."""
    client = engine.client()
    folder = copied(tmp_path) / "examples" / "drivelog"
    shutil.copy(drivelog, folder / program.NAME)
    done = shell(block(PAGE, "image=") + "echo $image", folder)
    *_, version, tag = done.stdout.splitlines()
    try:
        assert version == "brakeline-drivelog 1.0.0"
        labels = client.images.get(tag).labels
        assert json.loads(labels["brakeline.describe"])["step"] == "brakeline-drivelog"
    finally:
        client.images.remove(tag, force=True)


def test_the_table_of_the_page_is_the_examples() -> None:
    """docs/add_a_step.md shows the example's own table of calls."""
    assert json.loads(block("docs/add_a_step.md", "{")) == json.loads((program.SOURCES / "calls.json").read_text())


def test_the_step_of_the_page_keeps_the_contract(tmp_path: Path) -> None:
    """The few lines of docs/add_a_step.md are a step: the kit does the rest."""
    (tmp_path / "count.py").write_text(block("docs/add_a_step.md", "from pathlib"))
    (tmp_path / "some").write_text("a text\n")
    verb = {"verb": "count", "inputs": {"source": "some"}, "outputs": ["total"], "settings": ["--least", "20"]}
    content = {"step": "brakeline-count", "program": [sys.executable, "./count.py"], "verbs": [verb]}
    (tmp_path / "calls.json").write_text(json.dumps(content))
    done = program.held_to_the_contract(tmp_path / "calls.json", tmp_path, "-k", "not test_a_full_disk")
    assert done.returncode == 0, done.stdout


def test_units_of_the_page_are_those_of_the_program(drivelog: Path, tmp_path: Path) -> None:
    """The README lists each unit that the program knows, and no other, but for the spellings of a plain keyboard."""
    form = {"version": 1, "contract": 2, "columns": [{"name": "x", "from": "x", "unit": "none", "to": "m"}]}
    (tmp_path / "form.json").write_text(json.dumps(form))
    (tmp_path / "log.csv").write_text("x\n1\n")
    words = ("--logs", tmp_path / "log.csv", "--form", tmp_path / "form.json", "--recorded", tmp_path / "a")
    told = program.run(drivelog, "convert", *words, "--rejects", tmp_path / "b").error["allowed"]
    (row,) = [line for line in (HOUSE / PAGE).read_text().splitlines() if line.startswith("| `from`, `unit`, `to`")]
    listed = set(re.findall(r"`([^`]+)`", row.partition("Units:")[2]))
    assert listed == set(told.split(", ")) - {"m/s2", "ft/s2", "degC", "degF"}


def test_the_go_of_the_page_is_that_of_the_module() -> None:
    """The README, CONTRIBUTING and go.mod name one version."""
    wanted = re.findall(r"^go (\S+)$", (program.SOURCES / "go.mod").read_text(), re.MULTILINE)
    for page in (PAGE, "CONTRIBUTING.md"):
        assert wanted == re.findall(r"(?:Go|`golang-go`,) (1\.\d+) or newer", (HOUSE / page).read_text()), page
    done = subprocess.run(["git", "check-ignore", "-q", program.SOURCES / program.NAME], cwd=HOUSE, check=False,
                          env={**os.environ})  # fmt: skip
    assert done.returncode == 0, "the program is not for git"
