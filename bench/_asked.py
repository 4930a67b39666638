"""What the servers are asked: rows that differ, in every form that a client may send them, and the right answers."""

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import polars as pl
from _servers import INFER, NAME, Server
from tritonclient.grpc import service_pb2

ROWS = 4_096
COMPARED = 64
CALLS = 4_000


@dataclass
class Asked:
    """Rows, the model's own answers (outputs, N), and the requests as bodies and as files for the load generators."""

    names: list[str]
    rows: np.ndarray
    outputs: list[str]
    answers: np.ndarray
    folder: Path

    @classmethod
    def of(cls, model: Path, table: pl.DataFrame, folder: Path) -> "Asked":
        """Rows of a table, which has a column for each of the model's inputs; only whole ones: few peers know null."""
        session = _session(model)
        names = [each.name for each in session.get_inputs()]
        outputs = [each.name for each in session.get_outputs()]
        found = table.select(names).to_numpy().astype(np.float32)
        whole = found[~np.isnan(found).any(axis=1)]
        rows = np.resize(whole, (ROWS, len(names)))
        told = session.run(outputs, {name: rows[:, [at]] for at, name in enumerate(names)})
        asked = cls(names, rows, outputs, np.stack([values.ravel() for values in told]), folder)
        asked._write("json", [http_request(asked.json(at)) for at in range(ROWS)])
        asked._write("binary", [http_request(*asked.binary(at)) for at in range(ROWS)])
        asked._write("grpc", [asked.message(at).SerializeToString() for at in range(ROWS)])
        return asked

    def json(self, at: int) -> bytes:
        """A row as JSON: every input a tensor."""
        tensors = [
            {"name": name, "shape": [1, 1], "datatype": "FP32", "data": [value]}
            for name, value in zip(self.names, self.rows[at].tolist(), strict=True)
        ]
        return json.dumps({"inputs": tensors}, separators=(",", ":")).encode()

    def binary(self, at: int) -> tuple[bytes, str]:
        """A row as binary tensors behind their JSON, the reply wanted in the same form; and the header they need."""
        tensors = [
            {"name": name, "shape": [1, 1], "datatype": "FP32", "parameters": {"binary_data_size": 4}}
            for name in self.names
        ]
        said = {"inputs": tensors, "parameters": {"binary_data_output": True}}
        head = json.dumps(said, separators=(",", ":")).encode()
        return head + self.rows[at].astype("<f4").tobytes(), f"Inference-Header-Content-Length: {len(head)}\r\n"

    def message(self, at: int) -> Any:
        """A row as a message of gRPC."""
        request = service_pb2.ModelInferRequest(model_name=NAME)
        for name in self.names:
            request.inputs.add(name=name, datatype="FP32", shape=[1, 1])
        request.raw_input_contents.extend(value.astype("<f4").tobytes() for value in self.rows[at])
        return request

    def file(self, form: str) -> Path:
        """All requests in a form, as the load generators read them."""
        return self.folder / f"{form}.requests"

    def _write(self, form: str, requests: list[bytes]) -> None:
        self.file(form).write_bytes(b"".join(b"%d\n%b" % (len(each), each) for each in requests))

    def check(self, server: Server) -> None:
        """A server that answers otherwise than the model itself is not worth timing."""
        for at in range(COMPARED):
            status, body = server.ask(self.json(at))
            if status != 200:
                raise SystemExit(f"{server.name} answered {status}: {body[:300]!r}")
            outputs = {each["name"]: np.float32(each["data"]).ravel() for each in json.loads(body)["outputs"]}
            found = np.array([outputs[name][0] for name in self.outputs], dtype=np.float32)
            if not np.array_equal(found, self.answers[:, at]):
                raise SystemExit(f"{server.name} answered row {at} with {found}, the model with {self.answers[:, at]}")


def in_process_us(model: Path, asked: Asked, core: int) -> float:
    """The model's own time for a row, inputs and outputs bound as the server binds them: the median [µs]."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        session = _session(model)
        binding = session.io_binding()
        values = [np.zeros((1, 1), np.float32) for _ in asked.names]
        for name, value in zip(asked.names, values, strict=True):
            binding.bind_input(name, "cpu", 0, np.float32, [1, 1], value.ctypes.data)
        for name in asked.outputs:
            binding.bind_output(name)
        took = []
        for number in range(CALLS):
            for value, given in zip(values, asked.rows[number % ROWS], strict=True):
                value[0, 0] = given
            began = time.perf_counter_ns()
            session.run_with_iobinding(binding)
            took.append(time.perf_counter_ns() - began)
        return float(np.median(took)) / 1e3
    finally:
        os.sched_setaffinity(0, before)


def _session(model: Path) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def http_request(body: bytes, line: str = "") -> bytes:
    """A request for inference as its bytes; `line` is any further line of its head."""
    head = f"POST {INFER} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{line}"
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body
