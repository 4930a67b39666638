"""The docker runner on toy steps in a real engine: truthful, hardened, and gone when it is over."""

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from brakeline import narrator, record
from brakeline.containers import RUN_LABEL, Containers
from brakeline.local import LocalRunner, StepFailed

from tests import engine
from tests.conftest import HOUSE
from tests.orchestrator import toy

IMAGE = "brakeline-test/toy"
Run = Callable[..., record.RunRecord]


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    """The toy step on an image of ours."""
    client, parent = engine.client(), engine.built()["register"]
    script = toy.SCRIPT.replace("{python}", "/opt/brakeline/bin/python").encode()
    dockerfile = f"FROM {parent}\nCOPY {toy.COMMAND} /opt/brakeline/bin/\n".encode()
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        for name, content in (("Dockerfile", dockerfile), (toy.COMMAND, script)):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            archive.addfile(entry, io.BytesIO(content))
    context.seek(0)
    tag = f"{IMAGE}:{os.getpid()}"
    client.images.build(fileobj=context, custom_context=True, tag=tag, rm=True)
    yield tag
    client.images.remove(tag, force=True)


@pytest.fixture
def run(tmp_path: Path, image: str) -> Run:
    """Run a toy pipeline in containers; returns the record."""

    def go(pipeline: object, **arguments: Any) -> record.RunRecord:
        run_id = record.new_run_id()
        kept = record.RunRecord(run_id, "docker", tmp_path / "runs" / run_id, arguments)
        launcher = Containers(tmp_path, run_id, "bridge")
        try:
            compiled = toy.compiled(pipeline, tmp_path, image)
            LocalRunner(kept, narrator.ForMachines(), None, launcher).run(compiled, arguments)
        except StepFailed as failed:
            kept.end(record.FAILED, str(failed))
        left = engine.client().containers.list(all=True, filters={"label": f"{RUN_LABEL}={run_id}"})
        assert not left, "a run leaves no container behind"
        return kept

    return go


@pytest.mark.parametrize(("word", "shipped"), [("yes", True), ("no", False)])
def test_loops_and_the_gate_work_in_containers(word: str, shipped: bool, run: Run) -> None:
    """Shards run, are collected in order, and the branch behind the gate is taken only when it passes."""
    kept = run(toy.looped, word=word)
    assert sorted(task.name for task in kept.tasks) == ["join", "judge", "make", "make", "make", *["ship"] * shipped]
    _, _, read = json.loads(Path(kept.artifact("join", "out")["uri"]).read_text())
    assert [json.loads(part)[1] for part in read] == [["a"], ["b"], ["c"]]


def test_a_failing_container_fails_the_run_with_its_own_words(run: Run) -> None:
    """The step's message and exit status arrive; what follows it does not run."""
    kept = run(toy.failing)
    assert (kept.status, kept.error) == (record.FAILED, "fail: the cable is cut")
    assert [task.exit_code for task in kept.tasks] == [65]


@pytest.mark.slow
def test_a_failure_is_never_taken_for_success(run: Run) -> None:
    """Twenty of twenty containers that end with 65 at once are failures; kfp's own runner misses some."""
    assert [run(toy.failing).status for _ in range(20)] == [record.FAILED] * 20


def test_a_step_gets_no_more_than_it_needs(run: Run) -> None:
    """The calling user with group 0, no network, no capabilities, a read-only root, scratch in /tmp."""
    kept = run(toy.looking)
    said = [json.loads(line) for line in (kept.folder / "steps.log").read_text().splitlines()]
    (seen,) = [line for line in said if line["event"] == "seen"]
    assert (seen["uid"], seen["gid"]) == (os.getuid(), 0)
    assert seen["interfaces"] == ["lo"]
    assert (seen["writes_root"], seen["writes_tmp"]) == (False, True)
    assert int(seen["capabilities"][0], 16) == 0
    assert Path(kept.artifact("look", "out")["uri"]).stat().st_uid == os.getuid()


def test_a_signal_ends_the_containers_and_the_run(image: str, tmp_path: Path) -> None:
    """SIGTERM of the run: its container is gone, and the record says interrupted."""
    script = (
        "import sys; from pathlib import Path; from brakeline import narrator, record, run\n"
        "from brakeline.local import LocalRunner; from brakeline.containers import Containers\n"
        "from tests.orchestrator import toy\n"
        "at = Path(sys.argv[1]); kept = record.RunRecord('one', 'docker', at / 'runs' / 'one', {})\n"
        "runner = LocalRunner(kept, narrator.ForMachines(), None, Containers(at, sys.argv[3], 'none'))\n"
        "try:\n"
        "    pipeline, given = toy.compiled(toy.waiting, at, sys.argv[2]), {'pid_file': str(at / 'runs' / 'pid')}\n"
        "    run.ended_by_signals(runner, lambda: runner.run(pipeline, given))\n"
        "except run.Interrupted as why: kept.end(record.INTERRUPTED, str(why))\n"
        "sys.exit(run.exit_code(kept))\n"
    )
    name = f"test-{os.getpid()}"
    words = [sys.executable, "-c", script, str(tmp_path), image, name]
    child = subprocess.Popen(words, env={**os.environ, "PYTHONPATH": str(HOUSE)}, stderr=subprocess.DEVNULL)
    while not (tmp_path / "runs" / "pid").exists():
        assert child.poll() is None
        time.sleep(0.05)
    child.send_signal(signal.SIGTERM)
    assert child.wait(20) == 143
    assert not engine.client().containers.list(all=True, filters={"label": f"{RUN_LABEL}={name}"})
    assert json.loads((tmp_path / "runs" / "one" / "run.json").read_text())["status"] == "interrupted"
