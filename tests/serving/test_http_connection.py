from __future__ import annotations

import json
import random
import re
import socket

import pytest

from tests.serving.conftest import NAME, Server, tensor

INFER = f"/v2/models/{NAME}/infer".encode()
LIVE = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n"
BYE = b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def _infer(value: float, id_: str = "", head: bytes = b"") -> bytes:
    body = json.dumps({"id": id_, "inputs": [tensor("speed_mps", value)]}).encode()
    return b"POST %b HTTP/1.1\r\nHost: x\r\n%bContent-Length: %d\r\n\r\n%b" % (INFER, head, len(body), body)


def _read_all(connection: socket.socket) -> bytes:
    received = b""
    while data := connection.recv(65536):
        received += data
    return received


def _statuses(received: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", received)]


def _exchange(server: Server, sent: bytes) -> bytes:
    with server.raw() as connection:
        connection.sendall(sent)
        return _read_all(connection)


def _bodies(received: bytes) -> list[bytes]:
    bodies = []
    while received:
        head, _, rest = received.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        bodies.append(rest[:length])
        received = rest[length:]
    return bodies


def test_pipelined_requests_are_answered_in_order(live: Server) -> None:
    """500 different requests sent at once come back in their order, each with its own answer."""
    sent = b"".join(_infer(float(n), str(n)) for n in range(500))
    replies = [json.loads(body) for body in _bodies(_exchange(live, sent + BYE))[:-1]]
    assert [reply["id"] for reply in replies] == [str(n) for n in range(500)]
    assert [reply["outputs"][0]["data"][0] for reply in replies] == [2.0 * n for n in range(500)]


def test_a_client_that_asks_without_reading_is_held_back_and_then_served(live: Server) -> None:
    """However late the answers are read, none is lost or out of order, and others are served meanwhile."""
    count = 2000
    with live.raw() as slow:
        slow.setblocking(False)
        sent = b"GET /metrics HTTP/1.1\r\n\r\n" * count + BYE
        with live.raw() as other:
            offset = slow.send(sent)
            other.sendall(BYE)
            assert _statuses(_read_all(other)) == [200]
        slow.setblocking(True)
        slow.settimeout(15)
        while offset < len(sent):
            offset += slow.send(sent[offset:])
        assert _statuses(_read_all(slow)) == [200] * (count + 1)


def test_a_request_may_arrive_byte_by_byte(live: Server) -> None:
    """Where the network cuts a request does not matter."""
    with live.raw() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in _infer(7.0, head=b"Connection: close\r\n"):
            connection.sendall(bytes((byte,)))
        assert json.loads(_bodies(_read_all(connection))[0])["outputs"][0]["data"] == [14.0]


def test_a_chunked_body_is_read(live: Server) -> None:
    """A body without a stated length is as good as any."""
    body = json.dumps({"inputs": [tensor("speed_mps", 7.0)]}).encode()
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:10], body[10:])) + b"0\r\n\r\n"
    head = b"POST %b HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n" % INFER
    assert json.loads(_bodies(_exchange(live, head + chunks))[0])["outputs"][0]["data"] == [14.0]


def test_a_client_that_waits_for_100_is_told_to_go_on(live: Server) -> None:
    """Expect: 100-continue is answered before the body is sent, and not for a body that is too large."""
    request = _infer(7.0, head=b"Connection: close\r\nExpect: 100-continue\r\n")
    head, _, body = request.partition(b"\r\n\r\n")
    with live.raw() as connection:
        connection.sendall(head + b"\r\n\r\n")
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert _statuses(_read_all(connection)) == [200]
    large = b"POST %b HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 9000000\r\n\r\n" % INFER
    assert _statuses(_exchange(live, large)) == [413]


@pytest.mark.parametrize(
    ("request_line", "header", "kept"),
    [
        (b"HTTP/1.1", b"", True),
        (b"HTTP/1.1", b"Connection: close\r\n", False),
        (b"HTTP/1.0", b"", False),
        (b"HTTP/1.0", b"Connection: keep-alive\r\n", True),
    ],
)
def test_the_connection_is_kept_as_the_client_wants_it(
    live: Server, request_line: bytes, header: bytes, kept: bool
) -> None:
    """HTTP/1.1 stays open unless told otherwise, HTTP/1.0 closes unless told otherwise."""
    request = b"GET /v2/health/live %b\r\nHost: x\r\n%b\r\n" % (request_line, header)
    with live.raw() as connection:
        connection.sendall(request)
        assert _statuses(connection.recv(65536)) == [200]
        if kept:
            connection.sendall(BYE)
            assert _statuses(_read_all(connection)) == [200]
        else:
            assert connection.recv(1) == b""


def test_head_answers_as_get_without_the_body(live: Server) -> None:
    """HEAD tells the length and sends nothing."""
    reply = live.ask("HEAD", "/v2")
    assert reply.status == 200
    assert int(reply.headers["content-length"]) > 0
    assert reply.body == b""


def test_an_upgrade_is_ignored(live: Server) -> None:
    """A client that offers HTTP/2 gets its answer by HTTP/1.1."""
    request = b"GET /v2 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    assert _statuses(_exchange(live, request)) == [200]


@pytest.mark.parametrize("stated", [True, False])
def test_an_oversized_body_gets_413_and_is_not_read_to_its_end(live: Server, stated: bool) -> None:
    """More than 8 MiB is refused, whether its length is stated or it comes in chunks."""
    framing = b"Content-Length: 50000000\r\n" if stated else b"Transfer-Encoding: chunked\r\n"
    part = b"x" * 65536
    with live.raw() as connection:
        connection.sendall(b"POST %b HTTP/1.1\r\nHost: x\r\n%b\r\n" % (INFER, framing))
        for _ in range(200):
            try:
                connection.sendall(part if stated else b"10000\r\n" + part + b"\r\n")
            except OSError:
                break
        assert _statuses(connection.recv(65536)) == [413]
    assert live.ask("GET", "/v2/health/live").status == 200


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"x" * 40_000 + b" HTTP/1.1\r\n\r\n",
        b"GET /v2 HTTP/1.1\r\nX: " + b"x" * 40_000 + b"\r\n\r\n",
        b"GET /v2 HTTP/1.1\r\n" + b"X: y\r\n" * 8000 + b"\r\n",
        b"GET /v2 HTTP/1.1\r\nX: " + b"x" * 100_000,
    ],
    ids=["target", "one_header", "many_headers", "a_header_without_end"],
)
def test_an_oversized_head_gets_431(live: Server, head: bytes) -> None:
    """More than 32 KiB of request line and headers is refused."""
    assert _statuses(_exchange(live, head)) == [431]


def test_a_large_head_within_the_limit_is_read_however_it_is_cut(live: Server) -> None:
    """20 KiB of headers are fine in one piece and in many."""
    request = BYE[:-2] + b"X: " + b"x" * 20_000 + b"\r\n\r\n"
    with live.raw() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(request), 1000):
            connection.sendall(request[start : start + 1000])
        assert _statuses(_read_all(connection)) == [200]


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),
        b"stop!\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /v2 HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET /v2 HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET /v2 HTTP/1.1\r\nno colon\r\n\r\n",
        b"POST /v2 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
    ids=["tls", "words", "version", "negative_length", "two_lengths", "header", "chunk"],
)
def test_garbage_gets_400_and_the_server_lives(live: Server, garbage: bytes) -> None:
    """Bytes that are no HTTP are answered with 400 and the connection ends; others do not notice."""
    received = _exchange(live, garbage)
    assert _statuses(received) == [400]
    assert "error" in json.loads(_bodies(received)[0])
    assert live.ask("GET", "/v2/health/live").status == 200


def test_answers_before_garbage_are_delivered(live: Server) -> None:
    """What came before the garbage on the same connection is answered first."""
    assert _statuses(_exchange(live, LIVE + LIVE + b"\x00garbage\r\n\r\n")) == [200, 200, 400]


def test_random_and_mutated_bytes_never_cause_a_500_or_the_end(live: Server) -> None:
    """300 seeded mutations of good requests: no 500 and no crash."""
    chance = random.Random(7)
    for _ in range(300):
        request = bytearray(
            _infer(7.0, head=b"Inference-Header-Content-Length: 20\r\n" if chance.random() < 0.3 else b"")
        )
        for _ in range(chance.randrange(1, 6)):
            request[chance.randrange(len(request))] = chance.randrange(256)
        with live.raw() as connection:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)
            try:
                statuses = _statuses(_read_all(connection))
            except ConnectionResetError:
                continue
        assert all(status < 500 for status in statuses)
    assert live.ask("GET", "/v2/health/live").status == 200
