"""The server as the rendered manifests start it: as a process, and in its image as OpenShift would run it."""

from __future__ import annotations

import contextlib
import functools
import http.client
import io
import json
import os
import re
import signal
import ssl
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import engine
from tests.conftest import BIN, HOUSE
from tests.images.test_images import HARDENED, PYTHON
from tests.manifests import trees
from tests.manifests.test_serving import SERVICE, options, served
from tests.serving.certificates import make_certificate
from tests.serving.conftest import PATIENCE_S, make_model, tensor

MODELS, CERTIFICATES, PREDICTIONS = "/mnt/models", "/etc/brakeline/metrics-tls", "/var/lib/brakeline/predictions"
ANNOTATIONS = {"brakeline/version": "7", "brakeline/since": "2026-03-01T12:00:00+00:00"}
BODY = json.dumps({"inputs": [tensor("speed_mps", 3.0)]})
ASK = """
import sys, urllib.request
print(urllib.request.urlopen(urllib.request.Request(sys.argv[1], sys.argv[2].encode()), timeout=10).read().decode())
"""

# Asks until the log, which has one request in a hundred, has one.
ASK_UNTIL_LOGGED = """
import pathlib, sys, urllib.request
log = pathlib.Path(sys.argv[3], "predictions-0.jsonl")
for number in range(20_000):
    body = sys.argv[2].replace("{", '{"id": "stop-%d", ' % number, 1).encode()
    urllib.request.urlopen(urllib.request.Request(sys.argv[1], body), timeout=10).read()
    if log.stat().st_size:
        break
"""


@functools.cache
def container_of_the_runtime() -> dict[str, Any]:
    """The server's container, which both overlays have alike."""
    return dict(served(trees.tree("overlays/rhoai-3.x")).spec["containers"][0])


@functools.cache
def told() -> dict[str, str]:
    """Its options."""
    return options(trees.tree("overlays/rhoai-3.x").one("ServingRuntime", "brakeline-serving"))


def arguments() -> list[str]:
    """As KServe hands them on."""
    return [argument.replace("{{.Name}}", SERVICE) for argument in container_of_the_runtime()["args"]]


def environment(annotations: dict[str, str]) -> dict[str, str]:
    """What the downward API makes of a pod's annotations: nothing of one that is not there."""
    made = {}
    for entry in container_of_the_runtime()["env"]:
        path = entry["valueFrom"]["fieldRef"]["fieldPath"]
        made[entry["name"]] = annotations.get(path.removeprefix("metadata.annotations['").removesuffix("']"), "")
    return made


def probed(name: str, port: int) -> int:
    """The status that a probe of the runtime gets."""
    asked = container_of_the_runtime()[name]["httpGet"]
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)) as connection:
        connection.request("GET", asked["path"])
        return connection.getresponse().status


def metrics(port: int, trusted: Path) -> str:
    """What Prometheus reads, which trusts the authority and knows no token."""
    context = ssl.create_default_context(cafile=str(trusted))
    made = http.client.HTTPSConnection("127.0.0.1", port, timeout=PATIENCE_S, context=context)
    with contextlib.closing(made) as connection:
        connection.request("GET", "/metrics")
        response = connection.getresponse()
        assert response.status == 200
        return response.read().decode()


def until(holds: Callable[[], bool]) -> None:
    """Wait for what comes in its own time."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        with contextlib.suppress(OSError, http.client.HTTPException):
            if holds():
                return
        assert time.monotonic() < deadline
        time.sleep(0.05)


@dataclass
class Started:
    """A process of the runtime's arguments, with where it is told to be."""

    process: subprocess.Popen[str]
    told: dict[str, str]

    def port(self, name: str) -> int:
        """Of `url`, `health` or `metrics`."""
        return int(self.told[name].rpartition(":")[2])


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Started]]:
    """The runtime's command, with folders of the test's for the pod's and free ports; the rest is as it is."""
    running: list[subprocess.Popen[str]] = []

    def run(annotations: dict[str, str]) -> Started:
        words = [str(BIN / container_of_the_runtime()["command"][0])]
        for argument in arguments():
            name, _, value = argument.partition("=")
            for at, folder in ((MODELS, "models"), (CERTIFICATES, ""), (PREDICTIONS, "predictions")):
                value = value.replace(at, str(tmp_path / folder))
            words.append(f"{name}=0" if name.endswith("port") else f"{name}={value}" if value else name)
        made = {**os.environ, **environment(annotations)}
        with (tmp_path / "log").open("a") as log:
            process = subprocess.Popen(words, env=made, stdout=subprocess.PIPE, stderr=log, text=True)
        running.append(process)
        assert process.stdout is not None
        return Started(process, json.loads(process.stdout.readline()))

    yield run
    for process in running:
        process.kill()
        process.communicate()


def test_its_arguments_start_a_server_that_passes_its_probes(start: Callable[..., Started], tmp_path: Path) -> None:
    """Alive without a model and a certificate; with both it is ready, answers, and tells its metrics over TLS."""
    first = start({})
    health = first.port("health")
    assert [probed(name, health) for name in ("startupProbe", "livenessProbe", "readinessProbe")] == [200, 200, 503]
    (tmp_path / "models").mkdir()
    make_model(tmp_path / "models" / "model.onnx")
    for made, name in zip(make_certificate(tmp_path, "metrics"), ("tls.crt", "tls.key"), strict=True):
        made.rename(tmp_path / name)
    second = start(ANNOTATIONS)
    for started in (first, second):  # the first is of a volume that is filled late
        until(lambda started=started: probed("readinessProbe", started.port("health")) == 200)  # type: ignore[misc]
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", second.port("url"))) as connection:
        connection.request("POST", f"/v2/models/{SERVICE}/infer", BODY)
        answer = json.loads(connection.getresponse().read())
    assert (answer["model_version"], answer["outputs"][0]["data"]) == ("7", [6.0])
    said = metrics(second.port("metrics"), tmp_path / "tls.crt")
    assert 'brakeline_model_since_timestamp_seconds{role="primary",version="7"} 1.7723664e+09' in said
    assert "brakeline_rows_total 1.0" in said
    second.process.send_signal(signal.SIGTERM)
    signalled = time.monotonic()
    until(lambda: probed("readinessProbe", second.port("health")) == 503)
    assert second.process.wait(20) == 0
    assert float(told()["withdrawal-s"]) - 0.1 < time.monotonic() - signalled < float(told()["withdrawal-s"]) + 5.0


def test_a_pod_is_told_what_was_proven() -> None:
    """Version, age and sha256 of what `brakeline-deploy` noted reach the server, which refuses other bytes (65)."""
    noted = {"brakeline/version": "7", "brakeline/since": "2026-03-01T12:00:00Z", "brakeline/sha256": 64 * "a"}
    assert environment(noted) == {
        "BRAKELINE_MODEL_VERSION": "7",
        "BRAKELINE_MODEL_SINCE": "2026-03-01T12:00:00Z",
        "BRAKELINE_MODEL_SHA256": 64 * "a",
    }


@pytest.fixture
def container() -> Iterator[Callable[..., Any]]:
    """Runs the image as the manifests say: their command, a foreign user, no rights, a root that is read only."""
    made: list[Any] = []

    def run(volumes: dict[str, Path]) -> Any:
        resources = container_of_the_runtime()["resources"]["limits"]
        settings = {
            **HARDENED, "network_mode": "bridge", "environment": environment(ANNOTATIONS),
            "mem_limit": int(resources["memory"].removesuffix("Gi")) << 30,
            "ports": {f"{told()[name]}/tcp": ("127.0.0.1", None) for name in ("port", "health-port", "metrics-port")},
            "tmpfs": {"/tmp": "", PREDICTIONS: ""},
            "volumes": {str(path): {"bind": at, "mode": "ro"} for at, path in volumes.items()},
        }  # fmt: skip
        words = [*container_of_the_runtime()["command"], *arguments()]
        made.append(engine.client().containers.run(engine.built()["serving"], words, detach=True, **settings))
        return made[-1]

    yield run
    for one in made:
        one.remove(force=True)


def published(container: Any, name: str) -> int:
    """Where a port of the container's is on this machine."""
    container.reload()
    return int(container.ports[f"{told()[name]}/tcp"][0]["HostPort"])


def test_its_image_runs_as_the_manifests_say(container: Callable[..., Any], tmp_path: Path) -> None:
    """The same command, any user, no rights, a root that is read only; and its own port is for the pod alone."""
    bare = container({})
    until(lambda: probed("startupProbe", published(bare, "health-port")) == 200)
    assert probed("readinessProbe", published(bare, "health-port")) == 503
    model, certificates = tmp_path / "models", tmp_path / "tls"
    make_model(model / "model.onnx")
    certificates.mkdir()
    for made, name in zip(make_certificate(certificates, "metrics"), ("tls.crt", "tls.key"), strict=True):
        made.rename(certificates / name)
        (certificates / name).chmod(0o440)
        os.chown(certificates / name, -1, 0)
    full = container({MODELS: model, CERTIFICATES: certificates})
    until(lambda: probed("readinessProbe", published(full, "health-port")) == 200)
    assert probed("livenessProbe", published(full, "health-port")) == 200
    assert "brakeline_model_info" in metrics(published(full, "metrics-port"), certificates / "tls.crt")
    with pytest.raises((OSError, http.client.HTTPException)):
        probed("livenessProbe", published(full, "port"))  # from another pod
    code, said = full.exec_run(
        [PYTHON, "-c", ASK, f"http://127.0.0.1:{told()['port']}/v2/models/{SERVICE}/infer", BODY]
    )  # as the proxy in the same pod
    assert code == 0, said
    assert json.loads(said)["outputs"][0]["data"] == [6.0]
    signalled = time.monotonic()
    full.stop(timeout=30)
    assert time.monotonic() - signalled < float(told()["withdrawal-s"]) + 6.0
    assert full.wait()["StatusCode"] == 0


def test_the_prediction_log_gets_out_of_a_pod_as_the_page_says(container: Callable[..., Any], tmp_path: Path) -> None:
    """The page's own program, by the image's Python, writes the folder as an archive: lines, and what they mean."""
    model = tmp_path / "models"
    make_model(model / "model.onnx")
    made = container({MODELS: model})
    until(lambda: probed("readinessProbe", published(made, "health-port")) == 200)
    url = f"http://127.0.0.1:{told()['port']}/v2/models/{SERVICE}/infer"
    code, said = made.exec_run([PYTHON, "-c", ASK_UNTIL_LOGGED, url, BODY, PREDICTIONS])
    assert code == 0, said
    page = (HOUSE / "docs" / "loop.md").read_text()
    (program,) = re.findall(r"-- python -c '\n(.*?)' \|", page, re.DOTALL)
    code, (archive, said) = made.exec_run(["python", "-c", program], demux=True)
    assert code == 0, said
    with tarfile.open(fileobj=io.BytesIO(archive)) as kept:
        kept.extractall(tmp_path / "kept", filter="data")
    line = json.loads((tmp_path / "kept" / "predictions-0.jsonl").read_text().splitlines()[0])
    assert line["id"].startswith("stop-")
    assert (tmp_path / "kept" / f"model-{line['sha256']}.json").is_file()
