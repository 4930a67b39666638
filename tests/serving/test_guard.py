"""TLS, the token, and the addresses that they are needed for."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import InferenceServerException

from tests.serving.certificates import make_certificate, name_of
from tests.serving.conftest import NAME, Server, column, make_model, tensor

Start = Callable[..., Server]
COMMAND = str(Path(sys.executable).with_name("brakeline-serving"))
GRPC_CODE = "StatusCode.UNAUTHENTICATED"


@pytest.fixture
def model(tmp_path: Path) -> str:
    return str(make_model(tmp_path / "m.onnx"))


def _name_told(server: Server, trusted: Path) -> str:
    """The name in the certificate that the server shows, which must be the trusted one."""
    context = ssl.create_default_context(cafile=str(trusted))
    plain = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    with context.wrap_socket(plain, server_hostname="127.0.0.1") as made:
        return name_of(made)


def _ask_over_tls(server: Server, trusted: Path, path: str) -> int:
    context = ssl.create_default_context(cafile=str(trusted))
    connection = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=10, context=context)
    connection.request("GET", path)
    status = connection.getresponse().status
    connection.close()
    return status


def test_tls_serves_http_and_grpc_and_follows_its_files(start: Start, model: str, tmp_path: Path) -> None:
    """Clients that trust the certificate are served; a replaced one is shown without a restart, a bad one is not."""
    chain, key = make_certificate(tmp_path, "first")
    words = ["--model", model, "--grpc-port", "0", "--tls-certificate", str(chain), "--tls-key", str(key)]
    server = start(*words)
    assert server.url.startswith("https://")
    assert _name_told(server, chain) == "first"
    assert _ask_over_tls(server, chain, "/v2/health/ready") == 200
    grpc: Any = tritonclient.grpc.InferenceServerClient(server.grpc_address, ssl=True, root_certificates=str(chain))
    assert grpc.is_server_ready()
    grpc.close()
    with server.raw() as plain:
        plain.sendall(b"GET /v2 HTTP/1.1\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert not plain.recv(100).startswith(b"HTTP/1.1 200")
    first = tmp_path / "first.pem"
    first.write_bytes(chain.read_bytes())
    chain.write_text("no certificate")
    server.wait_until(lambda: "certificate_kept" in server.log.read_text())
    assert _name_told(server, first) == "first"
    make_certificate(tmp_path, "second")
    server.wait_until(lambda: "certificate_changed" in server.log.read_text())
    assert _name_told(server, chain) == "second"
    grpc = tritonclient.grpc.InferenceServerClient(server.grpc_address, ssl=True, root_certificates=str(chain))
    assert grpc.is_server_ready()
    grpc.close()
    assert server.stop() == 0
    assert '"event": "bug"' not in server.log.read_text()


def test_the_token_guards_all_but_probes_and_follows_its_file(start: Start, model: str, tmp_path: Path) -> None:
    """Without it, with another, in another scheme: 401 and a challenge; health and the page need none."""
    token = tmp_path / "token"
    token.write_text("s3cret-token\n")
    server = start("--model", model, "--token-file", str(token), "--grpc-port", "0")
    body = {"inputs": [tensor("speed_mps", 1.0)]}
    for header in ({}, {"Authorization": "Bearer other"}, {"Authorization": "Basic s3cret-token"}):
        reply = server.infer(body, headers=header)
        assert reply.status == 401
        assert reply.headers["www-authenticate"] == "Bearer"
        assert "s3cret" not in reply.json["error"]
        for path in ("/metrics", "/v2", f"/v2/models/{NAME}"):
            assert server.ask("GET", path, headers=header).status == 401
    for path in ("/v2/health/live", "/v2/health/ready"):
        assert server.ask("GET", path).status == 200
    assert server.infer(body, headers={"Authorization": "Bearer s3cret-token"}).status == 200
    token.write_text("another")
    server.wait_until(lambda: server.infer(body, headers={"Authorization": "Bearer another"}).status == 200)
    assert server.infer(body, headers={"Authorization": "bearer s3cret-token"}).status == 401
    token.write_text("")
    server.wait_until(lambda: "token_kept" in server.log.read_text())
    assert server.infer(body, headers={"Authorization": "Bearer another"}).status == 200
    assert server.infer(body, headers={"Authorization": "Bearer "}).status == 401
    grpc = tritonclient.grpc.InferenceServerClient(server.grpc_address)
    given = tritonclient.grpc.InferInput("speed_mps", [1, 1], "FP32").set_data_from_numpy(column(2.0))
    assert grpc.is_server_live()
    for headers in (None, {"authorization": "Bearer other"}):
        for method, arguments in ((grpc.infer, (NAME, [given])), (grpc.get_model_metadata, (NAME,))):
            with pytest.raises(InferenceServerException) as raised:
                method(*arguments, headers=headers)
            assert raised.value.status() == GRPC_CODE
    assert grpc.infer(NAME, [given], headers={"authorization": "Bearer another"}).as_numpy("way_m") == 4.0
    grpc.close()


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--tls-certificate", "c"], 2, "need each other"),
        (["--host", "0.0.0.0", "--token-file", "t"], 2, "--insecure"),
        (["--host", "0.0.0.0", "--tls-certificate", "c", "--tls-key", "k"], 2, "--insecure"),
        (["--token-file", "nowhere"], 65, "nowhere"),
        (["--tls-certificate", "nowhere", "--tls-key", "nowhere"], 65, "nowhere"),
    ],
)
def test_half_a_guard_is_refused(model: str, words: list[str], code: int, says: str) -> None:
    """An open address needs both TLS and a token, and a guard that cannot be had ends the server."""
    command = [COMMAND, "--model", model, "--port", "0", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == code
    assert says in done.stderr


def test_an_open_address_with_tls_and_a_token_needs_no_other_word(start: Start, model: str, tmp_path: Path) -> None:
    """What --insecure would allow is allowed when it is secure."""
    chain, key = make_certificate(tmp_path, "open")
    (tmp_path / "token").write_text("t")
    words = ["--tls-certificate", str(chain), "--tls-key", str(key), "--token-file", str(tmp_path / "token")]
    server = start("--model", model, "--host", "0.0.0.0", *words)
    assert _ask_over_tls(server, chain, "/v2/health/live") == 200
    assert _ask_over_tls(server, chain, "/v2") == 401


def test_more_connections_than_allowed_are_told_to_come_later(start: Start, model: str) -> None:
    """The one too many gets 503 with Retry-After; when one goes, the next is served."""
    server = start("--model", model, "--connections", "3")
    kept = [server.raw() for _ in range(3)]
    for connection in kept:
        connection.sendall(b"GET /v2 HTTP/1.1\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
    with server.raw() as refused:
        told = refused.recv(1000)
    assert told.startswith(b"HTTP/1.1 503")
    assert b"Retry-After: 1\r\n" in told
    kept.pop().close()
    server.wait_until(lambda: _is_served(server))
    for connection in kept:
        connection.close()


def _is_served(server: Server) -> bool:
    with server.raw() as connection:
        connection.sendall(b"GET /v2 HTTP/1.1\r\nConnection: close\r\n\r\n")
        return connection.recv(1000).startswith(b"HTTP/1.1 200")


def test_large_requests_wait_in_a_bounded_queue_while_small_ones_are_served(start: Start, model: str) -> None:
    """Of 40 times 10,000 rows at once some may be told to come later; no small request waits for them."""
    server = start("--model", model)
    body = {"inputs": [tensor("speed_mps", *[1.0] * 10_000)]}
    replies = []

    def ask() -> None:
        replies.append(server.infer(body))

    clients = [threading.Thread(target=ask) for _ in range(40)]
    for client in clients:
        client.start()
    while any(client.is_alive() for client in clients):
        assert server.infer({"inputs": [tensor("speed_mps", 1.0)]}).status == 200
    for reply in replies:
        assert reply.status in (200, 503)
        if reply.status == 503:
            assert reply.headers["retry-after"] == "1"
            assert "100000" in reply.json["error"]
        else:
            assert reply.json["outputs"][0]["data"] == [2.0] * 10_000
    assert server.metric("brakeline_queue_rows") == 0


def test_a_socket_at_a_path_serves_the_same(start: Start, model: str, tmp_path: Path) -> None:
    """Beside TCP; an earlier life's file is replaced, and gone afterwards; another's is not touched."""
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    server = start("--model", model, "--unix-socket", str(path))
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        connection.sendall(b"GET /v2/health/ready HTTP/1.1\r\nConnection: close\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
    command = [COMMAND, "--model", model, "--port", "0", "--unix-socket", str(path)]
    second = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert second.returncode == 69
    assert server.stop() == 0
    assert not path.exists()


def test_the_port_may_come_from_the_environment_and_the_model_from_a_folder(tmp_path: Path) -> None:
    """As a KServe runtime's container is told: PORT, and a folder that the model is mounted at."""
    make_model(tmp_path / "mounted" / "model.onnx")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [COMMAND, "--model", str(tmp_path / "mounted")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PORT": str(port)}) as server:
        assert server.stdout is not None
        assert f":{port}" in server.stdout.readline()
        server.terminate()
        assert server.wait(10) == 0
