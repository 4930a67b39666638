"""Seeded fuzzing of HTTP and gRPC: no crash, no hang, no 500, and right answers beside it.

A few seconds by default; `BRAKELINE_FUZZ_S` says how many for the slow test, ten minutes unless told.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import re
import socket
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from tritonclient.grpc import service_pb2

from tests.serving.conftest import NAME, PATIENCE_S, Server, Store, tensor

SHORT_S = 4.0
LONG_S = float(os.environ.get("BRAKELINE_FUZZ_S", "600"))
PATHS = [
    *("/", "/v2", "/v2/health/live", "/v2/health/ready", "/metrics", "/v2/models/stats", "/v2/repository/index"),
    *(f"/v2/models/{NAME}{rest}" for rest in ("", "/ready", "/config", "/stats", "/infer", "/versions/1/infer")),
    *(f"/v2/repository/models/{NAME}/{verb}" for verb in ("load", "unload")),
]
ALLOWED = {200, 304, 400, 401, 404, 405, 408, 409, 413, 415, 417, 431, 503}


def _value(chance: random.Random, depth: int = 0) -> Any:
    """Anything that JSON can hold, and numbers that few expect."""
    kind = chance.randrange(8 if depth < 4 else 6)
    if kind < 2:
        return chance.choice([0, 1, -1, 10**400, 2**63, 1e308, -0.0, 1e-320, 10_000, 10_001, 0.5])
    if kind == 2:
        return chance.choice(["", "FP32", "speed_mps", "\0", "é" * 50, "x" * 2000, "NaN", "../1", "1"])
    if kind < 6:
        return chance.choice([None, True, False])
    if kind == 6:
        return [_value(chance, depth + 1) for _ in range(chance.randrange(4))]
    return {chance.choice(["name", "shape", "data", "x", ""]): _value(chance, depth + 1) for _ in range(3)}


def _good(chance: random.Random) -> dict[str, Any]:
    count = chance.choice([1, 1, 2, 130])
    inputs = [tensor(name, *[chance.uniform(-1, 80)] * count) for name in ("speed_mps", "grade")]
    body: dict[str, Any] = {"id": "f", "inputs": inputs, "outputs": [{"name": "way_m"}], "parameters": {"a": 1}}
    if chance.random() < 0.3:
        body["parameters"]["version"] = chance.choice(["1", "2", "9"])
    return body


def _mutated(chance: random.Random, value: Any) -> Any:
    """The value with one thing in it replaced, removed or repeated, somewhere within."""
    if chance.random() < 0.15 or not isinstance(value, dict | list) or not value:
        return _value(chance)
    if isinstance(value, list):
        at = chance.randrange(len(value))
        new = _mutated(chance, value[at])
        return [*value[:at], *chance.choice([[new], [], [new, new]]), *value[at + 1 :]]
    key = chance.choice(list(value))
    if chance.random() < 0.2:
        return {name: held for name, held in value.items() if name != key}
    return value | {key: _mutated(chance, value[key])}


def _by_schema(chance: random.Random) -> bytes:
    """A request whose framing is right and whose content is nearly so."""
    body = json.dumps(_mutated(chance, _good(chance))).encode()
    lines = []
    if chance.random() < 0.3:
        raw = chance.randbytes(chance.choice([0, 3, 4, 8, 16]))
        stated = chance.choice([len(body), len(body), 0, 1, len(body) + 1, 10**12, -1])
        lines.append(f"Inference-Header-Content-Length: {stated}")
        body += raw
    packed = chance.choice([None, None, None, "gzip", "deflate", "gzip, deflate", "br"])
    if packed is not None:
        lines.append(f"Content-Encoding: {packed}")
        body = gzip.compress(body) if packed == "gzip" else zlib.compress(body) if packed == "deflate" else body
    if chance.random() < 0.3:
        lines.append(f"Accept-Encoding: {chance.choice(['gzip', 'deflate;q=x', '*', 'gzip;q=0', ',,'])}")
    method = chance.choice(["POST"] * 6 + ["GET", "PUT", "HEAD"])
    path = chance.choice([f"/v2/models/{NAME}/infer"] * 3 + PATHS)
    head = [f"{method} {path} HTTP/1.1", "Host: x", *lines, f"Content-Length: {len(body)}"]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


_INSERTED = [b"\r\n", b"\0", b"Transfer-Encoding: chunked\r\n", b"\xff" * 20, b"[" * 99]


def _by_bytes(chance: random.Random) -> bytes:
    """Requests with bytes changed, cut out, doubled or put in anywhere, framing included; or no request at all."""
    if chance.random() < 0.1:
        return chance.randbytes(chance.randrange(1, 400))
    data = bytearray(b"".join(_by_schema(chance) for _ in range(chance.choice([1, 1, 2, 5]))))
    for _ in range(chance.randrange(1, 8)):
        at = chance.randrange(len(data) or 1)
        match chance.randrange(4):
            case 0:
                data[at : at + 1] = bytes((chance.randrange(256),))
            case 1:
                del data[at : at + chance.randrange(1, 30)]
            case 2:
                data[at:at] = chance.choice(_INSERTED)
            case _:
                data[at:at] = data[at : at + chance.randrange(1, 60)]
    return bytes(data)


def _statuses(server: Server, sent: bytes, chance: random.Random) -> list[int]:
    """What the server answers to bytes, sent in one or several pieces; it must end the connection in time."""
    received = b""
    with server.raw() as connection:
        try:
            for part in _cut(sent, chance):
                connection.sendall(part)
            connection.shutdown(socket.SHUT_WR)
            while data := connection.recv(65536):
                received += data
        except TimeoutError:
            raise
        except OSError:
            pass  # it is allowed to hang up on nonsense, not to keep it hanging
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", received) if status != b"100"]


def _cut(sent: bytes, chance: random.Random) -> Iterator[bytes]:
    if chance.random() < 0.7:
        yield sent
        return
    at = chance.randrange(len(sent) + 1)
    yield sent[:at]
    yield sent[at:]


def _fuzz(server: Server, seconds: float, seed: int, make: Callable[[random.Random], bytes]) -> dict[int, int]:
    chance, seen, rounds = random.Random(seed), dict[int, int](), 0
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        rounds += 1
        sent = make(chance)
        started = time.monotonic()
        for status in _statuses(server, sent, chance):
            assert status in ALLOWED, sent
            seen[status] = seen.get(status, 0) + 1
        assert time.monotonic() - started < PATIENCE_S, sent
        if rounds % 50 == 0:
            _is_well(server)
    assert rounds > 20 * seconds
    return seen


def _is_well(server: Server) -> None:
    reply = server.infer({"inputs": [tensor("speed_mps", 7.0)]}, "/versions/1")
    if reply.status == 200:
        assert reply.json["outputs"][0]["data"] == [14.0]
        return
    # The fuzzer found `unload`, which a request may undo.
    assert reply.status == 503
    assert server.ask("POST", f"/v2/repository/models/{NAME}/load").status == 200


@pytest.fixture
def fuzzed(store: Store, start: Callable[..., Server]) -> Iterator[Server]:
    """A server that must end as well as it began, with no bug in its log."""
    store.add("1")
    store.add("2", scale=5.0)
    store.point("1")
    server = start("--model-store", str(store.root), "--grpc-port", "0")
    server.wait_for_version("1")
    yield server
    _is_well(server)
    assert server.stop() == 0
    assert '"event": "bug"' not in server.log.read_text()


def test_nearly_right_requests_are_answered_or_refused(fuzzed: Server) -> None:
    """Schema-driven: most requests are refused for what is wrong with them, some are right, none is a 500."""
    seen = _fuzz(fuzzed, SHORT_S, 7, _by_schema)
    assert seen[200] > 20
    assert seen[400] > 100


def test_any_bytes_are_answered_or_cut_off(fuzzed: Server) -> None:
    """Raw bytes: framing broken in every way, pipelined and in pieces."""
    seen = _fuzz(fuzzed, SHORT_S, 11, _by_bytes)
    assert seen[400] > 100


def _call(channel: grpc.Channel, method: str, content: bytes) -> grpc.StatusCode:
    call = channel.unary_unary(f"/inference.GRPCInferenceService/{method}")
    try:
        call(content, timeout=PATIENCE_S)
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def _message(chance: random.Random) -> bytes:
    """An inference request for gRPC, some of its bytes changed."""
    request = service_pb2.ModelInferRequest(model_name=NAME, id="f")
    count = chance.choice([1, 2, 130])
    for name in chance.sample(["speed_mps", "grade", "x"], chance.randrange(1, 4)):
        request.inputs.add(name=name, datatype="FP32", shape=chance.choice([[count, 1], [count], [-1], [1, 2]]))
        if chance.random() < 0.9:
            request.raw_input_contents.append(struct.pack(f"<{count}f", *[7.0] * count))
    data = bytearray(request.SerializeToString())
    for _ in range(chance.randrange(0, 4)):
        data[chance.randrange(len(data))] = chance.randrange(256)
    return bytes(data)


def _fuzz_grpc(server: Server, seconds: float) -> dict[grpc.StatusCode, int]:
    chance, seen = random.Random(13), dict[grpc.StatusCode, int]()
    methods = ["ModelInfer"] * 5 + ["ModelMetadata", "ModelConfig", "ModelStatistics", "RepositoryModelLoad", "Nothing"]
    with grpc.insecure_channel(server.grpc_address) as channel:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            code = _call(channel, chance.choice(methods), _message(chance))
            seen[code] = seen.get(code, 0) + 1
    return seen


def test_any_message_by_grpc_is_answered_or_refused(fuzzed: Server) -> None:
    """Wrong tensors and broken messages: never UNKNOWN, which is what a traceback would be, nor a time-out."""
    seen = _fuzz_grpc(fuzzed, SHORT_S)
    assert seen[grpc.StatusCode.OK] > 20
    assert seen[grpc.StatusCode.INVALID_ARGUMENT] > 100
    assert grpc.StatusCode.UNKNOWN not in seen
    assert grpc.StatusCode.DEADLINE_EXCEEDED not in seen


@pytest.mark.slow
@pytest.mark.parametrize("make", [_by_schema, _by_bytes])
def test_long_fuzzing_finds_nothing(fuzzed: Server, make: Callable[[random.Random], bytes]) -> None:
    """The same for as long as is wanted, from a seed that is told when it fails."""
    seed = int(os.environ.get("BRAKELINE_FUZZ_SEED", random.SystemRandom().randrange(2**32)))
    print(f"BRAKELINE_FUZZ_SEED={seed}")
    _fuzz(fuzzed, LONG_S / 2, seed, make)
    _fuzz_grpc(fuzzed, 5.0)
