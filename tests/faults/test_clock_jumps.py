"""The wall clock is set forward and back by hours while something waits, measures, or puts things into an order."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from brakeline_deploy import s3_store
from brakeline_deploy.s3_store import RemoteStore

from tests.conftest import BIN, HOUSE, PATIENCE_S, Chain
from tests.deploy.releases import NAME, Made, release
from tests.faults import scripts
from tests.faults.clock import Clock
from tests.faults.counting import Tally
from tests.loop import traffic
from tests.loop.shift import RULE, Scene
from tests.orchestrator import object_store, toy
from tests.serving.conftest import Server, start
from tests.serving.load import Load, requests_and_answers

__all__ = ["start"]

Start = Callable[..., Server]
HOURS = (3, -5, 0, 11, -2)


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    """A clock that shows the right time until it jumps."""
    return Clock(tmp_path / "clock")


@contextmanager
def under(clock: Clock, *words: object, more: dict[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
    """A command of this environment under a clock, to be ended by the test."""
    program, *rest = map(str, words)
    environment = {**os.environ, **clock.environment, **(more or {})}
    pipe = subprocess.PIPE
    child = subprocess.Popen([str(BIN / program), *rest], env=environment, stdout=pipe, stderr=pipe, text=True)
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def result(child: subprocess.Popen[str]) -> dict[str, Any]:
    """The line of result of a command that ends well."""
    out, told = child.communicate(timeout=PATIENCE_S)
    assert child.returncode == 0, told
    return dict(json.loads(out))


def test_a_watch_waits_its_time(start: Start, tiny: Chain, clock: Clock, tmp_path: Path, tally: Tally) -> None:
    """What must hold for 8 s is decided after 8 s, though the clock says hours more, and then hours less."""
    server, state, wait_s = start("--model", str(traffic.model_of(tiny))), tmp_path / "state", 8.0
    slick, ended = traffic.world(tiny).slick(), threading.Event()
    chance = np.random.default_rng(0)

    def drive() -> None:
        while not ended.wait(0.2):
            traffic.ask(server, slick, chance.permutation(slick.rows.height)[:400].tolist())

    driving = threading.Thread(target=drive)
    driving.start()
    rule = ("--psi", "0.25", "--out-of-range", "off", "--widening-m", "off", "--coverage", "off", "--min-rows", "100")
    words = ("brakeline", "watch", "--server", server.url, "--state", state, "--dry-run", *rule)
    try:
        with under(clock, *words, "--for", f"{wait_s:g}s", "--window", "8s", "--interval", "0.4s") as child:
            began = _wait_for("holds", state, child)
            for hours in (3, -4):
                clock.jump(hours)
                tally.tried()
                time.sleep(1.0)
            decided = _wait_for("would_submit", state, child)
            assert decided - began >= wait_s - 1.0, "decided by a wall clock that jumped"
            tally.survived(2)
    finally:
        ended.set()
        driving.join()
    lines = [json.loads(line) for line in (state / "watch.log.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines if line["event"] == "holds_no_longer"] == []
    assert all(line.get("seconds", 0) >= 0 for line in lines)


def _wait_for(event: str, state: Path, child: subprocess.Popen[str]) -> float:
    """Wait until a watch tells of an event; the time [s] at which it did."""
    deadline, log = time.monotonic() + PATIENCE_S, state / "watch.log.jsonl"
    while f'"{event}"' not in (log.read_text() if log.is_file() else ""):
        assert child.poll() is None
        assert time.monotonic() < deadline, f"the watch told of no {event}"
        time.sleep(0.05)
    return time.monotonic()


def test_a_clock_that_was_set_back_keeps_no_watch_waiting(
    start: Start, tiny: Chain, tmp_path: Path, tally: Tally
) -> None:
    """A run was decided on while the clock was hours ahead: the next one has to wait for its cooldown alone."""
    server, slick = start("--model", str(traffic.model_of(tiny))), traffic.world(tiny).slick()
    scene = Scene(server, tmp_path / "state", replace(RULE, for_s=0.0, cooldown_s=600.0))
    scene.look(slick)
    assert scene.look(slick).status == "submitted"
    tally.tried()
    scene.now_s -= 5 * 3600.0
    scene.start_watch()
    assert scene.look(slick).status == "cooldown"
    assert scene.said("cooldown")[-1]["seconds_left"] <= 600
    assert scene.look(slick, after_s=600.0).status == "submitted"
    tally.survived()


def test_a_deployment_waits_its_time(clock: Clock, tmp_path: Path, tally: Tally) -> None:
    """A server that comes after seconds is found, though the clock says that the patience is over, or has not begun."""
    store, made = tmp_path / "store", release(tmp_path, "1")
    store.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    words = ("brakeline-deploy", "apply", *made.words(), "--endpoint", tmp_path / "endpoint", "--model-store", store)
    with under(clock, *words, "--server", f"http://127.0.0.1:{port}", "--timeout-seconds", "40") as child:
        for hours in (6, -7):
            time.sleep(1.0)
            clock.jump(hours)
            tally.tried()
        assert child.poll() is None
        with under(clock, "brakeline-serving", "--model-store", store, "--port", port):
            assert result(child)["version"] == "1"
    tally.survived(2)


def test_a_shadow_and_its_server_go_on(clock: Clock, tmp_path: Path, tally: Tally) -> None:
    """Under a clock that jumps all the time: every answer is right, every time measured is one, the trial is made."""
    one, two = release(tmp_path, "1", 2.0), release(tmp_path, "2", 2.001)
    store, kept, ready = tmp_path / "store", tmp_path / "kept", tmp_path / "ready"
    store.mkdir()
    serving = ("brakeline-serving", "--model-store", store, "--port", "0", "--ready-file", ready, "--access-log")
    began = time.monotonic()
    with (
        under(clock, *serving, "--prediction-log", kept, "--prediction-share", "1") as server,
        clock.jumping(*HOURS) as jumps,
    ):
        while not ready.exists():
            assert server.poll() is None
            time.sleep(0.02)
        url = ready.read_text().strip()
        words = _apply(store, url, tmp_path)
        with under(clock, *words, *one.words()) as child:
            assert result(child)["version"] == "1"
        trial = ("--shadow", "--after-requests", "200", "--within-m", "0.5", "--shadow-seconds", "60")
        with _load(url, one, two) as load, under(clock, *words, *two.words(), *trial) as child:
            done = result(child)
        assert (done["version"], done["before"]) == ("2", "1")
        tally.wrong(len(load.wrong))
        tally.failed_requests(len(load.failed))
        assert load.failed == []
        took_s, metrics = time.monotonic() - began, httpx.get(f"{url}/metrics").text
        server.terminate()
        _, diary = server.communicate(timeout=PATIENCE_S)
    rows = [row for row in metrics.splitlines() if row.startswith("brakeline_infer_seconds_sum")]
    assert 0.0 < float(rows[0].split()[1]) < took_s * 8
    spent = [line["duration_us"] for line in map(json.loads, diary.splitlines()) if line["event"] == "access"]
    assert len(spent) > 200
    assert all(0.0 < one < 1e6 * took_s for one in spent)
    lines = [json.loads(line) for file in kept.glob("*.jsonl") for line in file.read_text().splitlines()]
    assert len(lines) > 200
    tally.tried(len(jumps))
    tally.survived(len(jumps))


def _apply(store: Path, url: str, folder: Path) -> tuple[object, ...]:
    told = ("--endpoint", folder / "endpoint", "--model-store", store, "--server", url, "--timeout-seconds", "30")
    return ("brakeline-deploy", "apply", *told)


def _load(url: str, *made: Made) -> Load:
    models = {one.version: one.model / "model.onnx" for one in made}
    requests, answers = requests_and_answers(models)
    return Load(int(url.rpartition(":")[2]), 4, requests, answers)


def test_a_run_takes_the_time_that_it_takes(clock: Clock, tmp_path: Path, tally: Tally) -> None:
    """Its seconds are those that passed, and of two runs the later one is the newer, though the clock was set back."""
    toy.install(tmp_path)
    toy.compiled(toy.looped, tmp_path)
    environment = {**os.environ, **clock.environment, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    environment["PYTHONPATH"] += f"{os.pathsep}{HOUSE}"
    named = list[str]()
    for hours in (5, -5):
        clock.jump(hours)
        began = time.monotonic()
        with clock.jumping(hours + 3, hours - 4, hours) as jumps:
            words = [sys.executable, "-c", scripts.RUN, str(tmp_path)]
            done = subprocess.run(words, env=environment, check=True, text=True, capture_output=True)
        tally.tried(len(jumps))
        took_s = time.monotonic() - began
        named.append(done.stdout.strip())
        told = json.loads((tmp_path / "runs" / named[-1] / "run.json").read_text())
        assert 0.0 < told["seconds"] < took_s
        assert all(0.0 <= task["seconds"] <= told["seconds"] for task in told["tasks"])
        tally.survived(len(jumps))
    assert named == sorted(named)


def test_a_registry_is_in_the_order_in_which_things_happened(clock: Clock, tmp_path: Path, tally: Tally) -> None:
    """What came later is later, whatever the time that is noted with it: the newest version, and the live one."""
    from brakeline_register.registry import open_registry

    file, environment = tmp_path / "registry.sqlite", {**os.environ, **clock.environment}
    environment["PYTHONPATH"] += f"{os.pathsep}{HOUSE}"
    tally.tried(4)
    words = [sys.executable, "-c", scripts.REGISTRY, str(file), environment["FAKETIME_TIMESTAMP_FILE"]]
    subprocess.run(words, env=environment, check=True)
    kept = open_registry(f"sqlite:///{file}")
    versions, changes = kept.list(NAME), kept.changes(NAME)
    assert [(one.version, one.sha256[0]) for one in versions] == [("1", "a"), ("2", "b")]
    assert versions[0].created_at > versions[1].created_at, "the clock was not turned"
    assert [change.why for change in changes] == ["first", "second"]
    live = kept.live(NAME)
    assert live is not None
    tally.lost(int(live.version != "2"))
    tally.survived(4)


def test_a_deployments_turn_is_its_own(
    clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tally: Tally
) -> None:
    """A clock ahead takes no turn of one that is at work; a clock behind waits for no turn of one that was killed."""
    monkeypatch.setattr(s3_store, "LEASE_S", 1.0)
    monkeypatch.setattr(s3_store, "RENEW_S", 0.2)
    with object_store.serving() as s3:
        for name, value in s3.environment().items():
            monkeypatch.setenv(name, value)

        def whose(hours: int) -> str:
            clock.jump(hours)
            tally.tried()
            environment = {**os.environ, **clock.environment}
            words = [sys.executable, "-c", scripts.TURN, NAME]
            done = subprocess.run(words, env=environment, check=False, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            return done.stdout.strip()

        store = RemoteStore("s3://bucket/models", NAME)
        with store.turn():
            assert [whose(hours) for hours in (2, -2, 0)] == ["another's"] * 3
        left = {"by": "killed", "until": time.time() + 1.0}
        s3.objects[f"/bucket/models/{NAME}/.deploy.lock"] = json.dumps(left).encode()
        s3.metadata.clear()
        assert whose(-2) == "mine"
    tally.survived(4)
