"""Doors for those who watch: metrics over TLS and health in clear text, without a token, and nothing else there."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from brakeline_serving.cells import Board
from brakeline_serving.scrape import Scrape
from brakeline_serving.store import Served

from tests.serving.certificates import make_certificate, name_of
from tests.serving.conftest import NAME, PATIENCE_S, Server, Store, make_model, tensor

Start = Callable[..., Server]
COMMAND = str(Path(sys.executable).with_name("brakeline-serving"))
TOKEN = {"Authorization": "Bearer a-token"}
HEALTH = ("/v2/health/live", "/v2/health/ready")


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """A guarded server with both doors."""
    (tmp_path / "token").write_text("a-token")
    words = ["--model", str(make_model(tmp_path / "m.onnx")), "--token-file", str(tmp_path / "token")]
    return [*words, "--metrics-port", "0", "--health-port", "0"]


def ask(address: str, path: str, trusted: Path | None = None, method: str = "GET") -> tuple[int, str]:
    """Status and body at one of the doors, on a connection of its own."""
    host, _, port = address.rpartition(":")
    context = ssl.create_default_context(cafile=str(trusted)) if trusted else None
    made = (
        http.client.HTTPSConnection(host, int(port), timeout=PATIENCE_S, context=context)
        if context
        else http.client.HTTPConnection(host, int(port), timeout=PATIENCE_S)
    )
    with contextlib.closing(made):
        made.request(method, path)
        response = made.getresponse()
        return response.status, response.read().decode()


def shown_at(address: str, trusted: Path) -> str:
    """The name in the certificate that a door shows."""
    host, _, port = address.rpartition(":")
    made = http.client.HTTPSConnection(
        host, int(port), timeout=PATIENCE_S, context=ssl.create_default_context(cafile=str(trusted))
    )
    with contextlib.closing(made):
        made.connect()
        assert isinstance(made.sock, ssl.SSLSocket)
        return name_of(made.sock)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_metrics_are_told_over_tls_without_the_token(
    start: Start, words: list[str], tmp_path: Path, workers: str
) -> None:
    """A scraper has no token of the server's: it gets metrics of all workers and health, and nothing else."""
    chain, key = make_certificate(tmp_path, "metrics")
    guarded = ["--metrics-tls-certificate", str(chain), "--metrics-tls-key", str(key), "--workers", workers]
    server = start(*words, *guarded)
    for _ in range(5):
        assert server.infer({"inputs": [tensor("speed_mps", 1.0)]}, headers=TOKEN).status == 200
    status, told = ask(server.metrics_address, "/metrics", chain)
    assert status == 200
    assert "brakeline_rows_total 5.0" in told
    assert f"brakeline_workers {float(workers)}" in told
    assert f'brakeline_model_info{{model="{NAME}",role="primary"' in told
    for path in HEALTH:
        assert ask(server.metrics_address, path, chain)[0] == 200
    for path in ("/", "/v2", f"/v2/models/{NAME}", f"/v2/models/{NAME}/infer", "/metrics/", "/v2/models/stats"):
        assert ask(server.metrics_address, path, chain)[0] == 404
    assert ask(server.metrics_address, "/metrics", chain, "POST")[0] == 405
    assert server.ask("GET", "/metrics").status == 401
    with pytest.raises((OSError, http.client.HTTPException)):
        ask(server.metrics_address, "/metrics")
    assert server.stop() == 0
    assert '"event": "bug"' not in server.log.read_text()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_door_of_the_metrics_opens_when_its_certificate_is_there(
    start: Start, words: list[str], tmp_path: Path, workers: str
) -> None:
    """A cluster signs it after the start: until then nobody is answered there, and all else works; then it is
    followed.
    """
    folder = tmp_path / "signed"
    folder.mkdir()
    files = [str(folder / "chain.pem"), str(folder / "key.pem")]
    words = [*words, "--metrics-tls-certificate", files[0], "--metrics-tls-key", files[1], "--workers", workers]
    server = start(*words)
    assert ask(server.health_address, HEALTH[1])[0] == 200
    with pytest.raises(OSError, match="refused"):
        ask(server.metrics_address, "/metrics", make_certificate(tmp_path, "another")[0])
    chain, _ = make_certificate(folder, "signed")

    server.wait_until(lambda: server.log.read_text().count('"metrics_opened"') == int(workers))
    assert ask(server.metrics_address, "/metrics", chain)[0] == 200
    assert shown_at(server.metrics_address, chain) == "signed"
    make_certificate(folder, "renewed")
    server.wait_until(lambda: server.log.read_text().count('"certificate_changed"') == int(workers))
    assert shown_at(server.metrics_address, folder / "chain.pem") == "renewed"
    assert '"metrics_awaited"' in server.log.read_text()


def test_a_certificate_that_comes_later_and_is_none_is_told_and_waited_for(
    start: Start, words: list[str], tmp_path: Path
) -> None:
    """It costs the metrics, never the server; the next one opens the door."""
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    server = start(*words, "--metrics-tls-certificate", str(chain), "--metrics-tls-key", str(key))
    for file in (key, chain):
        file.write_text("no certificate")
    server.wait_until(lambda: "no certificate with its key" in server.log.read_text())
    assert server.infer({"inputs": [tensor("speed_mps", 1.0)]}, headers=TOKEN).status == 200
    make_certificate(tmp_path, "good")
    server.wait_until(lambda: _answers(server.metrics_address, chain))


def _answers(address: str, trusted: Path) -> bool:
    with contextlib.suppress(OSError):
        return ask(address, "/metrics", trusted)[0] == 200
    return False


def test_health_is_told_in_clear_text_and_without_reasons(start: Start, store: Store) -> None:
    """Probes of a cluster come to this port. Who they are is not known, so they hear of no file."""
    server = start("--model-store", str(store.root), "--health-port", "0")
    status, told = ask(server.health_address, HEALTH[1])
    assert status == 503
    assert str(store.root) not in told
    assert str(store.root) in server.ask("GET", HEALTH[1]).json["error"]
    assert ask(server.health_address, HEALTH[0])[0] == 200
    for path in ("/metrics", "/v2", "/"):
        assert ask(server.health_address, path)[0] == 404
    store.add("1")
    store.point("1")
    server.wait_for_version("1")
    assert ask(server.health_address, HEALTH[1])[0] == 200


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--metrics-port", "0", "--metrics-tls-certificate", "c"], 2, "need each other"),
        (["--metrics-tls-certificate", "c", "--metrics-tls-key", "k"], 2, "is for --metrics-port"),
        (["--metrics-port", "0", "--monitor-host", "0.0.0.0"], 2, "--metrics-tls-certificate and -key, or --insecure"),
        (["--metrics-port", "0", "--metrics-tls-certificate", "{bad}", "--metrics-tls-key", "{bad}"], 65, "{bad}"),
    ],
)
def test_a_door_that_cannot_be_guarded_as_asked_is_refused(
    tmp_path: Path, words: list[str], code: int, says: str
) -> None:
    """Misuse ends with 2, and a certificate that is there and is none with 65."""
    bad = tmp_path / "bad.pem"
    bad.write_text("nothing")
    words = [COMMAND, "--model-store", str(tmp_path), "--port", "0", *(word.format(bad=bad) for word in words)]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == code
    assert says.format(bad=bad) in ended.stderr


def test_a_taken_port_of_a_door_ends_it_and_leaves_no_socket(tmp_path: Path, start: Start, store: Store) -> None:
    """69, as for the server's own port; and the path of its other socket is taken away again."""
    first = start("--model-store", str(store.root), "--health-port", "0")
    port, path = first.health_address.rpartition(":")[2], tmp_path / "s"
    words = ["--port", "0", "--unix-socket", str(path), "--health-port", port]
    ended = subprocess.run(
        [COMMAND, "--model-store", str(tmp_path), *words], capture_output=True, text=True, timeout=30, check=False
    )
    assert ended.returncode == 69
    assert port in ended.stderr
    assert not path.exists()


def test_requests_are_answered_between_the_parts_of_the_metrics() -> None:
    """All of them take milliseconds; whoever asks meanwhile waits for one family at most."""

    async def between() -> tuple[int, int]:
        scrape = Scrape("m", Board(), Served, lambda: None)
        families = sum(1 for _ in scrape.prepare().parts())
        done, turns = asyncio.Event(), 0
        scrape.tell(lambda *_: done.set())
        while not done.is_set():
            turns += 1
            await asyncio.sleep(0)
        return families, turns

    families, turns = asyncio.run(between())
    assert turns >= families > 20
