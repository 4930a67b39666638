"""Blocks of the pages run as they stand: a reader's terminal is a folder with the examples and our commands on PATH."""

import json
import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from brakeline_client import table
from brakeline_client.ask import Line
from brakeline_register.registry import open_registry
from brakeline_synthesize import recorded
from rich.console import Console
from stepkit import artifacts

from tests.conftest import BIN, HOUSE, Chain, command
from tests.deploy.test_deploy import serving
from tests.paper import commands, test_step_pages
from tests.register.registries import NAME, entry


def block(page: str, begins: str) -> str:
    """The one block of a page that begins so."""
    (found,) = [one.text for one in commands.blocks(HOUSE / page) if one.first.startswith(begins)]
    return found


def shell(text: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a block's lines; each has to end well."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text], cwd=folder, capture_output=True, text=True, check=False, timeout=900,
        env={**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", **environment},
    )  # fmt: skip
    assert done.returncode == 0, f"{text}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done


@pytest.fixture
def terminal(tmp_path: Path) -> Path:
    """Where a reader types: the examples are here."""
    shutil.copytree(HOUSE / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns("brakeline-drivelog"))
    return tmp_path


def test_a_recording_alone_is_asked_about(terminal: Path) -> None:
    """docs/own_data.md: two commands, and the file's rows are counted."""
    shell(block("docs/own_data.md", "brakeline-synthesize"), terminal)
    assert (terminal / "rejects.csv").read_text() == "line,row,column,found,allowed\n"


@pytest.mark.slow
def test_the_steps_readmes_are_a_chain_that_runs(terminal: Path) -> None:
    """What each step's README shows, one after the other in one folder; the gate's verdict is written."""
    for step, begins in (
        ("synthesize", "brakeline-synthesize generate"),
        ("train", "brakeline-train search"),
        ("register", "brakeline-register champion"),
        ("validate", "brakeline-validate validate"),
    ):
        text = block(f"steps/{step}/README.md", begins)
        if step == "register":
            first, *rest = text.splitlines()
            shell(first, terminal)
            continue
        said = shell(text, terminal).stdout
        if step in {"synthesize", "train", "validate"}:
            lines = [json.loads(line) for line in said.splitlines() if line.startswith('{"step"')]
            verb = test_step_pages.shown(step)["verb"]
            test_step_pages.held(step, next(line for line in lines if line["verb"] == verb))
    shell("\n".join(rest), terminal)
    verdict = json.loads((terminal / "verdict.json").read_text())
    assert verdict["schema_version"] == 2
    assert json.loads((terminal / "recorded.json").read_text())["model_sha256"] == verdict["model_sha256"]


def test_a_persons_way_through_the_registry(tmp_path: Path) -> None:
    """docs/registry.md: of three versions one is shown, two are compared, one promoted and one archived."""
    registry = f"sqlite:///{tmp_path}/registry.sqlite"
    known = open_registry(registry)
    for content in ("a", "b", "c"):
        known.add(NAME, entry(content))
    shell(block("docs/registry.md", "brakeline models list"), tmp_path, BRAKELINE_REGISTRY=registry)
    assert {version.version: version.state.name for version in known.list(NAME)} == {
        "1": "ARCHIVED", "2": "REGISTERED", "3": "LIVE",
    }  # fmt: skip


def test_a_folders_hash_is_found_by_hand(tiny: Chain, tmp_path: Path) -> None:
    """docs/lineage.md: find, sort and sha256sum say what the steps say."""
    shutil.copytree(tiny.model, tmp_path / "model")
    told = shell(block("docs/lineage.md", "(cd model"), tmp_path).stdout
    assert told.split()[0] == artifacts.sha256_of(tiny.model)


def test_a_release_is_signed_and_read_by_hand(good: Chain, tmp_path: Path) -> None:
    """docs/lineage.md: keys by openssl, a signed version, and jq's lines are those that `sha256sum --check` takes."""
    if missing := [name for name in ("openssl", "jq") if not shutil.which(name)]:
        pytest.skip(f"no {', '.join(missing)}, which the page's commands call")
    rest = f"--model {good.model} --passed-verdict {good.verdict} --lineage {good.lineage} --keep {tmp_path}/kept "
    rest += f"--registered registered --registry sqlite:///{tmp_path}/registry.sqlite"
    *keys, add, apply = block("docs/lineage.md", "openssl ecparam").strip().splitlines()
    shell("\n".join([*keys, add.replace("…", rest)]), tmp_path)
    put = f"--model {good.model} --passed-verdict {good.verdict} --registered registered --endpoint endpoint "
    with serving(tmp_path / "store") as server:
        shell(apply.replace("…", f"{put} --model-store {tmp_path}/store --server {server}"), tmp_path)
    shutil.copy(next((tmp_path / "kept").rglob("lineage.json")), tmp_path)
    told = shell(block("docs/lineage.md", "jq -r"), tmp_path).stdout.splitlines()
    assert told and all(len(line.split("  ")[0]) == 64 for line in told)


def test_the_state_of_one_machine_is_copied_while_it_is_used(good: Chain, tmp_path: Path) -> None:
    """docs/openshift/backup.md: registry and models are copied while a writer is at it; the copy has the version."""
    registry = f"sqlite:///{tmp_path}/.brakeline/registry.sqlite"
    words = ("--model", good.model, "--passed-verdict", good.verdict, "--registered", tmp_path / "registered")
    added = command("brakeline-register", "add", *words, "--registry", registry)
    assert added.code == 0, added.stderr
    with closing(sqlite3.connect(tmp_path / ".brakeline" / "registry.sqlite")) as writer:
        writer.execute("BEGIN IMMEDIATE")
        shell(block("docs/openshift/backup.md", "python -c"), tmp_path)
    (version,) = open_registry(f"sqlite:///{tmp_path}/registry.backup").list(NAME)
    assert version.version == "1"
    assert [file.name for file in (tmp_path / "models.backup").glob("*/model.onnx")] == ["model.onnx"]


def test_the_form_of_recorded_stops_is_read(tmp_path: Path) -> None:
    """docs/recorded.md: the file that is shown has one row, and none is rejected."""
    (tmp_path / "stops.csv").write_text(block("docs/recorded.md", "# contract: 2"))
    read = recorded.read(tmp_path / "stops.csv", 0.0)
    assert (read.stops.height, read.rejects.rows) == (1, 0)


def test_the_scenario_of_the_page_is_driven(tmp_path: Path) -> None:
    """docs/scenarios.md: the file that is shown makes drives, by the command that is shown with it."""
    (tmp_path / "my-valley.yaml").write_text(block("docs/scenarios.md", "name: my-valley"))
    *_, alone = block("docs/scenarios.md", "python build.py run").strip().splitlines()
    told = json.loads(shell(f"{alone} --rows 500 --holdout-rows 100", tmp_path).stdout)
    assert told["dataset_rows"] == 500


def test_what_the_readme_shows_of_a_run_is_what_is_shown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """README: the table's title and head are the client's, and the tasks with their marks are the pipeline's."""
    monkeypatch.setattr(table, "Console", lambda: Console(width=100))
    numbers = [10 for _ in Line.__dataclass_fields__]
    table.show([Line(*numbers)])
    printed = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    text = block("README.md", "✓ synthesize 1")
    lines = [" ".join(line.split()) for line in text.splitlines()]
    *tasks, title, _, head = lines
    assert title in " ".join(printed)
    cells = [[cell.strip() for cell in line.split("┃")] for line in (head, *printed) if "speed [mph]" in line]
    assert len(cells) == 2 and cells[0] == cells[1]
    described = command("brakeline", "compile", "--help")
    assert described.code == 0
    for task in tasks:
        if task != "…":
            mark, name, *_ = task.split()
            assert mark == "✓" and name in {"synthesize", "validate", "deploy"}
