"""The process runner on toy steps: branches, loops, failures, the cache and signals; and what it borrows from kfp."""

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from brakeline import local, narrator, record
from brakeline.local import LocalRunner, StepFailed
from brakeline.process import Processes

from tests.conftest import HOUSE
from tests.orchestrator import toy

Run = Callable[..., record.RunRecord]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a toy pipeline; returns the record."""
    toy.install(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    def go(pipeline: object, cached: bool = False, **arguments: Any) -> record.RunRecord:
        run_id = record.new_run_id()
        kept = record.RunRecord(run_id, "process", tmp_path / "runs" / run_id, arguments)
        cache = tmp_path / "cache" if cached else None
        try:
            LocalRunner(kept, narrator.ForMachines(), cache, Processes()).run(
                toy.compiled(pipeline, tmp_path), arguments
            )
        except StepFailed as failed:
            kept.end(record.FAILED, str(failed))
        return kept

    return go


def names(kept: record.RunRecord) -> list[str]:
    return sorted(task.name for task in kept.tasks)


def test_kfp_still_has_what_is_replaced() -> None:
    """kfp is pinned exactly, and each internal that the runner touches is there under its name."""
    assert version("kfp") == "2.17.0"
    for module, name in local.INTERNALS.items():
        assert callable(getattr(importlib.import_module(module), name)), f"{module}.{name}"


def test_processes_want_no_docker_package(tmp_path: Path) -> None:
    """Where it is not installed, as in a workbench, a pipeline runs all the same."""
    toy.install(tmp_path)
    told = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(HOUSE)}
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT_DOCKER], env=told, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, "6"), done.stderr


_WITHOUT_DOCKER = """
import sys
sys.modules["docker"] = None
from pathlib import Path
from brakeline import forecast, local, narrator, process, record
from tests.orchestrator import toy
kept = record.RunRecord("one", "process", Path("runs", "one").absolute(), {})
runner = local.LocalRunner(kept, narrator.ForMachines(), None, process.Processes())
runner.run(toy.compiled(toy.looped, Path.cwd()), {"word": "yes"})
print(len(kept.tasks))
"""


def test_loops_run_and_are_collected_in_order(run: Run) -> None:
    """Three shards run, and the joining task reads their outputs in the list's order."""
    kept = run(toy.looped, word="yes")
    assert [task.scope for task in kept.tasks if task.name == "make"].count("") == 0
    _, _, read = json.loads(Path(kept.artifact("join", "out")["uri"]).read_text())
    assert [json.loads(part)[1] for part in read] == [["a"], ["b"], ["c"]]


def test_the_branch_is_taken_when_the_gate_passes(run: Run) -> None:
    """True: the task behind the condition ran, and its output is there."""
    kept = run(toy.looped, word="yes")
    assert names(kept) == ["join", "judge", "make", "make", "make", "ship"]
    assert Path(kept.artifact("ship", "out")["uri"]).is_file()


def test_the_branch_is_not_taken_when_the_gate_fails(run: Run) -> None:
    """False: all but the task behind the condition ran."""
    assert names(run(toy.looped, word="no")) == ["join", "judge", "make", "make", "make"]


def test_a_step_is_told_the_run_by_the_name_that_people_know(run: Run) -> None:
    """KFP's placeholder for the job's id is the id of our record."""
    kept = run(toy.looking)
    _, words, _ = json.loads(Path(kept.artifact("look", "out")["uri"]).read_text())
    assert words == [kept.run_id]


def test_what_failed_is_not_tried_again_here(run: Run) -> None:
    """Tries again are for pods that a cluster lost: on this machine a failing step runs once."""
    kept = run(toy.failing_with_tries)
    said = (kept.folder / "steps.log").read_text().splitlines()
    assert kept.status == record.FAILED and len(said) == 1


def test_a_failing_step_fails_the_run_with_its_own_words(run: Run) -> None:
    """The step's message and exit code arrive; what follows it does not run."""
    kept = run(toy.failing)
    assert kept.status == record.FAILED
    assert kept.error == "fail: the cable is cut"
    assert [task.exit_code for task in kept.tasks] == [65]


def test_a_failure_in_a_loop_fails_the_run(run: Run) -> None:
    """One of several parallel tasks is enough."""
    assert run(toy.failing_in_loop).error == "fail: the cable is cut"


def test_unchanged_tasks_come_from_the_cache(run: Run) -> None:
    """The second run starts no step; a changed parameter starts only what depends on it."""
    first, second = run(toy.looped, cached=True, word="yes"), run(toy.looped, cached=True, word="yes")
    assert not any(task.cached for task in first.tasks)
    assert all(task.cached for task in second.tasks)
    assert names(first) == names(second)
    third = run(toy.looped, cached=True, word="no")
    assert [task.name for task in third.tasks if not task.cached] == ["judge"]


def test_kfp_leaves_stdout_and_print_alone(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever kfp prints goes to the run's own log, and `print` is as before."""
    kept = run(toy.looped, word="yes")
    print("plain")
    assert capsys.readouterr().out == "plain\n"
    assert "Running pipeline" in (kept.folder / "kfp.log").read_text()


def test_the_record_is_whole_at_every_moment(run: Run) -> None:
    """run.json holds status, parameters, and for each task time, artifacts and their sha256."""
    kept = run(toy.looped, word="yes")
    kept.end(record.SUCCEEDED)
    content = json.loads((kept.folder / "run.json").read_text())
    assert content["status"] == "succeeded"
    assert content["parameters"] == {"word": "yes"}
    for task in content["tasks"]:
        assert task["seconds"] >= 0
        assert all(artifact["sha256"] for artifact in task["artifacts"].values())


_WAITING = """
import subprocess, sys, time
from pathlib import Path
from brakeline import narrator, process, record, run
from brakeline.local import LocalRunner
from tests.orchestrator import toy

class Slow(subprocess.Popen):
    def __init__(self, *words, **given):
        super().__init__(*words, **given)
        time.sleep(float(sys.argv[2]))

process.subprocess.Popen = Slow
at = Path(sys.argv[1])
kept = record.RunRecord("one", "process", at / "runs" / "one", {})
runner = LocalRunner(kept, narrator.ForMachines(), None, process.Processes())
pipeline, given = toy.compiled(toy.waiting, at), {"pid_file": str(at / "pid")}
try:
    run.ended_by_signals(runner, lambda: runner.run(pipeline, given))
except run.Interrupted as why:
    kept.end(record.INTERRUPTED, str(why))
sys.exit(run.exit_code(kept))
"""


@pytest.mark.parametrize("start_s", [0, 2], ids=["running", "being-started"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_steps_and_the_run(number: signal.Signals, start_s: int, tmp_path: Path) -> None:
    """The running step ends with the run, which says so in its record; so does one that is not quite there yet."""
    toy.install(tmp_path)
    environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(HOUSE)}
    words = [sys.executable, "-c", _WAITING, str(tmp_path), str(start_s)]
    child = subprocess.Popen(words, env=environment, stderr=subprocess.DEVNULL)
    pid_file = tmp_path / "pid"
    while not (pid_file.exists() and pid_file.read_text()):
        assert child.poll() is None
        time.sleep(0.05)
    step = int(pid_file.read_text())
    child.send_signal(number)
    assert child.wait(20) == 143
    with pytest.raises(ProcessLookupError):
        os.kill(step, 0)
    told = json.loads((tmp_path / "runs" / "one" / "run.json").read_text())
    assert told["status"] == "interrupted"
    assert [(task["name"], task["error"]) for task in told["tasks"]] == [("wait", "ended with the run")]
