"""The process runner with hundreds of shards: what collects them, what it keeps, and what it costs by itself."""

import json
import os
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from brakeline import handed, narrator, record
from brakeline.local import LocalRunner
from brakeline.process import Processes

from tests.conftest import RECORDED
from tests.orchestrator import toy

Run = Callable[[int], record.RunRecord]
# So many that the executor input of what collects them is longer than an argument may be.
SHARDS = 450


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a toy's loop over so many shards; returns the record."""
    toy.install(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    def go(shards: int) -> record.RunRecord:
        given: dict[str, Any] = {"word": "yes", "shards": [f"{at}/{shards}" for at in range(shards)]}
        kept = record.RunRecord("many", "process", tmp_path / "runs" / "many", given)
        LocalRunner(kept, narrator.ForMachines(), None, Processes()).run(toy.compiled(toy.looped, tmp_path), given)
        kept.end(record.SUCCEEDED)
        return kept

    return go


def test_hundreds_of_shards_are_collected_in_their_order(run: Run) -> None:
    """Longer than an argument, the executor input comes by file; nothing is lost, all is on record."""
    kept = run(SHARDS)
    (file,) = kept.folder.glob("executor-input-*.json")
    assert file.stat().st_size >= handed.ARGUMENT_LIMIT_BYTES
    _, _, read = json.loads(Path(kept.artifact("join", "out")["uri"]).read_text())
    assert [json.loads(part)[1] for part in read] == [[f"{at}/{SHARDS}"] for at in range(SHARDS)]
    assert len(json.loads((kept.folder / "run.json").read_text())["tasks"]) == SHARDS + 3
    # No print of kfp's goes through those of the iterations before it, each of which would indent it further.
    lines = (kept.folder / "kfp.log").read_text().splitlines()
    assert max(len(line) - len(line.lstrip()) for line in lines if line.strip()) < 40


def test_only_what_no_argument_holds_goes_by_file(tmp_path: Path) -> None:
    """A byte less than the limit stays on the command line; the same input is the same file; other words are left."""
    longest, longer = "x" * (handed.ARGUMENT_LIMIT_BYTES - 1), "x" * handed.ARGUMENT_LIMIT_BYTES
    assert handed.by_file(["step", "verb", "--executor-input", longest, "--rows", "1"], tmp_path)[3] == longest
    assert not list(tmp_path.iterdir())
    words = handed.by_file(["step", "verb", "--executor-input", longer, "--rows", "1"], tmp_path)
    assert words == handed.by_file(["step", "verb", "--executor-input", longer, "--rows", "1"], tmp_path)
    (file,) = tmp_path.iterdir()
    assert words == ["step", "verb", "--executor-input", f"@{file}", "--rows", "1"]
    assert file.read_text() == longer
    assert handed.by_file(["step", "verb", "--note", longer], tmp_path)[3] == longer


def test_the_limit_is_the_systems(tmp_path: Path) -> None:
    """One argument of the limit's length with its closing NUL is taken; one byte more is refused by Linux."""
    longest = "x" * (handed.ARGUMENT_LIMIT_BYTES - 1)
    assert os.spawnl(os.P_WAIT, "/bin/true", "true", longest) == 0
    assert os.spawnl(os.P_WAIT, "/bin/true", "true", longest + "x") == 127


def test_the_record_of_many_tasks_costs_a_share_of_the_time(tmp_path: Path) -> None:
    """All of it anew for each task would be the square of their number: 25 times for five. The end writes all."""
    artifacts, took_s = {"part": {"uri": "/x" * 50, "sha256": "0" * 64, "rows": 1}}, []
    for tasks in (1_000, 5_000):
        kept = record.RunRecord(str(tasks), "process", tmp_path / str(tasks), {})
        began = resource.getrusage(resource.RUSAGE_SELF).ru_utime
        for at in range(tasks):
            kept.add(record.TaskRecord("make", f"iteration-{at}", record.SUCCEEDED, False, 0.1, artifacts))
        took_s.append(resource.getrusage(resource.RUSAGE_SELF).ru_utime - began)
        kept.end(record.SUCCEEDED)
        assert len(json.loads((kept.folder / "run.json").read_text())["tasks"]) == tasks
    assert took_s[1] < 15 * took_s[0]


@pytest.mark.slow
def test_two_hundred_real_shards_are_joined(tmp_path: Path) -> None:
    """Each of the real step, with a block of its own: the runner joins ten million rows, with 256 file handles."""
    (tmp_path / "stops.csv").write_text(RECORDED)
    shards, rows = 200, 200 * 50_000
    given: dict[str, Any] = {"recorded": str(tmp_path / "stops.csv"), "rows": rows}
    given["shards"] = [f"{at}/{shards}" for at in range(shards)]
    kept = record.RunRecord("real", "process", tmp_path / "runs" / "real", given)
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, allowed[1]))
    try:
        LocalRunner(kept, narrator.ForMachines(), None, Processes()).run(toy.compiled(toy.joined, tmp_path), given)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, allowed)
    kept.end(record.SUCCEEDED)
    assert kept.artifact("assemble", "dataset")["rows"] == rows + 1
    assert all(task.artifacts["part"]["dataset_rows"] == 50_000 for task in kept.tasks if task.name == "synthesize")
