from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.serving.conftest import NAME, Sabotage, Server, Store, make_model, tensor

Start = Callable[..., Server]
COMMAND = str(Path(sys.executable).with_name("brakeline-serving"))


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([COMMAND, *arguments], capture_output=True, text=True, timeout=30, check=False)


def test_one_file_is_served_as_version_1(start: Start, tmp_path: Path) -> None:
    """With --model there is no store, and the file is version 1."""
    server = start("--model", str(make_model(tmp_path / "any.onnx")), "--model-name", "mine")
    assert server.ask("GET", "/v2/models/mine/versions/1/ready").status == 200


def test_stdout_is_one_json_line_and_stderr_json_lines(start: Start, store: Store, tmp_path: Path) -> None:
    """Machines read both; the ready file has the same URL."""
    ready = tmp_path / "ready"
    ready.write_text("of an earlier life")
    store.add("1", sabotage=Sabotage(without=("brakeline.golden",)))
    store.point("1")
    server = start("--model-store", str(store.root), "--ready-file", str(ready))
    assert json.loads(server.announced) == {"status": "listening", "url": server.url}
    server.wait_until(lambda: ready.read_text() == server.url if ready.exists() else False)
    server.wait_until(lambda: "golden" in server.ask("GET", "/v2/health/ready").json["error"])
    assert server.process.stdout is not None
    server.process.send_signal(signal.SIGTERM)
    assert server.process.stdout.read() == ""
    assert server.stop() == 0
    events = [json.loads(line)["event"] for line in server.log.read_text().splitlines()]
    assert events == ["model_refused", "listening", "stopping", "stopped"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_after_what_is_under_way(start: Start, store: Store, number: signal.Signals) -> None:
    """A request begun before the signal is answered, new ones are not taken, the exit code is 0."""
    store.add("1")
    store.point("1")
    server = start("--model-store", str(store.root))
    server.wait_for_version("1")
    body = json.dumps({"inputs": [tensor("speed_mps", 7.0)]}).encode()
    head = b"POST /v2/models/%b/infer HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (NAME.encode(), len(body))
    with server.raw() as begun, server.raw() as idle:
        begun.sendall(head + body[:10])
        server.wait_until(lambda: server.ask("GET", "/v2/health/live").status == 200)
        signalled = time.monotonic()
        server.process.send_signal(number)
        assert idle.recv(1) == b""
        with pytest.raises(OSError, match="refused"):
            server.raw()
        begun.sendall(body[10:])
        reply = b""
        while data := begun.recv(65536):
            reply += data
    assert server.stop(number) == 0
    assert time.monotonic() - signalled < 5
    assert reply.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"Connection: close\r\n" in reply
    assert json.loads(reply.partition(b"\r\n\r\n")[2])["outputs"][0]["data"] == [14.0]


def test_a_client_that_never_finishes_does_not_keep_it(start: Start, store: Store) -> None:
    """SIGTERM ends the server within 5 s, whatever a client does."""
    server = start("--model-store", str(store.root))
    with server.raw() as stuck:
        stuck.sendall(b"POST /v2 HTTP/1.1\r\nContent-Length: 10\r\n\r\n")
        server.wait_until(lambda: server.ask("GET", "/v2/health/live").status == 200)
        signalled = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - signalled < 5


def test_sigterm_under_load_fails_no_request_of_a_kept_connection(start: Start, store: Store) -> None:
    """A busy client is told `Connection: close` with an answer instead of being cut off."""
    store.add("1")
    store.point("1")
    server = start("--model-store", str(store.root))
    server.wait_for_version("1")
    failures: list[str] = []
    running = threading.Barrier(4)

    def ask() -> None:
        with server.raw() as connection:
            running.wait()
            while True:
                connection.sendall(b"GET /v2/health/ready HTTP/1.1\r\nHost: x\r\n\r\n")
                reply = connection.recv(65536)
                if not reply.startswith(b"HTTP/1.1 200"):
                    failures.append(repr(reply))
                    return
                if b"Connection: close" in reply:
                    return

    clients = [threading.Thread(target=ask) for _ in range(3)]
    for client in clients:
        client.start()
    running.wait()
    time.sleep(0.1)
    assert server.stop() == 0
    for client in clients:
        client.join()
    assert failures == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--host", "0.0.0.0"), "--insecure"),
        (("--host", "::"), "--insecure"),
        (("--host", "example.org"), "--insecure"),
        (("--model", "m.onnx"), "one of --model-store and --model"),
        (("--port", "70000"), "65535"),
        (("--model-name", "../x"), "../x"),
    ],
)
def test_a_command_that_cannot_be_obeyed_ends_with_2(tmp_path: Path, arguments: tuple[str, ...], says: str) -> None:
    """An open address without a word for it, and other misuse, is refused in so many words."""
    ended = _run("--model-store", str(tmp_path), *arguments)
    assert ended.returncode == 2
    assert says in ended.stderr
    assert ended.stdout == ""


def test_an_open_address_is_allowed_when_asked_for(start: Start, store: Store) -> None:
    """--insecure is the word for it."""
    server = start("--model-store", str(store.root), "--host", "0.0.0.0", "--insecure")
    assert server.ask("GET", "/v2/health/live").status == 200


def test_a_bad_file_and_a_taken_port_end_it_with_their_own_codes(tmp_path: Path) -> None:
    """65 for a model refused, 69 for an address that cannot be had; one JSON line, no traceback."""
    bad = _run("--model", str(tmp_path / "none.onnx"))
    assert bad.returncode == 65
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = _run("--model-store", str(tmp_path), "--port", port)
    assert ended.returncode == 69
    for failed in (bad, ended):
        assert [json.loads(line)["event"] for line in failed.stderr.splitlines()] == ["not_serving"]


@pytest.mark.parametrize("more", [("--workers", "2"), ("--grpc-port", "0")])
def test_two_servers_do_not_share_a_port(start: Start, store: Store, more: tuple[str, str]) -> None:
    """Workers share theirs; another server must not get some of their clients."""
    server = start("--model-store", str(store.root), *more)
    port = ("--port", str(server.port), "--workers", "2")
    if server.grpc_address:
        port = ("--port", "0", "--grpc-port", server.grpc_address.rpartition(":")[2])
    ended = _run("--model-store", str(store.root), *port)
    assert ended.returncode == 69
    assert "in use" in ended.stderr


def test_a_path_taken_over_by_the_next_server_stays(start: Start, store: Store, tmp_path: Path) -> None:
    """The one that ends late, as a client keeps it, does not take its successor's socket away."""
    path = tmp_path / "s"
    words = ("--model-store", str(store.root), "--unix-socket", str(path))
    first = start(*words)
    with first.raw() as kept:
        kept.sendall(b"POST /v2 HTTP/1.1\r\nContent-Length: 10\r\n\r\n")
        first.wait_until(lambda: first.ask("GET", "/v2/health/live").status == 200)
        first.process.send_signal(signal.SIGTERM)
        first.wait_until(lambda: '"event": "stopping"' in first.log.read_text())
        time.sleep(0.1)
        second = start(*words)
    assert first.stop() == 0
    assert path.exists()
    assert second.stop() == 0
    assert not path.exists()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_folder_that_cannot_keep_predictions_ends_it(tmp_path: Path, workers: str) -> None:
    """69 and one JSON line for each worker, no traceback, and no worker started over and over."""
    (tmp_path / "file").touch()
    words = ("--workers", workers, "--prediction-log", str(tmp_path / "file"))
    ended = _run("--model-store", str(tmp_path), "--port", "0", *words)
    assert ended.returncode == 69
    assert {json.loads(line)["event"] for line in ended.stderr.splitlines()} == {"not_serving"}


def test_version_is_printed() -> None:
    """--version names the program and its version."""
    assert _run("--version").stdout.startswith("brakeline-serving 0.")


def test_it_ends_with_the_process_that_holds_its_stdin(tmp_path: Path) -> None:
    """A starter that is killed leaves no server behind; without the option stdin does not matter."""
    words = [COMMAND, "--model-store", str(tmp_path), "--port", "0", "--until-stdin-closes"]
    child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert child.stdin is not None
    assert child.stdout is not None
    assert b"listening" in child.stdout.readline()
    time.sleep(0.2)
    assert child.poll() is None
    child.stdin.close()
    assert child.wait(10) == 0
    child.stdout.close()
