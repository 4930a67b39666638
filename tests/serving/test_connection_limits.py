"""Time limits and bugs, where the clock or the model must be one of the test's own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop
from brakeline_serving import model as models
from brakeline_serving.connections import Connections, Limits
from brakeline_serving.errors import ServingError
from brakeline_serving.messages import Done, Request, Response, Service
from brakeline_serving.store import Served

from tests.serving.conftest import NAME, make_model, tensor
from tests.serving.parts import Parts, answered, make_parts

IDLE_S, RECEIVE_S = Limits().idle_s, Limits().receive_s
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


def _with_client(client: Client, service: Service | None = None) -> None:
    async def run() -> None:
        clock = Clock()
        clock.connections = Connections(service or make_parts(NAME).routes, clock)
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


class _Large:
    """Answers with more than the kernel keeps for a client."""

    def answer(self, request: Request, done: Done) -> Response | None:
        return Response(200, b"x" * 64 * 1024 * 1024)

    def refusal(self, path: bytes, headers: dict[bytes, bytes]) -> ServingError | None:
        return None

    def refuse(self, error: ServingError) -> Response:
        return Response(error.status, b"")


@pytest.mark.parametrize("header", [b"", b"Connection: close\r\n"])
def test_an_answer_that_nobody_reads_is_given_up(header: bytes) -> None:
    """Also when the client asked for the connection to be closed: closing would wait for it for ever."""

    async def client(_: asyncio.StreamReader, writer: asyncio.StreamWriter, clock: Clock) -> None:
        writer.write(b"GET / HTTP/1.1\r\n" + header + b"\r\n")
        assert clock.connections is not None
        await clock.move(IDLE_S - 1)
        assert len(clock.connections.open) == 1
        for _turn in range(3):
            await clock.move(IDLE_S + 1)
        await asyncio.sleep(0.05)
        assert len(clock.connections.open) == 0

    _with_client(client, _Large())


class _Broken:
    def run(self, rows: bytes, count: int) -> Any:
        raise RuntimeError("secret detail")


def _status(parts: Parts, target: bytes) -> int:
    (response,) = answered(parts, Request("GET", target, {}, b""))
    return response.status


def test_a_bug_is_a_500_without_its_traceback(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """The client learns that it is not to blame, the log learns where, and the next request is served."""
    model = models.load(make_model(tmp_path / "model.onnx"), "1")
    parts = make_parts(NAME)
    body = json.dumps({"inputs": [tensor("speed_mps", 1.0)]}).encode()
    request = Request("POST", f"/v2/models/{NAME}/infer".encode(), {}, body)
    lane, model.lane = model.lane, _Broken()  # type: ignore[assignment]
    parts.plane.adopt(Served(primary=model))
    capfd.readouterr()
    for response in answered(parts, request, request):
        assert response.status == 500
        assert "secret" not in json.loads(response.body)["error"]
    logged = json.loads(capfd.readouterr().err.splitlines()[-1])
    assert logged["event"] == "bug"
    assert "RuntimeError: secret detail" in logged["traceback"]
    model.lane = lane
    assert answered(parts, request)[0].status == 200


def test_whole_urls_queries_and_quoted_names_find_their_way(tmp_path: Path) -> None:
    """Forms of a path that HTTP allows mean the same path."""
    parts = make_parts("a b")
    parts.plane.adopt(Served(primary=models.load(make_model(tmp_path / "model.onnx"), "1")))
    targets = (
        b"/v2/models/a%20b/ready?x=1",
        b"http://host:80/v2/models/a%20b/versions/%31/ready",
        b"/v2?",
        b"/",
    )
    assert [_status(parts, target) for target in targets] == [200] * 4
    assert _status(parts, b"http://[") == 400
    assert _status(parts, b"/v2/models/%ff") == 404
