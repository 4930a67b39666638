"""Swaps, killed workers and the server's end while 64 connections ask without pause."""

from __future__ import annotations

import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import Chain
from tests.serving.conftest import NAME, Server, Store, tensor
from tests.serving.load import Load, requests_and_answers
from tests.serving.processes import children_of

Start = Callable[..., Server]
CONNECTIONS = 64


Asked = tuple[list[bytes], dict[str, list[list[float]]]]


@pytest.fixture
def asked(store: Store) -> Asked:
    """A store of two versions, and requests with each version's answers."""
    models = {version: store.add(version, scale) for version, scale in (("1", 2.0), ("2", 5.0))}
    store.point("1")
    return requests_and_answers(models)


def _load(server: Server, asked: Asked, life: int | None = None) -> Load:
    return Load(server.port, CONNECTIONS, *asked, life=life)


def _has_more(load: Load, version: str, than: int) -> bool:
    return load.by_version.get(version, 0) > than


def _wait_for(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("workers", [1, 2])
def test_models_are_swapped_under_64_connections_without_a_wrong_or_lost_answer(
    start: Start, store: Store, asked: Asked, workers: int
) -> None:
    """Row by row, every answer is bit for bit onnxruntime's for the version that it names; none fails."""
    server = start("--model-store", str(store.root), "--workers", str(workers))
    server.wait_for_version("1")
    with _load(server, asked) as load:
        for version in ("2", "1", "2", "1", "2"):
            store.point(version)
            _wait_for(partial(_has_more, load, version, load.by_version.get(version, 0) + 200))
    assert load.wrong == []
    assert load.failed == []
    assert load.by_version.keys() == {"1", "2"}


def test_a_new_pointer_is_followed_within_a_second(start: Start, store: Store, asked: Asked) -> None:
    """From the file's replacement to the first answer of the new version."""
    server = start("--model-store", str(store.root))
    server.wait_for_version("1")
    took = []
    for version in ("2", "1", "2"):
        pointed = time.monotonic()
        store.point(version)
        server.wait_for_version(version)
        took.append(time.monotonic() - pointed)
    assert sorted(took)[1] < 1.0


def _children(server: Server) -> list[int]:
    return children_of(server.process.pid)


def test_a_killed_worker_is_replaced_and_no_answer_is_wrong(start: Start, store: Store, asked: Asked) -> None:
    """kill -9 under load: its own connections break, nobody is answered wrong, and the next worker serves."""
    server = start("--model-store", str(store.root), "--workers", "2")
    server.wait_for_version("1")
    first = _children(server)
    assert len(first) == 2
    with _load(server, asked, life=10_000) as load:
        _wait_for(lambda: load.answered > 500)
        os.kill(first[0], signal.SIGKILL)
        _wait_for(lambda: len(set(_children(server)) - set(first)) == 1)
        before = load.answered
        _wait_for(lambda: load.answered > before + 500)
    assert load.wrong == []
    assert 0 < len(load.failed) <= CONNECTIONS  # what that worker had under way, once for each connection at most
    assert not [reply for reply in load.failed if "HTTP/1.1" in reply]  # none was refused: the next one serves at once
    assert '"event": "worker_restarted"' in server.log.read_text()
    assert server.metric("brakeline_rows_total") >= load.answered
    assert server.stop() == 0


@pytest.mark.parametrize("workers", [1, 2])
def test_sigterm_under_load_loses_no_request(start: Start, store: Store, asked: Asked, workers: int) -> None:
    """New connections all the time, and the end in their midst: every request that was taken is answered."""
    server = start("--model-store", str(store.root), "--workers", str(workers))
    server.wait_for_version("1")
    with _load(server, asked, life=1) as load:
        _wait_for(lambda: load.answered > 500)
        signalled = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - signalled < 5
    assert load.wrong == []
    assert load.failed == []
    assert load.closed_by_server <= CONNECTIONS


def _has_two_children(pid: int) -> bool:
    return len(children_of(pid)) == 2


def test_a_signal_while_workers_are_loading_ends_them_at_once(tmp_path: Path) -> None:
    """It is not lost between a worker's fork and its first look at signals."""
    words = [sys.executable, "-m", "brakeline_serving", "--model-store", str(tmp_path), "--port", "0", "--workers", "2"]
    for _ in range(3):
        with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as parent:
            try:
                _wait_for(functools.partial(_has_two_children, parent.pid))
                parent.terminate()
                assert _ended(parent, 4) == 0
            finally:
                parent.kill()  # one that a failure left would be waited for


def test_several_workers_end_with_the_process_that_holds_their_stdin(tmp_path: Path) -> None:
    """The parent watches it; a worker that ended by itself would be started anew."""
    words = [sys.executable, "-m", "brakeline_serving", "--model-store", str(tmp_path), "--port", "0", "--workers", "2"]
    piped = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([*words, "--until-stdin-closes"], **piped) as parent:  # type: ignore[call-overload]
        assert b"listening" in parent.stdout.readline()
        parent.stdin.close()
        assert _ended(parent, 10) == 0


def _ended(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    """The exit code; None for one that had to be killed."""
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        return None


def test_the_parents_death_ends_the_workers(start: Start, store: Store, asked: Asked) -> None:
    """No worker is left behind by a parent that was killed."""
    server = start("--model-store", str(store.root), "--workers", "2")
    workers = _children(server)
    server.stop(signal.SIGKILL)
    _wait_for(lambda: not any(_lives(pid) for pid in workers))


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_it_ends_well_while_a_thread_runs_the_model(start: Start, tiny: Chain, tmp_path: Path) -> None:
    """A large request and the shadow's copy of it are under way, each in a thread, when the signal comes."""
    folder = tmp_path / "models" / NAME
    for version in ("1", "2"):
        (folder / version).mkdir(parents=True)
        shutil.copy(tiny.model / "model.onnx", folder / version)
    (folder / "serving.json").write_text('{"primary": "1", "shadow": "2"}')
    features = json.loads((tiny.model / "golden.json").read_text())["inputs"]
    body = json.dumps({"inputs": [tensor(name, *[values[0]] * 5_000) for name, values in features.items()]}).encode()
    for _ in range(3):
        server = start("--model-store", str(tmp_path / "models"))
        server.wait_for_version("1")
        for _ in range(4):
            assert server.infer(body).status == 200
        assert server.stop() == 0
