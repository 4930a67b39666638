"""Many connections that ask without pause, each answer checked against what onnxruntime itself says."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tests.serving.conftest import NAME, PATIENCE_S, answers_in_process, column

ROWS = 256


def requests_and_answers(models: dict[str, Path], seed: int = 7) -> tuple[list[bytes], dict[str, list[list[float]]]]:
    """Requests of one to three rows, and each model's answers to them, output after output, rows in their order."""
    chance = np.random.default_rng(seed)
    requests: list[bytes] = []
    answers: dict[str, list[list[float]]] = {version: [] for version in models}
    for _ in range(ROWS):
        count = int(chance.integers(1, 4))
        rows = {"speed_mps": chance.uniform(0, 70, count), "grade": chance.uniform(-0.2, 0.2, count)}
        tensors = [
            {"name": name, "shape": [count, 1], "datatype": "FP32", "data": values.tolist()}
            for name, values in rows.items()
        ]
        body = json.dumps({"inputs": tensors}).encode()
        head = f"POST /v2/models/{NAME}/infer HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        requests.append(head.encode() + body)
        columns = {name: column(*values) for name, values in rows.items()}
        for version, file in models.items():
            told = answers_in_process(file, **columns)
            answers[version].append([float(value) for values in told.values() for value in values.ravel()])
    return requests, answers


@dataclass
class Load:
    """Closed-loop clients in a thread of their own. `wrong` says what was answered wrong, `failed` what was not.

    With `life` they make a new connection after so many requests, and after one that broke.
    """

    port: int
    connections: int
    requests: list[bytes]
    answers: dict[str, list[list[float]]]
    wrong: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    by_version: dict[str, int] = field(default_factory=dict)
    life: int | None = None
    closed_by_server: int = 0

    def __enter__(self) -> Load:
        self._done = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join(4 * PATIENCE_S)
        assert not self._thread.is_alive()

    @property
    def answered(self) -> int:
        """How many requests were answered as they should be."""
        return sum(self.by_version.values())

    async def _run(self) -> None:
        await asyncio.gather(*(self._ask(at) for at in range(self.connections)))

    async def _ask(self, at: int) -> None:
        """One connection after the other, where the server may close them; else one."""
        while not self._done.is_set():
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except OSError:
                return  # nobody listens any more
            at = await self._ask_on(reader, writer, at)
            writer.close()
            if self.life is None:
                return

    async def _ask_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, at: int) -> int:
        asked = 0
        while not self._done.is_set() and asked != self.life:
            asked += 1
            at = (at + 17) % len(self.requests)
            try:
                writer.write(self.requests[at])
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE_S)
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
                body = await asyncio.wait_for(reader.readexactly(length), PATIENCE_S)
            except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
                self.failed.append(repr(error))
                return at
            if not head.startswith(b"HTTP/1.1 200"):
                self.failed.append(repr(head + body))
                return at
            self._check(json.loads(body), at)
            if b"connection: close" in head.lower():
                self.closed_by_server += 1
                return at
        return at

    def _check(self, reply: dict[str, Any], at: int) -> None:
        version = reply["model_version"]
        found = [value for output in reply["outputs"] for value in output["data"]]
        if found != self.answers[version][at]:
            self.wrong.append(f"version {version}: {found}, {self.answers[version][at]}")
        else:
            self.by_version[version] = self.by_version.get(version, 0) + 1
