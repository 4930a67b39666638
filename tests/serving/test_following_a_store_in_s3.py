"""The model store may be in S3: followed there, held to its checksums, and done without while it is down."""

from __future__ import annotations

import hashlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.orchestrator import object_store
from tests.orchestrator.object_store import ObjectStore
from tests.serving.conftest import NAME, Server, Store, make_model, tensor
from tests.serving.processes import children_of

Start = Callable[..., Server]
ROOT, AT = "s3://bucket/models", f"/bucket/models/{NAME}"
BODY: dict[str, Any] = {"inputs": [tensor("speed_mps", 1.0)]}


class RemoteStore(Store):
    """A model store in S3."""

    def __init__(self, s3: ObjectStore, scratch: Path) -> None:
        super().__init__(scratch)
        self.s3 = s3

    def put(self, version: str, scale: float = 2.0) -> bytes:
        """Put a version there as deploy does; the graph's bytes."""
        content = make_model(self.root / version / "model.onnx", scale).read_bytes()
        self.s3.objects[f"{AT}/{version}/model.onnx"] = content
        self.s3.objects[f"{AT}/{version}/model.onnx.sha256"] = f"{hashlib.sha256(content).hexdigest()}\n".encode()
        return content

    def write(self, text: str) -> None:
        """Replace serving.json."""
        self.s3.objects[f"{AT}/serving.json"] = text.encode()


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ObjectStore]:
    with object_store.serving() as store:
        # Where a server that the test kills leaves what it fetched.
        for name, value in {**store.environment(), "TMPDIR": str(tmp_path)}.items():
            monkeypatch.setenv(name, value)
        yield store


@pytest.fixture
def remote(s3: ObjectStore, tmp_path: Path) -> RemoteStore:
    return RemoteStore(s3, tmp_path / "made")


def answer(server: Server, suffix: str = "") -> float:
    return float(server.infer(BODY, suffix).json["outputs"][0]["data"][0])


def refused(server: Server) -> dict[str, str]:
    found: dict[str, str] = server.ask("GET", f"/v2/models/{NAME}").json["parameters"]["refused"]
    return found


def test_is_ready_once_a_model_is_there_and_follows_it(start: Start, remote: RemoteStore) -> None:
    """An empty bucket is an empty store; then versions and shadow take turns as in a folder."""
    server = start("--model-store", ROOT)
    said = server.ask("GET", "/v2/health/ready")
    assert said.status == 503
    assert f"{ROOT}/{NAME}/serving.json: no such object" in said.json["error"]
    remote.put("1", scale=2.0)
    remote.put("2", scale=5.0)
    remote.point("1")
    server.wait_for_version("1")
    assert answer(server) == 2.0
    assert refused(server) == {}
    remote.point("2", shadow="1")
    server.wait_for_version("2")
    assert answer(server) == 5.0
    assert answer(server, "/versions/1") == 2.0


def test_what_is_there_is_served_from_the_first_connection_on(start: Start, remote: RemoteStore) -> None:
    """Every worker takes connections when the model is there; one of them fetches it, once."""
    remote.put("1")
    remote.point("1")
    server = start("--model-store", ROOT, "--workers", "3")
    assert [answer(server) for _ in range(12)] == [2.0] * 12
    assert [one for one in remote.s3.requests if one.endswith("/model.onnx")] == [f"GET {AT}/1/model.onnx"]


def test_a_store_that_goes_down_takes_nothing_with_it(start: Start, remote: RemoteStore) -> None:
    """What is served stays; readiness, log and metrics say so; and what was deployed meanwhile is taken afterwards."""
    remote.put("1")
    remote.point("1")
    server = start("--model-store", ROOT)
    server.wait_for_version("1")
    assert server.metric("brakeline_model_store_reachable") == 1
    remote.s3.failures = 10**6
    server.wait_until(lambda: bool(refused(server)))
    assert server.ask("GET", "/v2/health/ready").json["refused"] == {
        f"{ROOT}/{NAME}": f"{ROOT}/{NAME}: it does not answer"
    }
    assert server.metric("brakeline_model_store_reachable") == 0
    assert '"event": "store_unreachable"' in server.log.read_text()
    assert answer(server) == 2.0
    remote.put("2", scale=5.0)
    remote.point("2")
    remote.s3.failures = 0
    server.wait_for_version("2")
    server.wait_until(lambda: not refused(server))
    assert answer(server) == 5.0
    assert server.metric("brakeline_model_store_reachable") == 1
    assert server.log.read_text().count('"event": "store_unreachable"') == 1


def test_a_swap_that_meets_a_broken_download_is_made_when_it_is_whole(start: Start, remote: RemoteStore) -> None:
    """Bodies that break off are gone on with, or begun anew; never is a part of a model served."""
    remote.put("1")
    remote.point("1")
    server = start("--model-store", ROOT)
    server.wait_for_version("1")
    remote.put("2", scale=5.0)
    remote.s3.broken_off = 12
    remote.point("2")
    server.wait_for_version("2")
    assert answer(server) == 5.0


@pytest.mark.parametrize("damage", ["flipped", "checksum missing", "model missing", "checksum empty"])
def test_a_model_that_is_not_what_was_recorded_is_refused(damage: str, start: Start, remote: RemoteStore) -> None:
    """The old version stays; the message names the object. Another version, whole, is taken."""
    remote.put("1")
    remote.point("1")
    server = start("--model-store", ROOT)
    server.wait_for_version("1")
    content = remote.put("2", scale=5.0)
    at = f"{AT}/2/model.onnx"
    if damage == "flipped":
        remote.s3.objects[at] = content[:-1] + bytes([content[-1] ^ 1])
    elif damage == "checksum empty":
        remote.s3.objects[f"{at}.sha256"] = b""
    else:
        del remote.s3.objects[at if damage == "model missing" else f"{at}.sha256"]
    remote.point("2")
    server.wait_until(lambda: "2" in refused(server))
    assert f"{ROOT}/{NAME}/2/model.onnx" in refused(server)["2"]
    assert server.ask("GET", "/v2/health/ready").json["version"] == "1"
    assert answer(server) == 2.0
    remote.put("3", scale=3.0)
    remote.point("3")
    server.wait_for_version("3")
    server.wait_until(lambda: refused(server) == {})


@pytest.mark.parametrize("pointer", ["", "{", '{"primary": 3}', '{"primary": "../../etc"}'])
def test_a_bad_pointer_changes_nothing(pointer: str, start: Start, remote: RemoteStore) -> None:
    """It is refused in the store's own terms."""
    remote.put("1")
    remote.point("1")
    server = start("--model-store", ROOT)
    server.wait_for_version("1")
    remote.write(pointer)
    server.wait_until(lambda: "serving.json" in refused(server))
    assert refused(server)["serving.json"].startswith(f"{ROOT}/{NAME}/serving.json")
    assert answer(server) == 2.0


def test_versions_are_listed_and_loaded_by_request(start: Start, remote: RemoteStore) -> None:
    """A version that nothing names is fetched when a request asks for it; one that is not there is refused."""
    remote.put("1")
    remote.put("2", scale=5.0)
    remote.point("1")
    server = start("--model-store", ROOT, "--workers", "2")
    server.wait_for_version("1")
    index = server.ask("POST", "/v2/repository/index", {}).json
    assert {row["version"]: row["state"] for row in index} == {"1": "READY", "2": "UNAVAILABLE"}
    load = f"/v2/repository/models/{NAME}/load"
    assert server.ask("POST", load, {"parameters": {"version": "2"}}).status == 200
    assert answer(server, "/versions/2") == 5.0
    missing = server.ask("POST", load, {"parameters": {"version": "9"}})
    assert missing.status == 400
    assert "/9/model.onnx.sha256: no such object" in missing.json["error"]


def test_when_the_worker_that_fetches_is_killed_another_goes_on(start: Start, remote: RemoteStore) -> None:
    """Whichever worker it was, the store is followed."""
    remote.put("1")
    remote.point("1")
    server = start("--model-store", ROOT, "--workers", "2")
    server.wait_for_version("1")
    for version, scale in (("2", 5.0), ("3", 7.0)):
        os.kill(children_of(server.process.pid)[0], signal.SIGKILL)
        remote.put(version, scale)
        remote.point(version)
        server.wait_for_version(version)
        server.wait_until(lambda scale=scale: {answer(server) for _ in range(6)} == {scale})  # type: ignore[misc]


def test_with_a_cache_a_start_does_without_the_store(start: Start, remote: RemoteStore, tmp_path: Path) -> None:
    """What was served last is served, unless its bytes are no longer what they were."""
    remote.put("1")
    remote.point("1")
    words = ("--model-store", ROOT, "--model-cache", str(tmp_path / "cache"))
    first = start(*words)
    first.wait_for_version("1")
    assert first.stop() == 0
    remote.s3.failures = 10**6
    second = start(*words)
    second.wait_for_version("1")
    assert answer(second) == 2.0
    assert "it does not answer" in refused(second)[f"{ROOT}/{NAME}"]
    assert second.stop() == 0
    (kept,) = (tmp_path / "cache").glob("*/*/1/model.onnx")
    kept.write_bytes(kept.read_bytes()[:-1])
    third = start(*words)
    assert "it does not answer" in third.ask("GET", "/v2/health/ready").json["error"]


def test_without_a_cache_nothing_is_left(
    start: Start, remote: RemoteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder of one life goes with it."""
    (tmp_path / "scratch").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "scratch"))
    remote.put("1")
    remote.point("1")
    server = start("--model-store", ROOT)
    server.wait_for_version("1")
    assert len(list((tmp_path / "scratch").glob("*/*/1/model.onnx"))) == 1
    assert server.stop() == 0
    assert list((tmp_path / "scratch").glob("*/")) == []


def test_a_store_that_hangs_keeps_nobody(start: Start, remote: RemoteStore) -> None:
    """A store that takes connections and says nothing neither stops answers nor the end."""
    remote.put("1")
    remote.point("1")
    server = start("--model-store", ROOT)
    server.wait_for_version("1")
    remote.s3.delay_s = 3.0
    threading.Event().wait(1.2)
    assert answer(server) == 2.0
    assert server.stop() == 0
    remote.s3.delay_s = 0.0


@pytest.mark.parametrize(
    ("arguments", "environment", "told"),
    [
        (("--model-store", "s3://"), {}, "s3://bucket/prefix"),
        (("--model-store", "http://bucket/models"), {}, "s3://bucket/prefix"),
        (("--model-store", ROOT), {"AWS_ENDPOINT_URL": "http://store.example"}, "allowed https"),
        (("--model-store", ROOT), {"AWS_ACCESS_KEY_ID": ""}, "no S3 credentials"),
        (("--model-store", "models", "--model-cache", "cache"), {}, "--model-cache"),
    ],
)
def test_what_cannot_be_followed_is_a_wrong_call(
    arguments: tuple[str, ...],
    environment: dict[str, str],
    told: str,
    s3: ObjectStore,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """2 before anything is sent: no clear text beyond loopback, no address that is none, no credentials."""
    from brakeline_serving.cli import app

    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        app(arguments)
    assert ended.value.code == 2
    assert told in capsys.readouterr().err
    assert s3.requests == []


def test_a_server_of_a_folder_never_loads_the_client(start: Start, store: Store) -> None:
    """Who needs no S3 waits for none of it at the start."""
    store.add("1")
    store.point("1")
    server = start("--model-store", str(store.root))
    server.wait_for_version("1")
    assert "obstore" not in Path(f"/proc/{server.process.pid}/maps").read_text()
