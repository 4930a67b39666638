"""A tiny real model with a real contract, a model store of it, and the server as a process."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper
from playwright.sync_api import Page, expect

from tests.conftest import Chain

NAME = "stopping-distance"
PATIENCE_S = 15.0  # the machine may be busy; nothing here takes that long otherwise

CONTRACT: dict[str, Any] = {
    "name": "brakeline.stop",
    "version": 1,
    "features": [
        {
            "name": "speed_mps",
            "role": "speed",
            "unit": "m/s",
            "low": 0.0,
            "high": 70.0,
            "missing_allowed": False,
            "description": "Speed over ground",
        },
        {
            "name": "grade",
            "role": "grade",
            "unit": "1",
            "low": -0.25,
            "high": 0.25,
            "missing_allowed": True,
            "description": "Rise over run",
        },
    ],
    "target": {"name": "way_m", "unit": "m", "description": "Way to standstill"},
    "group": "drive",
    "truths": ["surface", "source"],
}
OUTPUTS = {
    "way_m": {"unit": "m", "description": "scale * speed, plus the grade if there is one"},
    "unfit": {"unit": "1", "description": "1 where the speed is missing", "role": "out_of_range"},
}


@dataclass(frozen=True)
class Sabotage:
    """What to leave out of a model's metadata, or to put there instead."""

    without: tuple[str, ...] = ()
    replaced: dict[str, str] = field(default_factory=dict)


def make_model(path: Path, scale: float = 2.0, sabotage: Sabotage | None = None) -> Path:
    """Write a model with way_m = scale * speed_mps + grade (0 if missing), contract and golden."""
    nodes = [
        helper.make_node("IsNaN", ["grade"], ["no_grade"]),
        helper.make_node("Where", ["no_grade", "zero", "grade"], ["slope"]),
        helper.make_node("Mul", ["speed_mps", "scale"], ["scaled"]),
        helper.make_node("Add", ["scaled", "slope"], ["way_m"]),
        helper.make_node("IsNaN", ["speed_mps"], ["no_speed"]),
        helper.make_node("Cast", ["no_speed"], ["unfit"], to=TensorProto.FLOAT),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 1]) for name in ("speed_mps", "grade")],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 1]) for name in OUTPUTS],
        [
            helper.make_tensor("scale", TensorProto.FLOAT, [1], [scale]),
            helper.make_tensor("zero", TensorProto.FLOAT, [1], [0.0]),
        ],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    golden = {
        "inputs": {"speed_mps": [10.0, None], "grade": [None, 0.5]},
        "outputs": {"way_m": [10.0 * scale, None], "unfit": [0.0, 1.0]},
    }
    metadata = {
        "brakeline.contract": json.dumps(CONTRACT),
        "brakeline.outputs": json.dumps(OUTPUTS),
        "brakeline.golden": json.dumps(golden),
    }
    sabotage = sabotage or Sabotage()
    for key, value in (metadata | sabotage.replaced).items():
        if key not in sabotage.without:
            made.metadata_props.add(key=key, value=value)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(made, str(path))
    return path


class Store:
    """A model store in a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def add(self, version: str, scale: float = 2.0, sabotage: Sabotage | None = None) -> Path:
        """Put a version there."""
        return make_model(self.root / NAME / version / "model.onnx", scale, sabotage)

    def point(self, primary: str, shadow: str | None = None) -> None:
        """Replace serving.json atomically, as deploy does."""
        self.write(json.dumps({"primary": primary} | ({"shadow": shadow} if shadow else {})))

    def write(self, text: str) -> None:
        """Replace serving.json by any text."""
        folder = self.root / NAME
        folder.mkdir(parents=True, exist_ok=True)
        staged = folder / ".serving.json.new"
        staged.write_text(text)
        staged.replace(folder / "serving.json")


@dataclass
class Reply:
    """An answer as a client sees it."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, which must be JSON as the standard has it: no NaN."""
        return json.loads(self.body, parse_constant=_refuse_constant)


def _refuse_constant(constant: str) -> float:
    raise ValueError(f"{constant} is no JSON")


class Server:
    """The server as a process."""

    def __init__(self, *arguments: str, log: Path) -> None:
        self.log = log
        with log.open("w") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "brakeline_serving", "--port", "0", *arguments],
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        assert self.process.stdout is not None
        self.announced = self.process.stdout.readline()
        assert self.announced, log.read_text()
        told = json.loads(self.announced)
        self.url: str = told["url"]
        self.grpc_address: str = told.get("grpc", "")
        self.metrics_address: str = told.get("metrics", "")
        self.health_address: str = told.get("health", "")
        self.address = self.url.rpartition("/")[2]
        self.port = int(self.address.rpartition(":")[2])

    def ask(self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None) -> Reply:
        """One request on a connection of its own; a body that is not bytes is sent as JSON."""
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        with contextlib.closing(connection):
            connection.request(method, path, content, headers or {})
            response = connection.getresponse()
            return Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())

    def infer(self, body: object, suffix: str = "", headers: dict[str, str] | None = None) -> Reply:
        """One inference request."""
        return self.ask("POST", f"/v2/models/{NAME}{suffix}/infer", body, headers)

    def raw(self) -> socket.socket:
        """A bare connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_S)

    def metric(self, line: str) -> float:
        """The value of a metric by its name and labels as exposed; 0 if there is none."""
        for row in self.ask("GET", "/metrics").body.decode().splitlines():
            if row.startswith(line + " "):
                return float(row.rpartition(" ")[2])
        return 0.0

    def wait_until(self, holds: Callable[[], bool]) -> None:
        """Wait for what the server does in its own time."""
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.02)

    def wait_for_version(self, version: str) -> None:
        """Wait until a version is the primary."""
        self.wait_until(lambda: self.ask("GET", "/v2/health/ready").json.get("version") == version)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Signal the process and wait for its end; the exit code."""
        if self.process.poll() is None:
            os.kill(self.process.pid, number)
        code = self.process.wait(PATIENCE_S)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


def tensor(name: str, *values: float | None, **more: object) -> dict[str, Any]:
    """A JSON tensor of shape [N, 1]."""
    return {"name": name, "shape": [len(values), 1], "datatype": "FP32", "data": list(values)} | more


def column(*values: float) -> np.ndarray[Any, np.dtype[np.float32]]:
    """A column of shape (N, 1)."""
    return np.array(values, dtype=np.float32).reshape(-1, 1)


def answers_in_process(path: Path, **columns: Any) -> dict[str, Any]:
    """What onnxruntime itself answers."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1  # as the server; several would add up the trees in another order
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, columns), strict=True))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty store, whose folder is not even there."""
    return Store(tmp_path / "models")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers that end with the test."""
    servers: list[Server] = []

    def run(*arguments: str) -> Server:
        servers.append(Server(*arguments, log=tmp_path / f"server-{len(servers)}.log"))
        return servers[-1]

    yield run
    for server in servers:
        server.stop(signal.SIGKILL)


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of version 3, for the tests that only ask. At its end no request may have met a bug."""
    root = tmp_path_factory.mktemp("live")
    store = Store(root / "models")
    store.add("3", scale=2.0)
    store.add("4", scale=5.0)
    store.point("3", shadow="4")
    server = Server("--model-store", str(store.root), "--grpc-port", "0", log=root / "server.log")
    try:
        server.wait_for_version("3")
        yield server
    finally:
        code = server.stop()
    assert code == 0
    assert '"event": "bug"' not in server.log.read_text()


@pytest.fixture(scope="session")
def served(tiny: Chain, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of the tiny chain's model, for the tests of the page."""
    server = Server("--model", str(tiny.model / "model.onnx"), log=tmp_path_factory.mktemp("page") / "server.log")
    try:
        server.wait_for_version("1")
        yield server
    finally:
        code = server.stop()
    assert code == 0
    assert '"event": "bug"' not in server.log.read_text()


def settle(page: Page) -> None:
    """Wait until the page has shown the answers to all that it asked."""
    for section in ("answer", "plot"):
        expect(page.locator(f"#{section}")).to_have_attribute("aria-busy", "false")
