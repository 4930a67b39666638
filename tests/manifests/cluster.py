"""A real Kubernetes API server of the tests: etcd and kube-apiserver on the loopback, with a release's published CRDs.

The server is built once from the Go modules that `apiserver/go.sum` pins, and kept in the user's cache. No controller
runs, no webhook, nothing of OpenShift: what those would do, a test does in their place or leaves unproven.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.conftest import BIN, HOUSE, Done, locked
from tests.crds import ALL_RELEASES, CRDS
from tests.serving.certificates import make_certificate

SOURCES = HOUSE / "tests" / "manifests" / "apiserver"
VERSION = "v1.34.4"
ADMIN = "the-tests-own-token"
APPLY = "application/apply-patch+yaml"
_BUILD_S, _START_S = 1_800, 120.0
_ETCD = ("etcd", "etcd-server (Debian)")


@dataclass(frozen=True)
class Cluster:
    """The API server, and an administrator's way to it."""

    url: str
    authority: Path
    folder: Path
    client: httpx.Client

    def kubectl(self, *words: object, content: str | None = None) -> Done:
        """kubectl as the administrator."""
        done = subprocess.run(
            [str(BIN / "kubectl"), "--kubeconfig", str(self.kubeconfig()), *map(str, words)],
            input=content, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        return Done(done.returncode, done.stdout, done.stderr)

    def kubeconfig(self, token: str = ADMIN, namespace: str = "default") -> Path:
        """A kubeconfig for whoever has the token."""
        about = {"server": self.url, "certificate-authority": str(self.authority)}
        content = {
            "apiVersion": "v1", "kind": "Config", "current-context": "c", "clusters": [{"name": "c", "cluster": about}],
            "users": [{"name": "u", "user": {"token": token}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": namespace}}],
        }  # fmt: skip
        file = self.folder / f"kubeconfig-{hashlib.sha256(f'{token} {namespace}'.encode()).hexdigest()[:12]}"
        file.write_text(yaml.safe_dump(content))
        return file

    def ask(
        self,
        method: str,
        path: str,
        content: Any = None,
        *,
        token: str = ADMIN,
        kind: str = "application/json",
        **query: str,
    ) -> httpx.Response:
        """One request."""
        headers = {"Authorization": f"Bearer {token}", "Content-Type": kind}
        body = None if content is None else json.dumps(content)
        return self.client.request(method, f"{self.url}{path}", params=query, headers=headers, content=body)

    def made(self, method: str, path: str, content: Any = None, **more: str) -> dict[str, Any]:
        """The answer to a request that has to succeed."""
        answer = self.ask(method, path, content, **more)
        assert answer.is_success, f"{method} {path}: {answer.text}"
        return dict(answer.json())

    def as_somebody(self, user: str, groups: list[str], path: str, content: Any) -> dict[str, Any]:
        """The answer to a POST that the administrator makes in another's name."""
        headers = [("Authorization", f"Bearer {ADMIN}"), ("Impersonate-User", user)]
        headers += [("Impersonate-Group", group) for group in groups]
        answer = self.client.post(f"{self.url}{path}", headers=headers, json=content)
        assert answer.is_success, answer.text
        return dict(answer.json())

    def token_of(self, namespace: str, account: str) -> str:
        """A token of a ServiceAccount, as a pod of it gets one."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": []}}
        return str(self.made("POST", path, request)["status"]["token"])


def server() -> Path:
    """The built kube-apiserver. Without what it takes to build and run one the test is skipped."""
    if shutil.which(_ETCD[0]) is None:
        pytest.skip(f"no etcd: a real API server keeps its objects there; install {_ETCD[1]}")
    digest = hashlib.sha256(VERSION.encode())
    for name in ("go.mod", "go.sum", "main.go"):
        digest.update((SOURCES / name).read_bytes())
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "brakeline"
    built = cache / f"kube-apiserver-{digest.hexdigest()[:16]}"
    cache.mkdir(parents=True, exist_ok=True)
    with locked(cache / "kube-apiserver.lock"):
        if not built.exists():
            _build(built)
    return built


def _build(built: Path) -> None:
    go = shutil.which("go")
    (wanted,) = re.findall(r"^go (\d+)\.(\d+)", (SOURCES / "go.mod").read_text(), re.MULTILINE)
    # Another toolchain would be downloaded otherwise, by whoever runs the tests.
    environment = {**os.environ, "GOTOOLCHAIN": "local", "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly"}
    told = _run([go or "go", "version"], environment) if go else ""
    found = re.search(r"go(\d+)\.(\d+)", told)
    if found is None or tuple(map(int, found.groups())) < tuple(map(int, wanted)):
        least = ".".join(wanted)
        pytest.skip(f"no Go {least} or newer, found {told.strip() or 'none'}: a real API server is built by it")
    try:
        _run([str(go), "mod", "download"], environment)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no Go modules: {error.stderr.strip().splitlines()[-1]}")
    major, minor, _ = VERSION.removeprefix("v").split(".")
    about = {"gitVersion": VERSION, "gitMajor": major, "gitMinor": minor}
    flags = " ".join(["-s -w", *(f"-X k8s.io/component-base/version.{key}={value}" for key, value in about.items())])
    partial = built.with_suffix(".partial")
    _run([str(go), "build", "-trimpath", "-ldflags", flags, "-o", str(partial), "."], environment)
    partial.replace(built)


def _run(words: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(
        words, cwd=SOURCES, env=environment, capture_output=True, text=True, timeout=_BUILD_S, check=True
    )
    return done.stdout


@contextmanager
def running(folder: Path, release: str) -> Iterator[Cluster]:
    """An API server with a release's CRDs for the time of a block. What it says is in `folder`."""
    program = server()
    if not (CRDS / release).is_dir():
        pytest.skip(f"the published CRDs are not there: {CRDS / release}")
    chain, key = make_certificate(folder, "api")
    public, tokens = folder / "public.pem", folder / "tokens.csv"
    subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-out", public], check=True)
    tokens.write_text(f'{ADMIN},admin,admin,"system:masters"\n')
    store, peers, port = (_free_port() for _ in range(3))
    with ExitStack() as stack:
        context = ssl.create_default_context(cafile=chain)
        client = stack.enter_context(httpx.Client(verify=context, timeout=30, trust_env=False))
        cluster = Cluster(f"https://127.0.0.1:{port}", chain, folder, client)
        stack.enter_context(
            _process(folder / "etcd.log", "etcd", "--data-dir", folder / "etcd", "--unsafe-no-fsync",
                     "--listen-client-urls", f"http://127.0.0.1:{store}",
                     "--advertise-client-urls", f"http://127.0.0.1:{store}",
                     "--listen-peer-urls", f"http://127.0.0.1:{peers}")
        )  # fmt: skip
        process = stack.enter_context(
            _process(folder / "apiserver.log", program, "--etcd-servers", f"http://127.0.0.1:{store}",
                     "--bind-address", "127.0.0.1", "--secure-port", port, "--endpoint-reconciler-type", "none",
                     "--tls-cert-file", chain, "--tls-private-key-file", key, "--cert-dir", folder,
                     "--token-auth-file", tokens, "--authorization-mode", "RBAC", "--allow-privileged",
                     "--service-account-issuer", "https://kubernetes.default.svc",
                     "--service-account-key-file", public, "--service-account-signing-key-file", key,
                     "--service-cluster-ip-range", "10.0.0.0/24")
        )  # fmt: skip
        _wait(cluster, process)
        done = cluster.kubectl("apply", "--server-side", "-f", CRDS / ALL_RELEASES, "-f", CRDS / release)
        assert done.code == 0, done.stderr
        done = cluster.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
        assert done.code == 0, done.stderr
        yield cluster


@contextmanager
def _process(log: Path, *words: object) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as said:
        child = subprocess.Popen(list(map(str, words)), stdout=said, stderr=said)
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _wait(cluster: Cluster, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_S
    while True:
        try:
            if cluster.ask("GET", "/readyz").is_success:
                return
        except httpx.TransportError:
            pass
        said = cluster.folder / "apiserver.log"
        assert process.poll() is None, said.read_text()[-2000:]
        assert time.monotonic() < deadline, said.read_text()[-2000:]
        time.sleep(0.1)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
