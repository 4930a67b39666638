"""Clients that mean no good or are ill: many, slow, half gone. Others are served all the same."""

from __future__ import annotations

import asyncio
import json
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.serving.conftest import NAME, Server, make_model, tensor

Start = Callable[..., Server]
BODY = json.dumps({"inputs": [tensor("speed_mps", 7.0)]}).encode()
REQUEST = b"POST /v2/models/%b/infer HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (NAME.encode(), len(BODY), BODY)
PATIENT_S = 2.0  # the longest that a decent client waits meanwhile, on a busy machine


@pytest.fixture
def server(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with short limits, which must end well."""
    file = make_model(tmp_path_factory.mktemp("hostile") / "m.onnx")
    made = start("--model", str(file), "--receive-s", "2", "--idle-s", "60")
    yield made
    assert made.stop() == 0
    assert '"event": "bug"' not in made.log.read_text()


def _longest_wait_s(server: Server, while_: Callable[[], object]) -> float:
    """The longest that a decent client waits for a right answer while something else goes on."""
    waits: list[float] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            started = time.monotonic()
            assert server.infer(BODY).json["outputs"][0]["data"] == [14.0]
            waits.append(time.monotonic() - started)
            time.sleep(0.005)

    decent = threading.Thread(target=ask)
    decent.start()
    try:
        while_()
    finally:
        done.set()
        decent.join()
    return max(waits)


def test_slow_lorises_are_cut_off_and_hold_up_nobody(server: Server) -> None:
    """200 clients that send a byte now and then get 408 when their time is up."""
    replies: list[bytes] = []

    def trickle() -> None:
        with ExitStack() as stack:
            slow = [stack.enter_context(server.raw()) for _ in range(200)]
            until = time.monotonic() + 2.5
            at = 0
            while time.monotonic() < until:
                for connection in slow:
                    connection.sendall(REQUEST[at : at + 1])
                at += 1
                time.sleep(0.1)
            replies.extend(connection.recv(65536) for connection in slow)

    assert _longest_wait_s(server, trickle) < PATIENT_S
    assert len(replies) == 200
    assert all(reply.startswith(b"HTTP/1.1 408 ") for reply in replies)


def test_a_client_that_closed_its_half_is_answered(server: Server) -> None:
    """All that was asked before the end of sending is answered in full, small and large; then it is over."""
    large = json.dumps({"inputs": [tensor("speed_mps", *[1.0] * 5_000)]}).encode()
    head = b"POST /v2/models/%b/infer HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (NAME.encode(), len(large))
    for count in (1, 3, 150):
        with server.raw() as connection:
            connection.sendall(REQUEST * count + head + large + REQUEST)
            connection.shutdown(socket.SHUT_WR)
            received = b""
            while data := connection.recv(65536):
                received += data
        assert received.count(b"HTTP/1.1 200 OK") == count + 2
        assert received.endswith(b'"data":[0.0]}]}')


def test_clients_that_vanish_leave_nothing_behind(server: Server) -> None:
    """Reset in the middle of a request, or with answers under way: the connection is forgotten."""
    linger = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")
    for sent in (b"", REQUEST[:30], REQUEST[:-5], REQUEST, REQUEST * 100):
        for _ in range(20):
            connection = server.raw()
            connection.sendall(sent)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            connection.close()
    server.wait_until(lambda: server.metric("brakeline_connections") == 1)  # the one that asks


def test_deep_and_oversized_bodies_hold_up_nobody(server: Server) -> None:
    """Nested 1,000,000 deep, 8 MiB of spaces, a bomb: refused one after the other while others are served."""
    bodies = [b'{"inputs":' + b"[" * 1_000_000, b" " * (8 * 1024 * 1024), b'{"x":' * 500_000, b"[" * 8_000_000]

    def send() -> None:
        for body in bodies * 3:
            assert server.infer(body).status in (400, 413)
        assert server.infer(b" " * (8 * 1024 * 1024 + 1)).status == 413

    assert _longest_wait_s(server, send) < PATIENT_S


async def _hold(server: Server, count: int) -> int:
    """Open so many connections, have each answered, twice, all staying open; how many answers were right."""
    gate = asyncio.Semaphore(200)

    async def open_and_ask() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        async with gate:
            made = await asyncio.open_connection("127.0.0.1", server.port)
            await ask(*made)
            return made

    async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        writer.write(REQUEST)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.partition(b"Content-Length: ")[2].partition(b"\r")[0])
        body = json.loads(await reader.readexactly(length))
        return bool(body["outputs"][0]["data"] == [14.0])

    opened = await asyncio.gather(*(open_and_ask() for _ in range(count)))
    right = sum(await asyncio.gather(*(ask(*connection) for connection in opened)))
    for _, writer in opened:
        writer.close()
    return right


@pytest.mark.parametrize("count", [1_000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_many_connections_are_served_at_once(server: Server, count: int) -> None:
    """All open, all asking in the same moment, all answered right; and one more client beside them."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    answered: list[int] = []
    assert _longest_wait_s(server, lambda: answered.append(asyncio.run(_hold(server, count)))) < 5 * PATIENT_S
    assert answered == [count]
