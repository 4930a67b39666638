"""Deploy to a model store, before a real server under traffic: nothing is lost; a shadow takes over once it held."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from brakeline_deploy import places, rollout
from brakeline_deploy.target import Overtaken, Standing, Target, Trial
from stepkit.errors import ArtifactAltered, Refused, TryAgain, UsageError

from tests.conftest import BIN, command
from tests.deploy.releases import NAME, Made, release
from tests.orchestrator import object_store
from tests.serving.conftest import Server, start
from tests.serving.load import Load, requests_and_answers

__all__ = ["start"]  # a fixture
Start = Callable[..., Server]


@contextmanager
def opened(store: Path | str, server: Server) -> Iterator[Target]:
    with places.opened(places.Asked(str(store), NAME, server.url, timeout_seconds=15), at_work=True) as target:
        yield target


def roll_out(store: Path | str, server: Server, made: Made, model: bool = True) -> dict[str, Any]:
    with (
        opened(store, server) as target,
        rollout.admitted(made.registered, made.verdict, made.model if model else None) as admitted,
    ):
        return rollout.apply(target, admitted)


def try_out(store: Path, server: Server, made: Made, trial: Trial | None, patience_s: float = 20) -> dict[str, Any]:
    with opened(store, server) as target, rollout.admitted(made.registered, made.verdict, made.model) as admitted:
        return rollout.apply_after_trial(target, admitted, trial, patience_s)


def standing(store: Path | str) -> Standing:
    with places.opened(places.Asked(str(store), NAME)) as target:
        return target.standing()


def pointer(store: Path) -> dict[str, Any]:
    return dict(json.loads((store / NAME / "serving.json").read_text()))


@contextmanager
def traffic(server: Server, *releases: Made) -> Iterator[Load]:
    """Four connections that ask without pause, each answer held to what the version that it names would say."""
    load = Load(server.port, 4, *requests_and_answers({made.version: made.model / "model.onnx" for made in releases}))
    with load:
        yield load


def test_apply_and_rollback_fail_no_request(start: Start, tmp_path: Path) -> None:
    """Under traffic without pause two versions take turns and are rolled back: no request fails, none is wrong."""
    store = tmp_path / "store"
    one, two, three = release(tmp_path, "1"), release(tmp_path, "2", 3.0), release(tmp_path, "3", 5.0)
    server = start("--model-store", str(store))
    roll_out(store, server, one)
    with traffic(server, one, two, three) as load:
        roll_out(store, server, two)
        roll_out(store, server, three)
        for version in ("2", "1"):
            done = command("brakeline-deploy", "rollback", "--model-store", store, "--server", server.url,
                           "--why", "it brakes late")  # fmt: skip
            assert done.code == 0, done.stderr
            assert (done.result["version"], done.result["confirmed"]) == (version, True)
    assert (load.failed, load.wrong) == ([], [])
    assert set(load.by_version) == {"1", "2", "3"}
    assert load.answered > 200
    assert standing(store).last["why"] == "it brakes late"


def test_what_was_gone_back_from_is_nothing_to_go_back_to(start: Start, tmp_path: Path) -> None:
    """1, 2, back to 1, 3: what was before 3 is 1; and a version may come again."""
    store = tmp_path / "store"
    one, two, three = release(tmp_path, "1"), release(tmp_path, "2", 3.0), release(tmp_path, "3", 5.0)
    server = start("--model-store", str(store))
    roll_out(store, server, one)
    roll_out(store, server, two)
    with opened(store, server) as target:
        assert target.roll_back("slow")["instead_of"] == "2"
    roll_out(store, server, three)
    assert (standing(store).version, standing(store).previous) == ("3", "1")
    roll_out(store, server, two)
    assert standing(store).previous == "3"


def test_a_rollback_killed_in_the_middle_is_ended_by_the_next(start: Start, tmp_path: Path) -> None:
    """The record is written and the pointer is not: the next rollback leads to the same version, not past it."""
    store = tmp_path / "store"
    server = start("--model-store", str(store))
    for version, scale in (("1", 2.0), ("2", 3.0), ("3", 4.0)):
        roll_out(store, server, release(tmp_path, version, scale))
    with opened(store, server) as target, pytest.MonkeyPatch.context() as patched:
        patched.setattr("brakeline_deploy.store.ModelStore.serve", _killed)
        with pytest.raises(KeyboardInterrupt):
            target.roll_back("slow")
    assert pointer(store)["primary"] == "3"
    with opened(store, server) as target:
        assert target.roll_back("slow")["version"] == "2"
    assert (standing(store).version, standing(store).previous) == ("2", "1")


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


def test_two_deployments_of_one_store_take_turns(start: Start, tmp_path: Path) -> None:
    """The second is told to try again (75) while the first is at work; a pointer that others changed stays."""
    store = tmp_path / "store"
    one, two = release(tmp_path, "1"), release(tmp_path, "2", 3.0)
    server = start("--model-store", str(store))
    with opened(store, server) as target, rollout.admitted(one.registered, one.verdict, one.model) as admitted:
        with pytest.raises(TryAgain, match="another deployment is at work"):
            roll_out(store, server, two)
        target.put(admitted)
        (store / NAME / "serving.json").write_text('{"primary": "9"}')
        with pytest.raises(Overtaken, match="made version 9 the primary"):
            target.remember(admitted)
    assert pointer(store)["primary"] == "9"


def test_a_plan_shows_the_pointer_as_a_diff(start: Start, tmp_path: Path) -> None:
    """What serving.json would say instead, and whether anything would change."""
    store = tmp_path / "store"
    one, two = release(tmp_path, "1"), release(tmp_path, "2", 3.0)
    server = start("--model-store", str(store))
    roll_out(store, server, one)
    told = command("brakeline-deploy", "plan", *two.words(), "--model-store", store).result
    assert "-primary: '1'\n+primary: '2'\n" in told["diff"]
    assert (told["before"], told["after"]) == ({"primary": "1"}, {"primary": "2"})
    same = command("brakeline-deploy", "plan", *one.words(), "--model-store", store).result
    assert (same["changes"], same["diff"]) == (False, "")


def test_a_shadow_that_held_takes_over(start: Start, tmp_path: Path) -> None:
    """After enough requests whose medians were near enough the shadow is the primary, proven, without a failure."""
    store = tmp_path / "store"
    one, two = release(tmp_path, "1", 2.0), release(tmp_path, "2", 2.001)
    server = start("--model-store", str(store))
    roll_out(store, server, one)
    assert try_out(store, server, two, None)["shadow"] == "2"
    assert pointer(store) == {"primary": "1", "shadow": "2"}
    with traffic(server, one, two) as load:
        done = try_out(store, server, two, Trial(300, 0.5, 1.0))
    assert (load.failed, load.wrong) == ([], [])
    assert (done["version"], done["before"]) == ("2", "1")
    assert done["compared"]["requests_compared"] >= 300
    assert done["compared"]["rows_beyond"] == 0
    assert pointer(store) == {"primary": "2"}
    assert standing(store).previous == "1"


def test_a_shadow_that_differs_is_removed_and_says_by_how_much(start: Start, tmp_path: Path) -> None:
    """Medians are farther apart than was stated: 65 with the share, what it would need and the mean; it is gone."""
    store = tmp_path / "store"
    one, two = release(tmp_path, "1", 2.0), release(tmp_path, "2", 2.05)
    server = start("--model-store", str(store))
    roll_out(store, server, one)
    with (
        traffic(server, one),
        pytest.raises(Refused, match=r"differs by more than 0\.5 m.*it would need 5 m.*mean") as no,
    ):
        try_out(store, server, two, Trial(200, 0.5, 0.95))
    assert no.value.facts["rows_beyond"] > 0  # type: ignore[operator]
    assert pointer(store) == {"primary": "1"}
    with traffic(server, one, two):
        held = try_out(store, server, two, Trial(200, 5.0, 0.95))
    assert held["version"] == "2", "what was counted before the trial does not count in it"


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("kept", ["folder", "s3"])
def test_a_trial_that_is_ended_leaves_no_shadow(
    start: Start, tmp_path: Path, kept: str, how: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGTERM or Ctrl-C while requests are compared: within a second it is gone, so is the turn; the primary stays."""
    with object_store.serving() as s3:
        for key, value in s3.environment().items():
            monkeypatch.setenv(key, value)
        store = "s3://bucket/models" if kept == "s3" else str(tmp_path / "store")
        server = start("--model-store", store)
        roll_out(store, server, release(tmp_path, "1"))
        two = release(tmp_path, "2", 2.001)
        words = [BIN / "brakeline-deploy", "apply", *two.words(), "--endpoint", tmp_path / "endpoint", "--server",
                 server.url, "--model-store", store, "--shadow", "--after-requests", "1000000"]  # fmt: skip
        child = subprocess.Popen([str(word) for word in words], stderr=subprocess.PIPE, text=True)
        assert child.stderr is not None
        while '"comparing"' not in child.stderr.readline():
            assert child.poll() is None
        with places.opened(places.Asked(store, NAME)) as target:
            assert target.standing().shadow == "2"
            child.send_signal(how)
            # 0.5 s above the promise: the test machine may be busy.
            assert child.wait(1.5) != 0
            assert '"shadow_removed"' in child.stderr.read()
            assert (target.standing().version, target.standing().shadow) == ("1", None)
        assert roll_out(store, server, two)["version"] == "2", "nobody waits for a turn that nobody has"
        server.stop()


def test_a_shadow_without_traffic_is_removed(start: Start, tmp_path: Path) -> None:
    """Too few requests: 75 with how many came; a difference that nobody counts by is refused with those that are."""
    store = tmp_path / "store"
    one, two = release(tmp_path, "1", 2.0), release(tmp_path, "2", 2.0)
    server = start("--model-store", str(store))
    with pytest.raises(UsageError, match="a shadow follows a primary"):
        try_out(store, server, one, None)
    roll_out(store, server, one)
    with pytest.raises(TryAgain, match="compared on 0 of 100 requests"):
        try_out(store, server, two, Trial(100, 0.5, 1.0), patience_s=1)
    with pytest.raises(UsageError, match=r"--within-m: found 0\.3, allowed what the server counts by: 0\.1, 0\.5, 1"):
        try_out(store, server, two, Trial(100, 0.3, 1.0))
    assert pointer(store) == {"primary": "1"}
    done = command("brakeline-deploy", "apply", *two.words(), "--endpoint", tmp_path / "e", "--model-store", store,
                   "--server", server.url, "--canary-percent", "5")  # fmt: skip
    assert done.code == 65
    assert "--shadow gives it a copy" in done.error["message"]


def test_a_store_in_s3_is_deployed_to_and_followed(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Graph, sum and pointer go to the bucket, the server takes them from there, and they are gone back from alike."""
    one, two = release(tmp_path, "1"), release(tmp_path, "2", 3.0)
    with object_store.serving() as s3:
        for key, value in s3.environment().items():
            monkeypatch.setenv(key, value)
        root = "s3://bucket/models"
        server = start("--model-store", root)
        assert roll_out(root, server, one)["values_proven"] == 4
        assert roll_out(root, server, two)["before"] == "1"
        with opened(root, server) as target:
            assert target.roll_back("late")["version"] == "1"
        assert json.loads(s3.objects[f"/bucket/models/{NAME}/serving.json"]) == {"primary": "1"}
        assert s3.objects[f"/bucket/models/{NAME}/2/model.onnx.sha256"].decode() == f"{two.sha256}  model.onnx\n"
        del s3.objects[f"/bucket/models/{NAME}/2/model.onnx.sha256"]
        assert roll_out(root, server, two)["version"] == "2", "what a killed installation left is done anew"
        server.stop()


@pytest.mark.parametrize("kept", ["folder", "s3"])
def test_without_a_model_the_registered_uri_is_read(
    start: Start, tmp_path: Path, kept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model comes from where its registration says, a folder or S3; one of another sha256 changes nothing."""
    store, away = tmp_path / "store", tmp_path / "kept"
    server = start("--model-store", str(store))
    with object_store.serving() as s3:
        for key, value in s3.environment().items():
            monkeypatch.setenv(key, value)
        uri = "s3://bucket/kept/1" if kept == "s3" else str(away)
        one = release(tmp_path, "1", uri=uri)
        shutil.copytree(one.model, away)
        for file in away.iterdir():
            s3.objects[f"/bucket/kept/1/{file.name}"] = file.read_bytes()
        assert roll_out(store, server, one, model=False)["values_proven"] == 4
        other = release(tmp_path, "2", 3.0, uri=uri)
        with pytest.raises(ArtifactAltered):
            roll_out(store, server, other, model=False)
    assert pointer(store) == {"primary": "1"}
