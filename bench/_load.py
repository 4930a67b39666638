"""A closed-loop load generator for HTTP/1.1: each connection sends its next request when it has the answer.

Run as a process, `python _load.py FILE`, so that it can be pinned to a core: FILE is JSON with host, port, connections,
seconds, warm_s and requests (each the whole request in base64). Prints JSON: requests, seconds, p50_us, p99_us, failed.
"""

import asyncio
import base64
import json
import sys
import time
from pathlib import Path
from typing import Any, cast

import numpy as np
import uvloop

_LENGTH = b"content-length: "


class Client(asyncio.Protocol):
    """One connection; it goes through the requests from a place of its own, so that rows vary."""

    transport: asyncio.Transport

    def __init__(self, requests: list[bytes], at: int) -> None:
        self._requests = requests
        self._at = at
        self._left = b""
        self._sent_ns = 0
        self._heads: dict[bytes, int] = {}
        self.took_ns: list[int] = []
        self.failed = 0
        self.stopping = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self.transport = cast(asyncio.Transport, transport)
        self._send()

    def _send(self) -> None:
        self._at = (self._at + 1) % len(self._requests)
        self._sent_ns = time.perf_counter_ns()
        self.transport.write(self._requests[self._at])

    def data_received(self, data: bytes) -> None:
        """Look whether the answer is whole."""
        data = self._left + data if self._left else data
        end = data.find(b"\r\n\r\n") + 4
        if end < 4 or len(data) < end + self._length(data[:end]):
            self._left = data
            return
        self._left = b""
        self.took_ns.append(time.perf_counter_ns() - self._sent_ns)
        if not data.startswith(b"HTTP/1.1 200"):
            self.failed += 1
        if not self.stopping:
            self._send()

    def _length(self, head: bytes) -> int:
        known = self._heads.get(head)
        if known is None:
            low = head.lower()
            start = low.index(_LENGTH) + len(_LENGTH)
            known = self._heads[head] = int(low[start : low.index(b"\r", start)])
        return known

    def connection_lost(self, exc: Exception | None) -> None:
        """A connection that ends early is a failure."""
        if not self.stopping:
            self.failed += 1


async def run(told: dict[str, Any]) -> dict[str, float]:
    """Ask for some seconds, after some of warming up."""
    loop = asyncio.get_running_loop()
    requests = [base64.b64decode(each) for each in told["requests"]]
    clients = [Client(requests, 7919 * at % len(requests)) for at in range(told["connections"])]
    for client in clients:
        await loop.create_connection(lambda client=client: client, told["host"], told["port"])  # type: ignore[misc]
    await asyncio.sleep(told["warm_s"])
    for client in clients:
        client.took_ns.clear()
    started = time.perf_counter()
    await asyncio.sleep(told["seconds"])
    seconds = time.perf_counter() - started
    took = np.concatenate([np.array(client.took_ns) for client in clients]) / 1e3
    for client in clients:
        client.stopping = True
    await asyncio.sleep(0.05)
    failed = sum(client.failed for client in clients)
    for client in clients:
        client.transport.abort()
    p50, p99 = (float(np.quantile(took, share)) for share in (0.5, 0.99))
    return {"requests": took.size, "seconds": seconds, "p50_us": p50, "p99_us": p99, "failed": failed}


if __name__ == "__main__":
    print(json.dumps(uvloop.run(run(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))))
