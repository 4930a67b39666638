"""Deploy to a model store in S3, before a real server that follows it there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from brakeline_deploy import s3_store
from brakeline_deploy.s3_store import RemoteStore
from stepkit import objects
from stepkit.errors import ArtifactAltered, ObjectAltered, TryAgain

from tests.conftest import BIN, Done, command
from tests.deploy.releases import NAME, Made, release
from tests.orchestrator import object_store
from tests.orchestrator.object_store import ObjectStore
from tests.serving.conftest import Server

ROOT, AT = "s3://bucket/models", f"/bucket/models/{NAME}"


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ObjectStore]:
    with object_store.serving() as store:
        # Where a server that the test kills leaves what it fetched.
        for name, value in {**store.environment(), "TMPDIR": str(tmp_path)}.items():
            monkeypatch.setenv(name, value)
        yield store


@pytest.fixture
def server(s3: ObjectStore, tmp_path: Path) -> Iterator[Server]:
    made = Server("--model-store", ROOT, log=tmp_path / "server.log")
    yield made
    made.stop()


def words(made: Made, at: Path, url: str) -> list[object]:
    told = ["--endpoint", at / "endpoint", "--model-store", ROOT, "--server", url, "--timeout-seconds", "8"]
    return ["apply", *made.words(), *told]


def apply(made: Made, at: Path, server: Server) -> Done:
    return command("brakeline-deploy", *words(made, at, server.url))


def pointer(s3: ObjectStore) -> dict[str, str]:
    return dict(json.loads(s3.objects[f"{AT}/serving.json"]))


def test_a_version_is_served_proven_and_rolled_back(s3: ObjectStore, server: Server, tmp_path: Path) -> None:
    """Apply, apply the next, again, roll back: as in a folder; nothing of a deployment is left but what serves."""
    for version, scale in (("1", 2.0), ("2", 5.0), ("2", 5.0)):
        done = apply(release(tmp_path / str(scale), version, scale), tmp_path, server)
        assert done.code == 0, done.stderr
        assert done.result["values_proven"] == 4
        assert pointer(s3) == {"primary": version}
    back = command("brakeline-deploy", "rollback", "--model-store", ROOT, "--server", server.url)
    assert back.code == 0, back.stderr
    assert back.result["version"] == "1"
    server.wait_for_version("1")
    kept = {f"{version}/{file}" for version in "12" for file in ("model.onnx", "model.onnx.sha256")}
    assert set(s3.objects) == {f"{AT}/{name}" for name in {*kept, "serving.json", "history.jsonl"}}


def test_a_failed_proof_restores_the_version_before(s3: ObjectStore, server: Server, tmp_path: Path) -> None:
    """A version whose answers are not its golden ones: refused, and the proven one is named again."""
    assert apply(release(tmp_path, "1"), tmp_path, server).code == 0
    wrong = release(tmp_path, "2", 5.0)
    golden = json.loads((wrong.model / "golden.json").read_text())
    golden["outputs"]["way_m"][0] += 1
    (wrong.model / "golden.json").write_text(json.dumps(golden))
    done = apply(wrong, tmp_path, server)
    assert done.code == 65
    assert pointer(s3) == {"primary": "1"}
    server.wait_for_version("1")


def test_a_store_that_is_down_ends_with_69_and_changes_nothing(s3: ObjectStore, server: Server, tmp_path: Path) -> None:
    """Not reached: unavailable; denied: 65; neither leaves anything."""
    s3.failures = 10**6
    done = apply(release(tmp_path, "1"), tmp_path, server)
    assert done.code == 69
    assert ROOT in done.error["message"]
    s3.failures, s3.refused = 0, {"PUT"}
    assert apply(release(tmp_path, "1"), tmp_path, server).code == 65
    assert s3.objects == {}


def test_a_version_once_there_keeps_its_bytes(s3: ObjectStore, tmp_path: Path) -> None:
    """Another graph under it is refused, as is a model that is not what was registered."""
    store, one, other = RemoteStore(ROOT, NAME), release(tmp_path, "1"), release(tmp_path, "2", 5.0)
    store.install(one.model, "1", one.sha256)
    before = dict(s3.objects)
    store.install(one.model, "1", one.sha256)
    with pytest.raises(ObjectAltered):
        store.install(other.model, "1", other.sha256)
    with pytest.raises(ArtifactAltered):
        store.install(other.model, "3", one.sha256)
    assert s3.objects == before
    assert s3.objects[f"{AT}/1/model.onnx.sha256"].decode() == f"{one.sha256}  model.onnx\n"


def test_what_a_killed_deployment_put_is_completed_by_the_next(s3: ObjectStore, server: Server, tmp_path: Path) -> None:
    """A graph without its checksum is no version: it is put again, whatever bytes are there."""
    s3.objects[f"{AT}/1/model.onnx"] = b"half of it"
    assert RemoteStore(ROOT, NAME).sha256("1") is None
    assert apply(release(tmp_path, "1"), tmp_path, server).code == 0


def test_two_deployments_take_turns(s3: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One at a time; the lease of one at work is renewed, and given back at its end, whatever ends it."""
    monkeypatch.setattr(s3_store, "LEASE_S", 2.0)
    monkeypatch.setattr(s3_store, "RENEW_S", 0.05)
    store = RemoteStore(ROOT, NAME)
    with pytest.raises(KeyboardInterrupt), store.turn():
        time.sleep(2.5)
        with pytest.raises(TryAgain, match="another deployment is at work"), store.turn():
            raise AssertionError("two at once")
        raise KeyboardInterrupt
    assert not objects.exists(store.address(".deploy.lock"))
    with store.turn():
        assert objects.exists(store.address(".deploy.lock"))


def test_the_turn_of_a_killed_deployment_ends_by_itself(
    s3: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """75 as long as the lease lasts; then the next one takes over, and only one of those that try."""
    monkeypatch.setattr(s3_store, "RENEW_S", 0.05)
    made = release(tmp_path, "1")
    child = subprocess.Popen(
        [str(BIN / "brakeline-deploy"), *map(str, words(made, tmp_path, "http://127.0.0.1:1"))],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while f"{AT}/.deploy.lock" not in s3.objects:
        assert child.poll() is None
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    store = RemoteStore(ROOT, NAME)
    with pytest.raises(TryAgain), store.turn():
        raise AssertionError("two at once")
    said = json.loads(s3.objects[f"{AT}/.deploy.lock"])
    s3.objects[f"{AT}/.deploy.lock"] = json.dumps(said | {"until": time.time() - 1}).encode()
    s3.metadata.clear()
    with store.turn():
        assert json.loads(s3.objects[f"{AT}/.deploy.lock"])["by"] != said["by"]
    assert f"{AT}/.deploy.lock" not in s3.objects


def test_versions_are_removed_but_what_serves_and_what_is_gone_back_to(s3: ObjectStore, tmp_path: Path) -> None:
    """65 and nothing changed for those; a dry run tells the sizes; a second call finds nothing more."""
    store = RemoteStore(ROOT, NAME)
    for version in ("1", "2", "3", "4"):
        made = release(tmp_path, version, float(version))
        store.install(made.model, version, made.sha256)
        if version != "4":
            store.serve(version)
            store.remember(version, made.sha256)
    store.shadow("4")
    before = dict(s3.objects)
    prune = ("brakeline-deploy", "prune", "--model-store", ROOT, "--versions")
    for needed in ("2", "3", "4"):
        assert command(*prune, f"1,{needed}").code == 65
    told = command(*prune, "1", "--dry-run")
    assert s3.objects == before
    done = command(*prune, "1")
    assert done.result["versions"] == told.result["versions"]
    assert done.result["versions"][0]["freed_bytes"] > 100
    assert set(before) - set(s3.objects) == {f"{AT}/1/model.onnx", f"{AT}/1/model.onnx.sha256"}
    assert command(*prune, "1").result["versions"] == [{"version": "1", "freed_bytes": 0}]
    assert command("brakeline-deploy", "status", "--model-store", ROOT).result["shadow"] == "4"
