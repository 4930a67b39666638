"""A watch that is killed, called twice, told to end, or denied: no run is lost and none is made twice."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from brakeline.trigger import Command, Outcome, To

from tests.conftest import BIN, Chain, command
from tests.loop import traffic
from tests.loop.conftest import Log
from tests.loop.shift import RULE, Scene
from tests.loop.test_feedback import feedback, told
from tests.serving.certificates import make_certificate
from tests.serving.conftest import Server

Start = Callable[..., Server]
AT_ONCE = replace(RULE, for_s=0.0)


@pytest.fixture
def server(start: Start, tiny: Chain) -> Server:
    return start("--model", str(traffic.model_of(tiny)))


def test_killed_between_deciding_and_submitting_it_is_submitted_once(
    server: Server, world: traffic.World, tmp_path: Path
) -> None:
    """The key is on the disk before the command starts: the next watch starts it with the same key, and that is all."""
    scene = Scene(server, tmp_path / "state", AT_ONCE)
    scene.look(world)
    scene.submitter.outcomes = [KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        scene.looks(world.slick(), 3)
    assert scene.memory["trigger"]["status"] == "running"
    scene.start_watch()
    assert scene.look(world.slick()).status == "submitted"
    assert scene.looks(world.slick(), 3) == ["cooldown"] * 3
    first, second = scene.submitter.keys
    assert first == second == scene.memory["trigger"]["key"]
    assert scene.memory["trigger"]["run"] == "run-2"
    assert len(scene.said("decided")) == 1


def test_a_run_that_cannot_be_started_is_tried_again_with_its_key(
    server: Server, world: traffic.World, tmp_path: Path
) -> None:
    """The cluster is away: told, tried again later and later, never given up, and never decided on twice."""
    scene = Scene(server, tmp_path / "state", AT_ONCE)
    scene.look(world)
    scene.submitter.outcomes = [Outcome("", "", 69, "the API does not answer")] * 3
    looked = [scene.look(world.slick()) for _ in range(20)]
    assert [one.exit_code for one in looked if one.status == "failed"] == [69, 69, 69]
    assert [one.status for one in looked].count("submitted") == 1
    assert len(set(scene.submitter.keys)) == 1
    assert len(scene.submitter.keys) == 4
    waits = [later["time"] for later in scene.said("not_submitted")]
    assert len(set(waits)) == 3
    assert scene.memory["trigger"]["status"] == "submitted"


def test_a_dry_run_says_so_and_starts_nothing(server: Server, world: traffic.World, tmp_path: Path) -> None:
    """Told once while it lasts; no key, no cooldown: a real watch goes on where it ended."""
    scene = Scene(server, tmp_path / "state", AT_ONCE, dry_run=True)
    scene.look(world)
    came = scene.looks(world.slick(), 4)
    assert came[-1] == "would_submit"
    assert scene.submitter.keys == []
    assert scene.memory["trigger"] is None
    assert len(scene.said("would_submit")) == 1
    scene.dry_run = False
    scene.start_watch()
    assert scene.look(world.slick()).status == "submitted"


def test_coverage_below_the_promise_is_a_reason_and_one_feedback_one_run(
    server: Server, log: Log, tmp_path: Path
) -> None:
    """Half of the stops longer than their bound: a run, and after the cooldown no other for the same feedback."""
    scene = Scene(server, tmp_path / "state", replace(AT_ONCE, psi=None, coverage=True, cooldown_s=60.0),
                  now_s=time.time())  # fmt: skip
    stops = [(id_, row, 500.0 if at % 2 else 5.0) for at, (id_, row, _) in enumerate(log.stops())]
    file = traffic.stops_file(tmp_path / "s.csv", stops)
    assert scene.look(None).status == "nothing"
    told(feedback(file, log.folder, scene.state))
    assert scene.look(None).status == "submitted"
    (reason,) = scene.submitter.reasons
    assert reason.startswith("coverage 49.75% of 400 stops, at most 54.63%, promised 99.00%")
    assert [scene.look(None, after_s=100.0).status for _ in range(3)] == ["nothing"] * 3
    (scene.state / "feedback.json").write_text("{}")
    looked = scene.look(None)
    assert (looked.status, "cannot be read" in looked.findings[-1].words) == ("nothing", True)
    json.dumps(looked.facts(), allow_nan=False)


def watch(server: Server, state: Path, *more: object) -> tuple[object, ...]:
    return ("brakeline", "watch", "--server", server.url, "--state", state, *more)


def test_the_command_submits_a_real_run_once(server: Server, world: traffic.World, tmp_path: Path) -> None:
    """Looks as a clock starts them: 0, then 10 with a run that knows its reason, then 0 while it cools down.

    The run itself ends soon, by stops that break the contract. Asked again with its key it is found, not made again.
    """
    state, stops = tmp_path / "state", tmp_path / "stops.csv"
    stops.write_text("# unit: wheel_speed_mps = m/s, stopping_distance_m = m\n"
                     "wheel_speed_mps,vehicle_class,stopping_distance_m\n20,1,-4\n")  # fmt: skip
    run = ("--runner", "process", "--rows", "1000", "--holdout-rows", "1000", "--trials", "1", "--shards", "1")
    rule = ("--for", "0", "--min-rows", "400", "--widening-m", "off", "--once", "--json", "--recorded", stops)
    words = watch(server, state, *rule, "--", *run, "--no-deploy")
    first = command(*words)
    assert (first.code, first.result["status"]) == (0, "nothing"), first.stderr
    traffic.ask(server, world.slick(), range(1000))
    fired = command(*words)
    assert (fired.code, fired.result["status"]) == (10, "submitted"), fired.stderr
    trigger = fired.result["trigger"]
    assert trigger["outcome"] == "failed"
    assert "stopping_distance_m found -4" in trigger["error"]
    (file,) = state.glob("runs/*/run.json")
    record = json.loads(file.read_text())
    assert (record["reason"], record["idempotency"]) == (trigger["reason"], trigger["key"])
    assert world.named("friction") in record["reason"]
    traffic.ask(server, world.slick(), range(1000))
    later = command(*words)
    assert (later.code, later.result["status"]) == (0, "cooldown"), later.stderr
    again = command("brakeline", "run", *run, "--state", state, "--idempotency", trigger["key"], "--json")
    assert (again.code, again.result["run"]) == (65, record["run_id"])
    memory = json.loads((state / "watch.json").read_text())
    memory["trigger"]["status"] = "decided"
    (state / "watch.json").write_text(json.dumps(memory))
    resumed = command(*words)
    assert (resumed.code, resumed.result["status"]) == (10, "submitted"), resumed.stderr
    assert resumed.result["trigger"]["run"] == record["run_id"]
    assert list(state.glob("runs/*/run.json")) == [file]


def test_two_runs_with_one_key_are_one(tmp_path: Path) -> None:
    """Started at the same moment: one makes the run, the other waits and tells the same."""
    stops = tmp_path / "stops.csv"
    stops.write_text("wheel_speed_mps,vehicle_class,stopping_distance_m\n20,1,4\n")
    words = ["run", "--runner", "process", "--state", str(tmp_path), "--idempotency", "k", "--json", "--rows", "1000",
             "--holdout-rows", "1000", "--shards", "1", "--recorded", str(stops), "--no-deploy"]  # fmt: skip
    both = [subprocess.Popen([BIN / "brakeline", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for _ in range(2)]  # fmt: skip
    ends = [child.communicate(timeout=120) for child in both]
    assert [child.returncode for child in both] == [65, 65], ends
    one, other = (json.loads(out) for out, _ in ends)
    assert one == other
    assert one["error"].startswith("assemble:")
    assert len(list(tmp_path.glob("runs/*/run.json"))) == 1


def test_every_option_of_the_run_is_one_that_the_command_has(tmp_path: Path) -> None:
    """What is passed to either command is known to it: the command line is read, and only --help answers."""
    for to in To:
        words = Command(to, tmp_path, "s3://bucket/stops.csv", ["--help"]).words("key", "because")
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if to is To.CLUSTER and "No such command" in done.stderr:
            pytest.skip("brakeline submit is not there yet")
        assert done.returncode == 0, done.stderr
        assert "Example:" in done.stdout


def _ends_within_a_second(child: subprocess.Popen[bytes], number: int) -> None:
    began = time.monotonic()
    child.send_signal(number)
    assert child.wait(5) == 143
    assert time.monotonic() - began < 1.0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_watch_within_a_second(number: int, server: Server, tmp_path: Path) -> None:
    """Between looks; a second watch on the same state was refused meanwhile (75), and may begin afterwards."""
    words = [str(word) for word in watch(server, tmp_path, "--json")]
    with (tmp_path / "out").open("wb") as out:
        child = subprocess.Popen([BIN / words[0], *words[1:]], stdout=out, stderr=subprocess.DEVNULL)
    while not (tmp_path / "out").read_bytes().endswith(b"\n"):
        assert child.poll() is None
        time.sleep(0.05)
    second = command(*watch(server, tmp_path, "--once"))
    assert second.code == 75
    assert "another brakeline watch" in second.stderr
    _ends_within_a_second(child, number)
    assert json.loads((tmp_path / "watch.json").read_text())["version"] == "1"
    assert command(*watch(server, tmp_path, "--once")).code == 0


def test_a_signal_ends_a_watch_whose_server_hangs(tmp_path: Path) -> None:
    """Also while a server took the connection and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        words = ["watch", "--server", f"http://127.0.0.1:{hanging.getsockname()[1]}", "--state", str(tmp_path)]
        child = subprocess.Popen([BIN / "brakeline", *words], stderr=subprocess.DEVNULL)
        hanging.settimeout(20)
        connection, _ = hanging.accept()
        with connection:
            _ends_within_a_second(child, signal.SIGTERM)


def test_a_killed_watch_leaves_its_run_and_the_next_one_finds_it(
    server: Server, world: traffic.World, tmp_path: Path
) -> None:
    """SIGKILL while the run goes on: the run ends by itself, the next watch learns how, and there is one."""
    state, stops = tmp_path / "state", tmp_path / "stops.csv"
    stops.write_text("wheel_speed_mps,vehicle_class,stopping_distance_m\n20,1,4\n")
    run = ("--runner", "process", "--rows", "20000", "--holdout-rows", "1000", "--shards", "1", "--no-deploy")
    rule = ("--for", "0", "--min-rows", "400", "--widening-m", "off", "--json", "--recorded", stops)
    assert command(*watch(server, state, *rule, "--once", "--", *run)).code == 0
    traffic.ask(server, world.slick(), range(1000))
    words = [str(word) for word in watch(server, state, *rule, "--interval", "1s", "--", *run)]
    child = subprocess.Popen([BIN / words[0], *words[1:]], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list(state.glob("runs/*/run.json")):
        assert child.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait(5)
    done = command(*watch(server, state, *rule, "--once", "--", *run))
    assert (done.code, done.result["status"]) == (10, "submitted"), done.stderr
    (file,) = state.glob("runs/*/run.json")
    assert json.loads(file.read_text())["run_id"] == done.result["trigger"]["run"]
    assert done.result["trigger"]["outcome"] == "failed"


def test_a_server_behind_tls_and_a_token_is_watched(start: Start, tiny: Chain, tmp_path: Path) -> None:
    """With the authority and the token it looks; without the one 69, without the other 65, and no token is told."""
    chain, key = make_certificate(tmp_path, "watched")
    token = tmp_path / "token"
    token.write_text("s3cret-s3cret\n")
    guarded = start("--model", str(traffic.model_of(tiny)), "--token-file", str(token), "--tls-certificate", str(chain),
                    "--tls-key", str(key))  # fmt: skip
    words = watch(guarded, tmp_path / "state", "--once", "--json")
    assert guarded.url.startswith("https://")
    assert command(*words, "--ca-file", chain, "--token-file", token).result["status"] == "nothing"
    untrusted = command(*words, "--token-file", token)
    assert (untrusted.code, "--ca-file" in untrusted.result["error"]) == (69, True)
    (tmp_path / "wrong").write_text("another")
    for more in ((), ("--token-file", tmp_path / "wrong")):
        denied = command(*words, "--ca-file", chain, *more)
        assert denied.code == 65
        assert "--token-file" in denied.result["error"]
        assert "another" not in denied.result["error"]
    for file in (tmp_path / "state").rglob("*"):
        assert file.is_dir() or "s3cret" not in file.read_text()


def test_a_memory_that_no_watch_wrote_is_refused(server: Server, tmp_path: Path) -> None:
    """65 with the file and what to do; an unreadable state is never taken for an empty one."""
    for text in ("{", "[]", "{}", '{"schema_version": 9}', '{"schema_version": 1, "window": []}'):
        (tmp_path / "watch.json").write_text(text)
        done = command(*watch(server, tmp_path, "--once"))
        assert done.code == 65, (text, done.stderr)
        assert str(tmp_path / "watch.json") in done.stderr
        assert (tmp_path / "watch.json").read_text() == text
