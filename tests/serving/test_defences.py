"""What a client may not do to others: pages of other sites, bodies sent in vain, logs that nobody reads."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop
from brakeline_serving import model as models
from brakeline_serving.connections import Connections, Limits
from brakeline_serving.store import Served

from tests.serving.conftest import NAME, PATIENCE_S, Server, Store, make_model, tensor
from tests.serving.parts import make_parts

Start = Callable[..., Server]
ONE = {"inputs": [tensor("speed_mps", 5.0)]}
REPOSITORY = f"/v2/repository/models/{NAME}"


@pytest.mark.parametrize("verb", ["load", "unload"])
@pytest.mark.parametrize("origin", ["http://elsewhere.example", "https://127.0.0.1", "null"])
def test_another_sites_page_changes_nothing(live: Server, verb: str, origin: str) -> None:
    """A browser sends such a request for anybody's page, and says whose it was: 403, and the model stays."""
    refused = live.ask("POST", f"{REPOSITORY}/{verb}", {}, {"Origin": origin, "Content-Type": "text/plain"})
    assert refused.status == 403
    assert origin in refused.json["error"]
    assert live.infer(ONE).status == 200


def test_the_servers_own_page_may_load(start: Start, store: Store) -> None:
    """The origin that is the host asked for is no other site."""
    store.add("1")
    store.point("1")
    server = start("--model-store", str(store.root))
    assert server.ask("POST", f"{REPOSITORY}/load", {}, {"Origin": server.url}).status == 200


@pytest.mark.parametrize("expect", [b"", b"Expect: 100-continue\r\n"])
@pytest.mark.parametrize(
    ("path", "framing", "status"),
    [
        (f"/v2/models/{NAME}/infer", b"Content-Length: 5000000\r\n", b"401"),
        (f"/v2/models/{NAME}/infer", b"Transfer-Encoding: chunked\r\n", b"401"),
        ("/v2/nothing", b"Content-Length: 5000000\r\n", b"404"),
    ],
)
def test_a_large_body_that_would_be_refused_is_not_received(
    start: Start, tmp_path: Path, path: str, framing: bytes, status: bytes, expect: bytes
) -> None:
    """The head is answered before a byte of the body has come."""
    (tmp_path / "token").write_text("secret")
    server = start("--model", str(make_model(tmp_path / "m" / "model.onnx")), "--token-file", str(tmp_path / "token"))
    with server.raw() as connection:
        connection.sendall(b"POST %b HTTP/1.1\r\n%b%b\r\n" % (path.encode(), framing, expect))
        assert connection.recv(1000).startswith(b"HTTP/1.1 " + status)


def test_bodies_have_a_limit_together(tmp_path: Path) -> None:
    """Of many that are being received the one too many gets 503; when others are answered, the next is received."""

    async def run() -> None:
        loop, parts = asyncio.get_running_loop(), make_parts(NAME)
        parts.plane.adopt(Served(primary=models.load(make_model(tmp_path / "model.onnx"), "1", NAME)))
        connections = Connections(parts.routes, loop.time, Limits(all_bodies_bytes=100_000))
        server = await loop.create_server(connections, "127.0.0.1", 0)
        clients = [await asyncio.open_connection(*server.sockets[0].getsockname()) for _ in range(3)]
        body = json.dumps(ONE).encode().ljust(60_000)
        head = b"POST /v2/models/%b/infer HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (NAME.encode(), len(body))
        clients[0][1].write(head + body[:50_000])
        await asyncio.sleep(0.05)
        clients[1][1].write(head + body[:59_000])
        assert (await clients[1][0].readline()).startswith(b"HTTP/1.1 503")
        clients[0][1].write(body[50_000:])
        assert (await clients[0][0].readline()).startswith(b"HTTP/1.1 200")
        clients[2][1].write(head + body)
        assert (await clients[2][0].readline()).startswith(b"HTTP/1.1 200")
        connections.abort()
        await asyncio.sleep(0.05)
        assert connections.body_bytes == 0
        server.close()

    uvloop.run(run())


def test_json_that_no_request_can_be_is_refused_unread(live: Server) -> None:
    """So much is more than 10,000 rows of every feature take."""
    refused = live.infer(b'{"inputs":[' + b",".join([json.dumps(tensor("speed_mps", 1.0)).encode()] * 20_000) + b"]}")
    assert refused.status == 413
    assert "JSON" in refused.json["error"]


def test_who_bears_no_token_is_told_no_reasons(start: Start, store: Store, tmp_path: Path) -> None:
    """Readiness is for probes; what is wrong names the server's files."""
    (tmp_path / "token").write_text("secret")
    server = start("--model-store", str(store.root), "--token-file", str(tmp_path / "token"))
    stranger, known = (
        server.ask("GET", "/v2/health/ready", headers=headers) for headers in ({}, {"Authorization": "Bearer secret"})
    )
    assert stranger.status == known.status == 503
    assert str(tmp_path) in known.json["error"]
    assert str(tmp_path) not in stranger.json["error"]
    store.add("1")
    store.write('{"primary": "1", "shadow": "absent"}')
    server.wait_for_version("1")
    assert server.ask("GET", "/v2/health/ready").json["refused"] == {}
    assert "absent" in server.ask("GET", "/v2/health/ready", headers={"Authorization": "Bearer secret"}).json["refused"]


def test_a_log_that_nobody_reads_holds_up_nobody(tmp_path: Path) -> None:
    """Far more lines than a pipe takes: every request is answered, and the server ends as usual."""
    command = [sys.executable, "-m", "brakeline_serving", "--port", "0", "--access-log", "--model"]
    command.append(str(make_model(tmp_path / "model.onnx")))
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(json.loads(process.stdout.readline())["url"].rpartition(":")[2])

        async def ask() -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for _ in range(3_000):
                writer.write(b"GET /v2/health/live HTTP/1.1\r\n\r\n")
                assert (await asyncio.wait_for(reader.readuntil(b"}"), PATIENCE_S)).startswith(b"HTTP/1.1 200")
            writer.close()

        asyncio.run(ask())
        process.terminate()
        assert process.wait(PATIENCE_S) == 0


def test_what_cannot_be_told_is_an_error_and_not_silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug while one answer is written costs that request a 500 and the others nothing."""

    async def run() -> None:
        loop, parts = asyncio.get_running_loop(), make_parts(NAME)
        model = models.load(make_model(tmp_path / "model.onnx"), "1", NAME)
        parts.plane.adopt(Served(primary=model))
        write, calls = model.codec.write, []

        def broken(*given: object) -> object:
            calls.append(given)
            if len(calls) == 1:
                raise RuntimeError("on purpose")
            return write(*given)  # type: ignore[arg-type]

        monkeypatch.setattr(model.codec, "write", broken)
        server = await loop.create_server(Connections(parts.routes, loop.time), "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        body = json.dumps(ONE).encode()
        writer.write(
            (b"POST /v2/models/%b/infer HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (NAME.encode(), len(body)) + body) * 2
        )
        told = await asyncio.wait_for(reader.readuntil(b"[10.0]"), PATIENCE_S)
        assert told.startswith(b"HTTP/1.1 500")
        assert b"HTTP/1.1 200" in told
        assert b"on purpose" not in told
        writer.close()
        server.close()

    uvloop.run(run())


def test_a_file_that_comes_later_than_its_folder_is_in_the_index(start: Start, store: Store) -> None:
    """As a slow copy makes it."""
    store.add("1")
    store.point("1")
    (store.root / NAME / "2").mkdir()
    server = start("--model-store", str(store.root))
    server.wait_for_version("1")
    make_model(store.root / NAME / "2" / "model.onnx")
    server.wait_until(lambda: {row["version"] for row in server.ask("POST", "/v2/repository/index").json} == {"1", "2"})
