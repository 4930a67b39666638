"""Notebooks from top to bottom, by real kernels: all at the size of their defaults, one of them small and often."""

import contextlib
import json
import os
import resource
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from brakeline import images
from brakeline_notebooks import form

from tests.cluster.conftest import api, bare_environment, pushed, store
from tests.cluster.kfp_server import Api
from tests.conftest import BIN, HOUSE, Done
from tests.orchestrator.object_store import ObjectStore

__all__ = ["api", "bare_environment", "pushed", "store"]  # fixtures of the cluster's room

ROOM = HOUSE / "notebooks"
# Four minutes on two cores, as processor time: how long it takes beside others' work says nothing.
CPU_SECONDS_ALLOWED = 2 * 240
PATIENCE_S = 1800
# Of this process alone: what another run of these tests left is none of its business.
SLEEP_S = f"54321.{os.getpid()}"
SMALL = {"ROWS": 2000, "HOLDOUT_ROWS": 2000, "FLOOR_ROWS": 100, "TRIALS": 1, "RUNS": 2}


def run(*words: object, state: Path, environment: dict[str, str] | None = None) -> Done:
    """`brakeline-notebooks run` with a state of its own."""
    command = [str(BIN / "brakeline-notebooks"), "run", *map(str, words)]
    # All cores, as a person's kernel has them: the suite's own processes are held to one each.
    usual = {name: value for name, value in os.environ.items() if not name.endswith("_THREADS")}
    told = {**usual, "BRAKELINE_STATE": str(state), **(environment or {})}
    done = subprocess.run(command, env=told, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    return Done(done.returncode, done.stdout, done.stderr)


def tree() -> str:
    """What git says of the house."""
    words = ["git", "-C", str(HOUSE), "status", "--porcelain"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def charts_in(file: Path) -> list[dict[str, Any]]:
    """The outputs of an executed notebook that are charts."""
    cells = json.loads(file.read_text())["cells"]
    found = [output.get("data", {}) for each in cells for output in each.get("outputs", [])]
    return [data for data in found if "alt." in "".join(data.get("text/plain", ""))]


def small_notebook(file: Path, *sources: str) -> Path:
    cells: list[dict[str, Any]] = [
        {
            "cell_type": "code",
            "id": f"cell-{number}",
            "metadata": {},
            "outputs": [],
            "execution_count": None,
            "source": source,
        }
        for number, source in enumerate(sources)
    ]
    file.write_text(form.text({"cells": cells}))
    return file


def test_a_cell_that_fails_ends_the_notebook(tmp_path: Path) -> None:
    """70, with notebook, cell, error and what its command said; no later cell runs, and the file stays as it was."""
    wanted = "from brakeline_notebooks.commands import run\nrun('brakeline', 'models', 'show', '7', '--state', 'none')"
    file = small_notebook(tmp_path / "some.ipynb", "1", wanted, "open('after', 'w')")
    before = file.read_bytes()
    done = run(file, "--folder", tmp_path / "here", state=tmp_path / "state")
    assert done.code == 70
    assert "cell 'cell-1': CommandFailed" in done.stderr
    assert not (tmp_path / "here" / "after").exists()
    assert file.read_bytes() == before


def test_a_signal_ends_the_notebook_its_command_and_its_kernel(tmp_path: Path) -> None:
    """143 within seconds; no scratch folder, no process, and the file as it was."""
    code = "from brakeline_notebooks.commands import run\nopen('begun', 'w')\n"
    file = small_notebook(tmp_path / "some.ipynb", f"{code}run('sleep', '{SLEEP_S}')")
    before, here, scratch = file.read_bytes(), tmp_path / "here", tmp_path / "scratch"
    scratch.mkdir()
    command = [str(BIN / "brakeline-notebooks"), "run", str(file), "--folder", str(here)]
    with subprocess.Popen(command, env={**os.environ, "TMPDIR": str(scratch)}, stderr=subprocess.PIPE) as child:
        deadline = time.monotonic() + 60
        while not (here / "begun").exists() or not sleepers():
            assert time.monotonic() < deadline and child.poll() is None
            time.sleep(0.05)
        child.terminate()
        assert child.wait(30) == 143
    assert file.read_bytes() == before
    assert not list(scratch.glob("brakeline-notebooks-*"))
    deadline = time.monotonic() + 15
    while sleepers():
        assert time.monotonic() < deadline, "the command goes on"
        time.sleep(0.1)


def sleepers() -> list[str]:
    """Processes of the cell that sleeps."""
    lines = (file for file in Path("/proc").glob("[0-9]*/cmdline"))
    found = []
    for file in lines:
        with contextlib.suppress(OSError):
            if f"sleep\0{SLEEP_S}".encode() in file.read_bytes():
                found.append(file.parent.name)
    return found


def test_initial_development_runs_small(tmp_path: Path) -> None:
    """All of its cells, charts drawn; at this size the gate refuses the honest model too, and the notebook goes on."""
    sizes = {f"BRAKELINE_NOTEBOOK_{name}": str(value) for name, value in SMALL.items()}
    file = ROOM / "initial_development.ipynb"
    done = run(file, "--kept", tmp_path / "kept", state=tmp_path / "state", environment=sizes)
    assert done.code == 0, done.stderr
    drawn = charts_in(tmp_path / "kept" / file.name)
    assert len(drawn) == 7
    assert all("image/svg+xml" in data for data in drawn)


@pytest.mark.slow
def test_the_four_run_from_top_to_bottom_and_leave_the_tree_clean(tmp_path: Path) -> None:
    """In the story's order on one state, within their budget of time; nothing in git changes, every chart is drawn."""
    before, used = tree(), _cpu_seconds()
    names = ("initial_development", "pipeline", "endpoint", "register_model")
    files = [ROOM / f"{name}.ipynb" for name in names]
    done = run(*files, "--kept", tmp_path / "kept", state=tmp_path / "state")
    assert done.code == 0, done.stderr
    used = _cpu_seconds() - used
    assert tree() == before
    for name in names:
        drawn = charts_in(tmp_path / "kept" / f"{name}.ipynb")
        assert drawn
        assert all("image/svg+xml" in data for data in drawn), name
    assert used <= CPU_SECONDS_ALLOWED, f"{used:.0f} s of processor time"


@pytest.mark.slow
def test_register_model_makes_what_it_lacks(tmp_path: Path) -> None:
    """Opened first, without a version in sight, it runs the pipeline itself."""
    done = run(ROOM / "register_model.ipynb", state=tmp_path / "state")
    assert done.code == 0, done.stderr


@pytest.mark.slow
def test_the_pipeline_goes_to_a_cluster_where_one_is_named(
    api: Api, store: ObjectStore, pushed: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Submitted once by its key, waited for, its logs asked for; the schedule that it makes is deleted again."""
    monkeypatch.setenv(images.LOCK_VARIABLE, str(images.LOCK))
    whole = nbformat.read(ROOM / "pipeline.ipynb", as_version=4)
    chosen = [cell.source for cell in whole.cells if cell.cell_type == "code" and cell.id in ("setup", *_ON_A_CLUSTER)]
    assert len(chosen) == 1 + len(_ON_A_CLUSTER)
    for _ in range(2):
        done = run(small_notebook(tmp_path / "cluster.ipynb", *chosen), state=tmp_path / "state")
        assert done.code == 0, done.stderr
    assert sum(call.endswith("CreateRun") for call in api.calls) == 1
    assert sum(call.endswith("CreateRecurringRun") for call in api.calls) == 2
    assert sum(call.endswith("DeleteRecurringRun") for call in api.calls) == 2


_ON_A_CLUSTER = ("cluster", "cluster-wait", "cluster-schedule")


def _cpu_seconds() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime
