"""A server that may wait for its file, what it knows of the file's origin, and how it takes its leave."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.orchestrator import object_store
from tests.orchestrator.object_store import ObjectStore
from tests.serving.conftest import NAME, Server, Store, make_model, tensor

Start = Callable[..., Server]
COMMAND = str(Path(sys.executable).with_name("brakeline-serving"))
SINCE = "brakeline_model_since_timestamp_seconds"


def since(server: Server) -> dict[tuple[str, str], float]:
    """The metric by version and role."""
    page = server.ask("GET", "/metrics").body.decode()
    return {
        (sample.labels["version"], sample.labels["role"]): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == SINCE
    }


@pytest.mark.parametrize("workers", ["1", "2"])
def test_it_is_alive_and_not_ready_until_the_file_is_there(start: Start, tmp_path: Path, workers: str) -> None:
    """Of a cluster's service that has no model yet: no crash, a reason, and ready once a model lies there."""
    folder = tmp_path / "mnt" / "models"
    server = start("--model", str(folder), "--await-model", "--workers", workers)
    assert server.ask("GET", "/v2/health/live").status == 200
    for path in ("/v2/health/ready", f"/v2/models/{NAME}"):
        said = server.ask("GET", path)
        assert said.status == 503
        assert f"{folder}/model.onnx: no such file yet" in said.json["error"]
    assert since(server) == {}
    make_model(tmp_path / "m.onnx")
    folder.mkdir(parents=True)
    (tmp_path / "m.onnx").replace(folder / "model.onnx")
    server.wait_for_version("1")
    assert server.infer({"inputs": [tensor("speed_mps", 3.0)]}).json["outputs"][0]["data"] == [6.0]
    assert server.stop() == 0


def test_what_comes_and_is_refused_is_told_and_another_is_waited_for(start: Start, tmp_path: Path) -> None:
    """A file that is no model does not end a server that had none."""
    file = tmp_path / "late.onnx"
    server = start("--model", str(file), "--await-model")
    file.write_bytes(b"no model")
    server.wait_until(lambda: "cannot load it" in server.ask("GET", "/v2/health/ready").json["error"])
    make_model(tmp_path / "m.onnx").replace(file)
    server.wait_for_version("1")


def test_a_file_that_is_there_and_is_no_model_ends_it_all_the_same(tmp_path: Path) -> None:
    """65, as without the option: a cluster tells the reason of a pod that ends."""
    file = tmp_path / "m.onnx"
    file.write_bytes(b"no model")
    words = [COMMAND, "--model", str(file), "--await-model", "--port", "0"]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 65
    ended = subprocess.run(
        [COMMAND, "--model-store", str(tmp_path), "--await-model"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert "--await-model is for --model" in ended.stderr


@pytest.mark.parametrize(
    ("said", "version", "found"),
    [
        ({}, "1", 1_600_000_000.0),
        ({"BRAKELINE_MODEL_SINCE": "2026-03-01T12:00:00+00:00", "BRAKELINE_MODEL_VERSION": "7"}, "7", 1_772_366_400.0),
        ({"BRAKELINE_MODEL_SINCE": "2026-03-01T12:00:00Z"}, "1", 1_772_366_400.0),
        ({"BRAKELINE_MODEL_SINCE": "2026-03-01T12:00:00"}, "1", 1_772_366_400.0),
        ({"BRAKELINE_MODEL_SINCE": "", "BRAKELINE_MODEL_VERSION": ""}, "1", None),
        ({"BRAKELINE_MODEL_SINCE": "yesterday", "BRAKELINE_MODEL_VERSION": "../7"}, "1", None),
    ],
)
def test_the_environment_says_which_version_a_file_is_and_since_when_it_is_kept(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: dict[str, str], version: str,
    found: float | None,
) -> None:  # fmt: skip
    """Else the file's own time holds; where a cluster should have said it and did not, none is told."""
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    file = make_model(tmp_path / "m.onnx")
    os.utime(file, (1_600_000_000, 1_600_000_000))
    server = start("--model", str(file))
    assert since(server) == ({(version, "primary"): found} if found is not None else {})
    assert server.ask("GET", "/v2/health/ready").json["version"] == version
    assert server.log.read_text().count("origin_unknown") == (2 if said.get("BRAKELINE_MODEL_VERSION") == "../7" else 0)


def test_a_file_of_other_bytes_than_were_proven_is_refused(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each pod fetches the file anew: where the environment names a sha256, another sound model ends it with 65."""
    file = make_model(tmp_path / "m.onnx")
    proven = hashlib.sha256(file.read_bytes()).hexdigest()
    monkeypatch.setenv("BRAKELINE_MODEL_SHA256", proven)
    start("--model", str(file)).wait_for_version("1")
    found = hashlib.sha256(make_model(file, scale=2.001).read_bytes()).hexdigest()
    for more in ([], ["--await-model"]):
        words = [COMMAND, "--model", str(file), "--port", "0", *more]
        ended = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
        assert ended.returncode == 65
        assert f"found {found}, allowed {proven}, of BRAKELINE_MODEL_SHA256" in ended.stderr


def test_versions_of_a_store_are_as_old_as_their_files(start: Start, store: Store) -> None:
    """Primary and shadow each, by the time at which the file was put there."""
    for version, at in (("1", 1_700_000_000), ("2", 1_710_000_000)):
        os.utime(store.add(version, float(version)), (at, at))
    store.point("2", shadow="1")
    server = start("--model-store", str(store.root))
    server.wait_for_version("2")
    assert since(server) == {("2", "primary"): 1_710_000_000.0, ("1", "shadow"): 1_700_000_000.0}


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ObjectStore]:
    with object_store.serving() as made:
        for name, value in {**made.environment(), "TMPDIR": str(tmp_path)}.items():
            monkeypatch.setenv(name, value)
        yield made


def test_versions_in_s3_are_as_old_as_their_objects(start: Start, s3: ObjectStore, tmp_path: Path) -> None:
    """What was fetched just now has the time at which the store got it."""
    content = make_model(tmp_path / "m.onnx").read_bytes()
    at = f"/bucket/models/{NAME}"
    s3.objects[f"{at}/1/model.onnx"] = content
    s3.objects[f"{at}/1/model.onnx.sha256"] = hashlib.sha256(content).hexdigest().encode()
    s3.objects[f"{at}/serving.json"] = b'{"primary": "1"}'
    server = start("--model-store", "s3://bucket/models")
    server.wait_for_version("1")
    assert since(server) == {("1", "primary"): 1_795_478_400.0}  # of every object there: 2026-11-24, midnight


@pytest.mark.parametrize("workers", ["1", "2"])
def test_after_a_signal_it_goes_on_unready_while_traffic_is_led_elsewhere(
    start: Start, tmp_path: Path, workers: str
) -> None:
    """New connections are answered for so long, health says no more, and then it ends within its five seconds."""
    words = ["--withdrawal-s", "2", "--health-port", "0", "--workers", workers]
    server = start("--model", str(make_model(tmp_path / "m.onnx")), *words)
    os.kill(server.process.pid, signal.SIGTERM)
    signalled = time.monotonic()
    server.wait_until(lambda: server.ask("GET", "/v2/health/ready").status == 503)
    assert "about to end" in server.ask("GET", "/v2/health/ready").json["error"]
    answered = 0
    while time.monotonic() - signalled < 1.5:
        assert server.infer({"inputs": [tensor("speed_mps", 3.0)]}).status == 200
        answered += 1
    assert answered > 10
    assert server.process.wait(10) == 0
    assert 1.9 < time.monotonic() - signalled < 7


@pytest.mark.slow
def test_the_parent_of_workers_grants_them_their_leave(start: Start, tmp_path: Path) -> None:
    """None is killed before it could finish what is under way, however long the leave is."""
    words = ["--withdrawal-s", "8", "--workers", "2"]
    server = start("--model", str(make_model(tmp_path / "m.onnx")), *words)
    os.kill(server.process.pid, signal.SIGTERM)
    signalled = time.monotonic()
    assert server.process.wait(20) == 0
    assert time.monotonic() - signalled > 7.9
    assert server.log.read_text().count('"event": "stopped"') == 2


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_second_signal_ends_the_leave(start: Start, tmp_path: Path, workers: str) -> None:
    """Whoever presses Ctrl-C twice does not want to wait."""
    server = start("--model", str(make_model(tmp_path / "m.onnx")), "--withdrawal-s", "60", "--workers", workers)
    os.kill(server.process.pid, signal.SIGINT)
    server.wait_until(lambda: server.ask("GET", "/v2/health/ready").status == 503)
    os.kill(server.process.pid, signal.SIGINT)
    assert server.process.wait(10) == 0
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", server.port), timeout=1)
