"""Time limits and bugs, where the clock or the model must be one of the test's own."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop
from brakeline_serving import model as models
from brakeline_serving.dataplane import DataPlane
from brakeline_serving.http import IDLE_S, RECEIVE_S, Connections
from brakeline_serving.messages import Request
from brakeline_serving.metrics import Metrics
from brakeline_serving.routes import Routes
from brakeline_serving.store import Served

from tests.serving.conftest import NAME, make_model, tensor

Client = Callable[[asyncio.StreamReader, asyncio.StreamWriter, "Clock"], Coroutine[Any, Any, None]]


class Clock:
    """A clock that moves when told, and then lets time run out where it did."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.connections: Connections | None = None

    def __call__(self) -> float:
        return self.now_s

    async def move(self, seconds: float) -> None:
        """Move on, once everything sent so far has arrived."""
        assert self.connections is not None
        await asyncio.sleep(0.05)
        self.now_s += seconds
        self.connections.expire()


def _with_client(client: Client) -> None:
    async def run() -> None:
        metrics, clock = Metrics(), Clock()
        clock.connections = Connections(Routes(DataPlane(NAME, metrics), metrics), clock)
        server = await asyncio.get_running_loop().create_server(clock.connections, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        await asyncio.wait_for(client(reader, writer, clock), 10)
        writer.close()
        clock.connections.abort()
        server.close()

    uvloop.run(run())


async def _closed_silently(reader: asyncio.StreamReader) -> bool:
    try:
        return await reader.read() == b""
    except ConnectionResetError:
        return True


def test_an_idle_connection_is_closed_and_not_before_its_time() -> None:
    """A connection without a request is kept for 75 s after the last one and closed without a word."""

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, clock: Clock) -> None:
        await clock.move(IDLE_S - 1)
        writer.write(b"GET /v2/health/live HTTP/1.1\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        await reader.readuntil(b"}")
        await clock.move(IDLE_S - 1)
        writer.write(b"\r\n\r\n")  # means nothing before a request, and buys no time
        await clock.move(1)
        assert await _closed_silently(reader)

    _with_client(client)


@pytest.mark.parametrize("sent", [b"GET /v2 HT", b"POST /v2 HTTP/1.1\r\nContent-Length: 9\r\n\r\n1"])
def test_a_request_that_trickles_in_gets_408(sent: bytes) -> None:
    """A request has 30 s from its first byte to its last, however lively it trickles in."""

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, clock: Clock) -> None:
        await clock.move(40)
        for byte in sent[:-1]:
            writer.write(bytes((byte,)))
        await clock.move(RECEIVE_S - 1)
        writer.write(sent[-1:])
        await clock.move(1)
        reply = await reader.read()
        assert reply.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        assert "30 s" in json.loads(reply.partition(b"\r\n\r\n")[2])["error"]

    _with_client(client)


class _Broken:
    def run(self, names: object, columns: object) -> Awaitable[None]:
        raise RuntimeError("secret detail")


def test_a_bug_is_a_500_without_its_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The client learns that it is not to blame, the log learns where, and the next request is served."""
    model = models.load(make_model(tmp_path / "model.onnx"), "1")
    metrics = Metrics()
    plane = DataPlane(NAME, metrics)
    routes = Routes(plane, metrics)
    body = json.dumps({"inputs": [tensor("speed_mps", 1.0)]}).encode()
    request = Request("POST", f"/v2/models/{NAME}/infer".encode(), {}, body)
    plane.adopt(Served(primary=dataclasses.replace(model, session=_Broken())))
    response = routes.answer(request)
    assert response.status == 500
    assert "secret" not in json.loads(response.body)["error"]
    logged = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert logged["event"] == "bug"
    assert "RuntimeError: secret detail" in logged["traceback"]
    plane.adopt(Served(primary=model))
    assert routes.answer(request).status == 200


def test_whole_urls_queries_and_quoted_names_find_their_way(tmp_path: Path) -> None:
    """Forms of a path that HTTP allows mean the same path."""
    metrics = Metrics()
    plane = DataPlane("a b", metrics)
    plane.adopt(Served(primary=models.load(make_model(tmp_path / "model.onnx"), "1")))
    routes = Routes(plane, metrics)
    targets = (
        b"/v2/models/a%20b/ready?x=1",
        b"http://host:80/v2/models/a%20b/versions/%31/ready",
        b"/v2?",
        b"/",
    )
    assert [routes.answer(Request("GET", target, {}, b"")).status for target in targets] == [200] * 4
    assert routes.answer(Request("GET", b"http://[", {}, b"")).status == 400
    assert routes.answer(Request("GET", b"/v2/models/%ff", {}, b"")).status == 404
