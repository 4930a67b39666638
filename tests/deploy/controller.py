"""KServe's part: a pod (a real server) for each storage URI, an address that leads to ready ones, and the status."""

from __future__ import annotations

import contextlib
import json
import random
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tests.conftest import BIN

LOOK_S = 0.03
_MODE = "serving.kserve.io/deploymentMode"
_NOT_OF_PODS = {
    "annotations",
    "labels",
    "minReplicas",
    "maxReplicas",
    "scaleMetric",
    "scaleTarget",
    "deploymentStrategy",
}


@dataclass
class Pod:
    """A server as a process, and the port that it answers on once it is ready."""

    process: subprocess.Popen[bytes]
    ready_file: Path

    @property
    def port(self) -> int | None:
        """None until it is ready."""
        return int(self.ready_file.read_text().rpartition(":")[2]) if self.ready_file.exists() else None


class Address:
    """A port that leads each connection to one of the pods behind it, by their weights."""

    def __init__(self) -> None:
        self.behind: list[tuple[int, int]] = []  # port, weight
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()

    def _accept(self) -> None:
        chance = random.Random(0)
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if not self.behind:
                    client.close()
                    continue
                ports, weights = zip(*self.behind, strict=True)
                (port,) = chance.choices(ports, weights)
                try:
                    pod = socket.create_connection(("127.0.0.1", port))
                except OSError:
                    client.close()
                    continue
                for source, sink in ((client, pod), (pod, client)):
                    threading.Thread(target=_pipe, args=(source, sink), daemon=True).start()


def _pipe(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


class Holder(Protocol):
    """An API that has InferenceServices."""

    def find(self, name: str) -> dict[str, Any] | None:
        """One by its name, or None."""

    def tell(self, name: str, status: dict[str, Any]) -> None:
        """Write its status."""


def template(content: dict[str, Any]) -> str:
    """What KServe's pods are made of; where it changes they are replaced.

    Labels and annotations of the service are handed on, and the predictor's come before them
    (kserve/kserve, pkg/controller/v1beta1/inferenceservice/components/predictor.go).
    """
    metadata, predictor = content["metadata"], content["spec"]["predictor"]
    handed = [metadata.get(kind, {}) | predictor.get(kind, {}) for kind in ("labels", "annotations")]
    of_pods = {key: value for key, value in predictor.items() if key not in _NOT_OF_PODS}
    return json.dumps([*handed, of_pods], sort_keys=True)


def normalize_mode(content: dict[str, Any]) -> None:
    """What KServe's webhook does since 0.16: `Standard` is its word for `RawDeployment`."""
    annotations = content["metadata"].get("annotations", {})
    if annotations.get(_MODE, "RawDeployment") == "RawDeployment":
        content["metadata"].setdefault("annotations", {})[_MODE] = "Standard"


@dataclass
class Controller:
    """Looks at one InferenceService and makes it so. `models` maps storage URIs to folders; the rest are faults."""

    api: Holder
    service: str
    folder: Path
    models: dict[str, Path]
    token_file: Path | None = None
    slow_s: float = 0.0
    failing: dict[str, str] = field(default_factory=dict)  # storage URI -> why its pods never come up
    ignores_canaries: bool = False
    address: Address = field(default_factory=Address)
    pods: dict[str, Pod] = field(default_factory=dict)
    _since: dict[str, float] = field(default_factory=dict)

    def look(self) -> None:
        """One look: start what is wanted, lead traffic to what is ready, tell the status."""
        found = self.api.find(self.service)
        if found is None:
            return
        spec = found["spec"]
        uri = spec["predictor"]["model"].get("storageUri", "")  # manifests make a service before a model is there
        canaries = [] if self.ignores_canaries else spec.get("canary", [])
        port = self._port(uri)
        behind, told = [], []
        for canary in canaries:
            its = self._port(canary["predictor"]["model"]["storageUri"])
            about = {"name": canary["predictor"]["name"], "ready": its is not None}
            told.append({**about, "trafficPercent": canary["trafficPercent"]})
            behind += [(its, canary["trafficPercent"])] if its else []
        if port:
            self.address.behind = [(port, 100 - sum(weight for _, weight in behind)), *behind]
        self.api.tell(self.service, self._status(found["metadata"]["generation"], uri, port) | (
            {"canaryStatuses": told} if told else {}
        ))  # fmt: skip

    def _status(self, generation: int, uri: str, port: int | None) -> dict[str, Any]:
        # Pods of the version before keep the service ready while new ones come up.
        is_ready = bool(self.address.behind)
        reason = (
            {} if is_ready else {"reason": "MinimumReplicasUnavailable", "message": self.failing.get(uri, "starting")}
        )
        status = {"type": "Ready", "status": "True" if is_ready else "False", **reason}
        model = {"transitionStatus": "UpToDate" if port else "InProgress"}
        if uri in self.failing:
            failure = {"reason": "ModelLoadFailed", "message": self.failing[uri]}
            model |= {"transitionStatus": "BlockedByFailedLoad", "lastFailureInfo": failure}  # type: ignore[dict-item]
        return {"observedGeneration": generation, "conditions": [status], "modelStatus": model} | (
            {"url": self.address.url, "address": {"url": self.address.url}} if is_ready else {}
        )

    def _port(self, uri: str) -> int | None:
        if uri in self.failing or uri not in self.models:
            return None
        if uri not in self.pods:
            ready = self.folder / f"ready-{len(self.pods)}"
            words = [
                BIN / "brakeline-serving",
                "--model",
                self.models[uri],
                "--model-name",
                self.service,
                "--port",
                "0",
            ]
            words += ["--ready-file", ready, *(["--token-file", self.token_file] if self.token_file else [])]
            child = subprocess.Popen(list(map(str, words)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            self.pods[uri], self._since[uri] = Pod(child, ready), time.monotonic()
        is_late = time.monotonic() - self._since[uri] < self.slow_s
        return None if is_late else self.pods[uri].port


@contextmanager
def at_work(controller: Controller) -> Iterator[Controller]:
    """The controller, looking again and again, for the time of a block."""
    done = threading.Event()

    def work() -> None:
        while not done.wait(LOOK_S):
            controller.look()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield controller
    finally:
        done.set()
        thread.join(5)
        controller.address.close()
        for pod in controller.pods.values():
            pod.process.kill()
            pod.process.wait()
