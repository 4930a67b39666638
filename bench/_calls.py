"""gRPC calls without pause, each waiting for its answer: `python _calls.py PORT CALLERS SECONDS FILE`.

FILE holds requests as `wrk.lua` reads them, here messages of gRPC. Prints JSON: requests, us, failed, p50_us, p99_us,
and asked, which counts those of warming up as well. A call that fails ends it.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc.aio
import numpy as np

METHOD = "/inference.GRPCInferenceService/ModelInfer"
WARM_S = 0.5


def messages(file: Path) -> list[bytes]:
    """The requests in a file."""
    raw, found = file.read_bytes(), []
    while raw:
        length, _, rest = raw.partition(b"\n")
        found.append(rest[: int(length)])
        raw = rest[int(length) :]
    return found


async def call(
    ask: Callable[..., Awaitable[Any]], requests: list[bytes], at: int, until_s: float
) -> tuple[int, list[float]]:
    """Ask until it is time to end; returns the number of calls, and what each took [s] but for those of warming up."""
    took, asked, warm_s = [], 0, time.perf_counter() + WARM_S
    while (began := time.perf_counter()) < until_s:
        at = (at + 1) % len(requests)
        await ask(requests[at])
        asked += 1
        if began > warm_s:
            took.append(time.perf_counter() - began)
    return asked, took


async def run(port: int, callers: int, seconds: float, file: Path) -> dict[str, float]:
    """Ask with some callers on one channel, which is how a client of gRPC shares a server."""
    requests = messages(file)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        ask = channel.unary_unary(METHOD)  # messages are bytes already
        until_s = time.perf_counter() + WARM_S + seconds
        starts = [7919 * number % len(requests) for number in range(callers)]
        found = await asyncio.gather(*(call(ask, requests, at, until_s) for at in starts))
    took = 1e6 * np.concatenate([np.array(each) for _, each in found])
    p50, p99 = (float(np.quantile(took, share)) for share in (0.5, 0.99))
    asked = sum(number for number, _ in found)
    return {"requests": took.size, "asked": asked, "us": 1e6 * seconds, "failed": 0, "p50_us": p50, "p99_us": p99}


if __name__ == "__main__":
    port, callers, seconds, file = sys.argv[1:]
    print(json.dumps(asyncio.run(run(int(port), int(callers), float(seconds), Path(file)))))
