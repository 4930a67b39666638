"""A proxy of the environment is asked by every client, and passed by for what `NO_PROXY` names in any of its forms."""

import asyncio
import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from brakeline import kfp_client, recordings, step_logs
from brakeline.access import access
from brakeline.doctor import answers, cluster
from brakeline.doctor.examination import Ask
from brakeline_deploy import kube
from brakeline_deploy.endpoint import Endpoint
from brakeline_register import connection

INSIDE, ADDRESS = "https://dspa.example.test", "https://127.0.0.2:9"


@dataclass
class Proxy:
    """Where it is, and the first line of each request."""

    url: str = ""
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """A proxy that writes down what it is asked for and refuses it."""
    made = Proxy()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def carry_out() -> None:
            with contextlib.suppress(OSError):
                while True:
                    taken, _ = server.accept()
                    with taken, contextlib.suppress(OSError):
                        made.asked.append(taken.recv(65536).decode("latin-1").partition("\r\n")[0])
                        taken.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

        threading.Thread(target=carry_out, daemon=True).start()
        made.url = f"http://127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setenv("HTTPS_PROXY", made.url)
        yield made
        server.shutdown(socket.SHUT_RDWR)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Tokens and keys that are none, and no second tries."""
    (tmp_path / "token").write_text("a-token\n")
    for name in ("BRAKELINE_KFP_TOKEN_FILE", "BRAKELINE_REGISTRY_TOKEN_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "token"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.setenv(name, "a")
    monkeypatch.setattr(kfp_client, "PAUSES_S", ())
    monkeypatch.setattr(recordings, "_RETRIES", 0)
    for module in (kube, connection):
        monkeypatch.setattr(module, "_TRIES", 1)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))


def named(url: str, folder: Path) -> None:
    content = {
        "apiVersion": "v1", "kind": "Config", "current-context": "x",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {"token": "a-token"}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", "namespace": "n"}}],
    }  # fmt: skip
    (folder / "kubeconfig").write_text(json.dumps(content))


def pipelines(url: str) -> None:
    with kfp_client.told("pipelines"):
        kfp_client.connect(access(url)).list_pipelines()


def registry(url: str) -> None:
    async def ask() -> None:
        async with connection.Client(connection.settle(url)) as client:
            await client.ask("find_registered_model", name="x")

    asyncio.run(ask())


def bucket(url: str) -> None:
    import obstore

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", url)
        obstore.head(recordings.store("bucket"), "key")


# What asks, and whether it reads a network in NO_PROXY.
CLIENTS: dict[str, tuple[Callable[[str], object], bool]] = {
    "pipelines": (pipelines, True),
    "rights": (lambda _: cluster.deploy_rights(Ask(Path(), timeout_s=2)), True),
    "pods' logs": (lambda _: step_logs._pods_api("")[0].list_namespaced_pod("n", _request_timeout=2), True),
    "InferenceService": (lambda _: kube.connect("n").get("x"), True),
    "bucket": (bucket, True),
    "doctor": (lambda url: answers.get(f"{url}/", "", ssl.create_default_context(), 2, "it"), False),
    "endpoint": (lambda url: Endpoint(url, "m").get("/v2/health/live"), False),
    "registry": (registry, False),
}


@pytest.mark.parametrize("client", CLIENTS)
def test_every_client_asks_the_proxy_and_knows_what_is_inside(
    client: str, proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """docs/openshift/disconnected.md has the table: `HTTPS_PROXY`, then each form of `NO_PROXY`."""
    ask, reads_networks = CLIENTS[client]
    for url, no_proxy, is_asked in (
        (INSIDE, "", True),
        (INSIDE, ".other.test", True),
        (INSIDE, ".example.test", False),
        (INSIDE, "dspa.example.test", False),
        (ADDRESS, "", True),
        (ADDRESS, "127.0.0.2", False),
        (ADDRESS, "127.0.0.0/8", not reads_networks),
        (ADDRESS, "10.0.0.0/8,.test", True),
    ):
        monkeypatch.setenv("NO_PROXY", no_proxy)
        named(url, tmp_path)
        proxy.asked.clear()
        with contextlib.suppress(Exception):
            ask(url)
        assert bool(proxy.asked) == is_asked, f"{url}, NO_PROXY={no_proxy}: {proxy.asked}"
        assert all(line.startswith("CONNECT ") for line in proxy.asked)
