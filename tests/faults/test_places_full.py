"""A full disk under what outlives a run: registry, kept models, model store, a run's record, a watch's memory, logs."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from brakeline_register.registry import open_registry
from stepkit.verdict import model_sha256

from tests.conftest import HOUSE, Chain, Done, command
from tests.deploy.test_deploy import NAME, serving
from tests.faults import disk
from tests.faults.calls import CALLS, begin, half_written, left_by
from tests.faults.counting import Tally
from tests.faults.disk import Disk
from tests.loop import traffic
from tests.orchestrator import object_store, toy
from tests.serving.conftest import Server, Store, start, tensor
from tests.serving.test_following_a_store_in_s3 import RemoteStore

__all__ = ["start"]

Start = Callable[..., Server]


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Disk]:
    """A disk of 8 MiB."""
    with disk.mounted(tmp_path / "small") as mounted:
        yield mounted


def require_told(done: Done, place: Path) -> None:
    """The status that says that it may pass, what could not be written, and what to do."""
    assert done.code == 75, done.stderr
    message = json.loads(done.stdout)["error"] if done.stdout else done.error["message"]
    assert str(place) in message and "make room" in message, message


@pytest.mark.parametrize("name", ["register record", "register add", "register promote"])
def test_a_full_registry_takes_nothing_and_loses_nothing(
    name: str, chain: Path, small: Disk, tmp_path: Path, tally: Tally
) -> None:
    """A version that is there stays as it is; with room the same call is done, as on any other disk."""
    verb, out, other = CALLS[name], small.folder / "out", tmp_path / "other"
    for folder in (out, other):
        begin(verb, chain, folder)
        kept = open_registry(f"sqlite:///{folder}/registry.sqlite")
        kept.record("another", _attempt())
    before = left_by(out)
    words = [*verb.words(chain, out)]
    elsewhere = {str(out / output): str(tmp_path / output) for output in verb.outputs}
    words = [elsewhere.get(word, word) for word in words]
    for room in (0, 1):
        small.leave(room)
        tally.tried()
        done = command(*words, *_kept(name, tmp_path))
        require_told(done, out / "registry.sqlite")
        tally.lost(int(left_by(out) != before))
        tally.survived()
    small.clear()
    assert command(*words, *_kept(name, tmp_path)).code == 0
    undisturbed = [word.replace(str(out), str(other)) for word in words]
    assert command(*undisturbed, *_kept(name, tmp_path)).code == 0
    assert left_by(out)["registry.sqlite"] == left_by(other)["registry.sqlite"]


def _kept(name: str, folder: Path) -> list[str]:
    return ["--keep", str(folder / "keep")] if name == "register add" else []


def _attempt() -> Any:
    from brakeline_register.attempts import Attempt

    return Attempt("d" * 64, "f" * 64, "a" * 64, 4, False, ("parity",))


@pytest.mark.slow
def test_a_model_that_cannot_be_kept_is_not_registered(chain: Path, small: Disk, tmp_path: Path, tally: Tally) -> None:
    """Full at the papers, in the midst of the graph, at the last file: no version, no half of a model."""
    out, keep = tmp_path / "out", small.folder / "keep"
    words = [*CALLS["register add"].words(chain, out), "--keep", str(keep)]
    sizes = disk.pages(chain / "model")
    for room in (0, 20, 40, sizes // 2, sizes - 1):
        small.leave(room)
        tally.tried()
        require_told(command(*words), keep)
        assert open_registry(f"sqlite:///{out}/registry.sqlite").list(NAME) == []
        sha256 = model_sha256(chain / "model")
        assert {file for file in small.files() if file.count("/") == 1} <= {f"keep/{sha256}.about", "keep/.lock"}
        assert half_written(small.folder) == []
        tally.survived()
    small.clear()
    assert command(*words).code == 0
    assert left_by(keep / model_sha256(chain / "model")) == left_by(chain / "model")


@pytest.mark.slow
def test_a_full_model_store_serves_what_it_served(chain: Path, small: Disk, tmp_path: Path, tally: Tally) -> None:
    """Full at the graph, in its midst and at the pointer: the version before is served, and all is told."""
    store, out = small.folder / "store", tmp_path / "out"
    out.mkdir()
    known = json.loads((chain / "registered").read_text())
    (out / "second").write_text(json.dumps(known | {"version": "2"}))
    graph = disk.pages(chain / "model" / "model.onnx")
    with serving(store) as server:
        words = ["brakeline-deploy", "apply", "--model", chain / "model", "--passed-verdict", chain / "passed_verdict",
                 "--endpoint", out / "endpoint", "--model-store", store, "--server", server]  # fmt: skip
        assert command(*words, "--registered", chain / "registered").code == 0
        for room in (0, graph // 2, graph, 0):
            small.leave(room)
            tally.tried()
            done = command(*words, "--registered", out / "second", "--timeout-seconds", "5")
            require_told(done, store / NAME)
            told = command("brakeline-deploy", "status", "--model-store", store).result
            assert (told["version"], told["proven"]) == ("1", "1")
            assert half_written(store) == []
            tally.survived()
        small.clear()
        done = command(*words, "--registered", out / "second")
        assert done.code == 0, done.stderr
        assert done.result["before"] == "1"


def test_a_run_that_cannot_keep_its_record_says_so(small: Disk, tmp_path: Path, tally: Tally) -> None:
    """Before the first step and at the run's record: 75 with the file; no record is half there."""
    state = small.folder / "state"
    for room in (0, 3, 12):
        small.leave(room)
        tally.tried()
        done = command("brakeline", "run", "--runner", "process", "--state", state, "--json", "--rows", "1000")
        require_told(done, state)
        for file in state.glob("runs/*/run.json"):
            json.loads(file.read_text())
        assert [file for file in small.files() if Path(file).name.startswith(".") and ".alive" not in file] == []
        tally.survived()


_TOY = """
import sys
from pathlib import Path
from brakeline import narrator, record
from brakeline.local import LocalRunner, StepFailed
from brakeline.process import Processes
from tests.faults.disk import Disk
at, small = Path(sys.argv[1]), Disk(Path(sys.argv[2]))
kept = record.RunRecord("one", "process", small.folder / "runs" / "one", {})
small.leave(0)
try:
    LocalRunner(kept, narrator.ForMachines(), None, Processes()).run(at / "toy.yaml", {"word": "yes"})
except StepFailed as failed:
    small.clear()
    kept.end(record.FAILED, str(failed))
"""


def test_a_record_that_met_a_full_disk_is_whole_in_the_end(small: Disk, tmp_path: Path, tally: Tally) -> None:
    """A run whose steps fail for want of room has all of them in its record, once there is room for that."""
    toy.install(tmp_path)
    toy.compiled(toy.looped, tmp_path)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "PYTHONPATH": str(HOUSE)}
    tally.tried()
    subprocess.run([sys.executable, "-c", _TOY, str(tmp_path), str(small.folder)], env=environment, check=False,
                   capture_output=True)  # fmt: skip
    told = json.loads((small.folder / "runs" / "one" / "run.json").read_text())
    assert told["status"] == "failed"
    assert {task["status"] for task in told["tasks"] if task["name"] == "make"} == {"failed"}
    assert all(task["error"] and task["exit_code"] for task in told["tasks"])
    tally.survived()


def test_a_watch_keeps_its_memory_whole(start: Start, tiny: Chain, small: Disk, tally: Tally) -> None:
    """75 with the file; what it knew is there, and with room the next look goes on from it."""
    server = start("--model", str(traffic.model_of(tiny)))
    words = ["brakeline", "watch", "--server", server.url, "--once", "--json", "--state", small.folder / "state"]
    assert command(*words).code == 0
    memory = small.folder / "state" / "watch.json"
    before = memory.read_text()
    small.leave(0)
    tally.tried()
    require_told(command(*words), memory)
    tally.lost(int(memory.read_text() != before))
    small.clear()
    assert command(*words).code == 0
    assert json.loads(memory.read_text())["sha256"] == json.loads(before)["sha256"]
    assert {file.name for file in memory.parent.iterdir()} == {"watch.json", "watch.log.jsonl", ".watch.lock"}
    tally.survived()


def test_a_server_answers_while_its_log_has_no_room(start: Start, store: Store, small: Disk, tally: Tally) -> None:
    """Every answer is right; what was not logged is counted; with room it logs on, and no line is a torn one."""
    store.add("1")
    store.point("1")
    kept = small.folder / "log"
    server = start("--model-store", str(store.root), "--prediction-log", str(kept), "--prediction-share", "1")
    server.wait_for_version("1")

    def ask(number: int) -> None:
        for _ in range(number):
            answer = server.infer({"inputs": [tensor("speed_mps", 3.0)]})
            tally.wrong(int(answer.json["outputs"][0]["data"] != [6.0]))

    ask(50)
    server.wait_until(lambda: server.metric("brakeline_predictions_logged_total") == 50)
    small.leave(0)
    tally.tried()
    # More than is left of the page that the log ends in.
    ask(100)
    server.wait_until(lambda: server.metric("brakeline_predictions_dropped_total") > 0)
    small.clear()
    ask(20)
    server.wait_until(lambda: _logged(server) == 170)
    lines = [line for file in kept.glob("*.jsonl") for line in file.read_text().splitlines()]
    assert all(json.loads(line)["version"] == "1" for line in lines)
    assert len(lines) == server.metric("brakeline_predictions_logged_total")
    tally.survived()


def _logged(server: Server) -> float:
    return sum(server.metric(f"brakeline_predictions_{what}_total") for what in ("logged", "dropped"))


def test_a_server_whose_cache_has_no_room_serves_what_it_has(
    start: Start, small: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tally: Tally
) -> None:
    """The version of a store in S3 that does not fit is not taken, and nobody is answered by a part of it."""
    with object_store.serving() as s3:
        for name, value in s3.environment().items():
            monkeypatch.setenv(name, value)
        remote = RemoteStore(s3, tmp_path / "made")
        remote.put("1")
        remote.point("1")
        server = start("--model-store", "s3://bucket/models", "--model-cache", str(small.folder / "cache"))
        server.wait_for_version("1")
        small.leave(0)
        tally.tried()
        remote.put("2", scale=5.0)
        remote.point("2")
        server.wait_until(lambda: "No space left" in server.log.read_text())
        answer = server.infer({"inputs": [tensor("speed_mps", 3.0)]}).json
        tally.wrong(int(answer["outputs"][0]["data"] != [6.0]))
        assert answer["model_version"] == "1"
        small.clear()
        server.wait_for_version("2")
        tally.wrong(int(server.infer({"inputs": [tensor("speed_mps", 3.0)]}).json["outputs"][0]["data"] != [15.0]))
        assert half_written(small.folder) == []
        tally.survived()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty model store."""
    return Store(tmp_path / "models")
