"""Several workers with TLS, a token and gRPC: whichever of them the kernel chooses, the guard is the same."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import grpc
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

from tests.serving.certificates import make_certificate, name_of
from tests.serving.conftest import NAME, PATIENCE_S, Server, column, make_model, tensor
from tests.serving.processes import children_of, holders

Start = Callable[..., Server]
_Kind = TypeVar("_Kind")
WORKERS = 3
FOLLOWED_WITHIN_S = 2.0
_MOST_CONNECTIONS = 300  # until each worker was chosen once; the chance that one never is: 3 * (2/3)**300
_UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
_BODY = json.dumps({"inputs": [tensor("speed_mps", 1.5)]}).encode()
_WRONG = (None, "Bearer other", "Bearer ", "Basic first-token", "first-token")


@dataclass
class Guarded:
    """A server with all of its guard, and the files that it follows."""

    server: Server
    folder: Path
    trusted: Path
    next_certificate: Path

    @property
    def workers(self) -> set[int]:
        """Their process ids."""
        return set(children_of(self.server.process.pid))

    def replace_token(self, token: str) -> float:
        """Write another token; the time when it was there."""
        staged = self.folder / "new-token"
        staged.write_text(token)
        staged.replace(self.folder / "token")
        return time.monotonic()

    def replace_certificate(self) -> float:
        """Put the next certificate and its key in place, one after the other; the time when both were there."""
        for file in ("key.pem", "chain.pem"):
            (self.next_certificate / file).replace(self.folder / file)
        return time.monotonic()


class Line:
    """An HTTPS connection that stays open, and so with one worker."""

    def __init__(self, guarded: Guarded) -> None:
        context = ssl.create_default_context(cafile=str(guarded.trusted))
        port = guarded.server.port
        self._connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=PATIENCE_S, context=context)
        self._connection.connect()
        client_port = self._connection.sock.getsockname()[1]
        self.worker = holders(guarded.workers, port)[client_port]
        self.close = self._connection.close

    @property
    def shown(self) -> str:
        """The name in the certificate."""
        assert isinstance(self._connection.sock, ssl.SSLSocket)
        return name_of(self._connection.sock)

    def ask(self, method: str, path: str, authorization: str | None) -> tuple[int, bytes]:
        """Status and body."""
        headers = {} if authorization is None else {"Authorization": authorization}
        self._connection.request(method, path, _BODY if method == "POST" else None, headers)
        response = self._connection.getresponse()
        body = response.read()
        assert (response.status == 401) == (response.getheader("WWW-Authenticate") == "Bearer")
        return response.status, body

    def lets_in(self, authorization: str | None) -> bool:
        """Whether an inference is answered, which it must be rightly; else it must be refused with 401."""
        status, body = self.ask("POST", f"/v2/models/{NAME}/infer", authorization)
        assert status in (200, 401), body
        assert status == 401 or json.loads(body)["outputs"][0]["data"] == [3.0]
        return status == 200


class Channel:
    """A gRPC connection of its own over TLS, and so with one worker."""

    def __init__(self, guarded: Guarded) -> None:
        port = int(guarded.server.grpc_address.rpartition(":")[2])
        before = holders(guarded.workers, port)
        credentials = grpc.ssl_channel_credentials(guarded.trusted.read_bytes())
        # Else the library would give all channels the connection of the first.
        options = [("grpc.use_local_subchannel_pool", 1)]
        channel = grpc.secure_channel(guarded.server.grpc_address, credentials, options)
        self.methods = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        self.close = channel.close
        assert self.methods.ServerLive(service_pb2.ServerLiveRequest(), timeout=PATIENCE_S).live  # needs no token
        after = holders(guarded.workers, port)
        ((_, self.worker),) = after.items() - before.items()

    def lets_in(self, authorization: str | None) -> bool:
        """Whether an inference is answered, which it must be rightly; else it must be refused as unauthenticated."""
        code = self._code(self._infer, authorization)
        assert code in (grpc.StatusCode.OK, _UNAUTHENTICATED)
        return bool(code == grpc.StatusCode.OK)

    def codes(self, authorization: str | None) -> set[Any]:
        """How inference, alone and streamed, and metadata end."""
        return {self._code(call, authorization) for call in (self._infer, self._stream, self._tell)}

    def _infer(self, **given: Any) -> None:
        (raw,) = self.methods.ModelInfer(_asked(), **given).raw_output_contents[:1]
        assert raw == column(3.0).tobytes()

    def _stream(self, **given: Any) -> None:
        (reply,) = self.methods.ModelStreamInfer(iter([_asked()]), **given)
        assert reply.infer_response.raw_output_contents[0] == column(3.0).tobytes()

    def _tell(self, **given: Any) -> None:
        assert self.methods.ModelMetadata(service_pb2.ModelMetadataRequest(name=NAME), **given).name == NAME

    def _code(self, call: Callable[..., None], authorization: str | None) -> Any:
        metadata = () if authorization is None else (("authorization", authorization),)
        try:
            call(metadata=metadata, timeout=PATIENCE_S)
        except grpc.RpcError as error:
            return error.code()
        return grpc.StatusCode.OK


def _asked() -> Any:
    asked = service_pb2.ModelInferRequest(model_name=NAME)
    asked.inputs.add(name="speed_mps", datatype="FP32", shape=(1, 1)).contents.fp32_contents.append(1.5)
    return asked


@pytest.fixture
def guarded(start: Start, tmp_path: Path) -> Iterator[Guarded]:
    """At its end no request may have met a bug, and no worker may have ended but by a test."""
    later = tmp_path / "later"
    later.mkdir()
    chain, key = make_certificate(tmp_path, "first")
    next_chain, _ = make_certificate(later, "second")
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(chain.read_bytes() + next_chain.read_bytes())
    (tmp_path / "token").write_text("first-token")
    words = ["--model", str(make_model(tmp_path / "m.onnx")), "--workers", str(WORKERS), "--grpc-port", "0"]
    words += ["--tls-certificate", str(chain), "--tls-key", str(key), "--token-file", str(tmp_path / "token")]
    server = start(*words)
    yield Guarded(server, tmp_path, trusted, later)
    assert server.stop() == 0
    assert '"event": "bug"' not in server.log.read_text()


@contextlib.contextmanager
def _to_each_worker(guarded: Guarded, *kinds: type[Line] | type[Channel]) -> Iterator[list[Any]]:
    """Connections of each kind to each worker, made until there is one."""
    with contextlib.ExitStack() as closing:
        found: dict[tuple[type, int], Any] = {}
        for kind in kinds:
            for _ in range(_MOST_CONNECTIONS):
                made = kind(guarded)
                closing.callback(made.close)
                found.setdefault((kind, made.worker), made)
                if {worker for each, worker in found if each is kind} == guarded.workers:
                    break
        assert set(found) == {(kind, worker) for kind in kinds for worker in guarded.workers}
        assert len(found) == WORKERS * len(kinds)
        yield list(found.values())


def test_each_worker_refuses_what_has_no_token_over_http_and_grpc(guarded: Guarded) -> None:
    """None, another, an empty one, in another scheme or in none: 401 on every path but health, and its like in gRPC."""
    with _to_each_worker(guarded, Line, Channel) as connections:
        for connection in connections:
            assert not any(connection.lets_in(wrong) for wrong in _WRONG)
            assert connection.lets_in("Bearer first-token")
        for channel in _only(Channel, connections):
            assert [channel.codes(wrong) for wrong in _WRONG] == [{_UNAUTHENTICATED}] * len(_WRONG)
            assert channel.codes("Bearer first-token") == {grpc.StatusCode.OK}
        for line in _only(Line, connections):
            for path in ("/metrics", "/v2", f"/v2/models/{NAME}", f"/v2/models/{NAME}/stats"):
                assert line.ask("GET", path, None)[0] == 401, path
            for path in ("/v2/repository/index", f"/v2/repository/models/{NAME}/unload"):
                assert line.ask("POST", path, "Bearer other")[0] == 401, path
            for path in ("/v2/health/live", "/v2/health/ready"):
                assert line.ask("GET", path, None)[0] == 200, path


def _only(kind: type[_Kind], connections: Iterable[object]) -> list[_Kind]:
    found = [each for each in connections if isinstance(each, kind)]
    assert len(found) == WORKERS
    return found


def test_each_worker_follows_another_token_within_two_seconds(guarded: Guarded) -> None:
    """On connections that stay open, over HTTP and gRPC; the earlier one lets nobody in any more."""
    with _to_each_worker(guarded, Line, Channel) as connections:
        for token, earlier in (("second-token", "first-token"), ("first-token", "second-token")):
            assert all(connection.lets_in(f"Bearer {earlier}") for connection in connections)
            changed = guarded.replace_token(token)
            waiting = list(connections)
            while waiting and time.monotonic() < changed + FOLLOWED_WITHIN_S:
                waiting = [connection for connection in waiting if not connection.lets_in(f"Bearer {token}")]
            assert waiting == []
            assert not any(connection.lets_in(f"Bearer {earlier}") for connection in connections)
    guarded.server.wait_until(lambda: guarded.server.log.read_text().count("token_changed") == 2 * WORKERS)


def test_each_worker_follows_another_certificate_within_two_seconds(guarded: Guarded) -> None:
    """New connections get it over HTTP and gRPC from every worker; those that were open before are still served."""
    with _to_each_worker(guarded, Line, Channel) as before:
        assert {line.shown for line in _only(Line, before)} == {"first"}
        assert _names_in_calls(guarded) == {"first"}
        changed = guarded.replace_certificate()
        time.sleep(changed + FOLLOWED_WITHIN_S - time.monotonic())
        guarded.trusted.write_bytes((guarded.folder / "chain.pem").read_bytes())
        with _to_each_worker(guarded, Line, Channel) as after:
            assert {line.shown for line in _only(Line, after)} == {"second"}
            assert _names_in_calls(guarded) == {"second"}
            assert all(connection.lets_in("Bearer first-token") for connection in (*before, *after))


def _names_in_calls(guarded: Guarded) -> set[str]:
    """The names in the certificates that the workers show where they answer gRPC."""
    port = int(guarded.server.grpc_address.rpartition(":")[2])
    context = ssl.create_default_context(cafile=str(guarded.trusted))
    context.set_alpn_protocols(["h2"])
    names: dict[int, str] = {}
    for _ in range(_MOST_CONNECTIONS):
        plain = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        with context.wrap_socket(plain, server_hostname="127.0.0.1") as made:
            names[holders(guarded.workers, port)[made.getsockname()[1]]] = name_of(made)
        if names.keys() == guarded.workers:
            break
    assert names.keys() == guarded.workers
    return set(names.values())


def test_a_worker_in_the_place_of_a_killed_one_guards_as_the_others_do(guarded: Guarded) -> None:
    """It knows the token and the certificate that are there when it starts, not those of the server's start."""
    first = guarded.workers
    guarded.replace_token("second-token")
    guarded.replace_certificate()
    killed = min(first)
    os.kill(killed, signal.SIGKILL)
    server = guarded.server
    server.wait_until(lambda: len(guarded.workers) == WORKERS and killed not in guarded.workers)
    server.wait_until(lambda: server.log.read_text().count("certificate_changed") == WORKERS - 1)
    guarded.trusted.write_bytes((guarded.folder / "chain.pem").read_bytes())
    with _to_each_worker(guarded, Line, Channel) as connections:
        assert {connection.worker for connection in connections} - first
        for connection in connections:
            assert connection.lets_in("Bearer second-token")
            assert not connection.lets_in("Bearer first-token")
            assert not connection.lets_in(None)
