"""The pods' part of a Kubernetes API on a loopback port: lists by label selector, reads one container's log."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Pods:
    """Pods of a namespace with their logs; `denied` answers 403, a pod of `silent` has lost its log."""

    url: str = ""
    namespace: str = "distance-prediction"
    token: str = "sha256~pods"
    pods: list[dict[str, Any]] = field(default_factory=list)
    logs: dict[str, str] = field(default_factory=dict)
    denied: bool = False
    requests: list[str] = field(default_factory=list)

    def add(self, name: str, text: str | None, labels: dict[str, str], node: str = "") -> None:
        """A pod, and what its step said; None where the log is gone."""
        metadata = {"name": name, "namespace": self.namespace, "labels": labels,
                    "annotations": {"workflows.argoproj.io/node-name": node}}  # fmt: skip
        self.pods.append({"metadata": {**metadata, "creationTimestamp": f"2026-11-24T00:00:{len(self.pods):02}Z"}})
        if text is not None:
            self.logs[name] = text

    def answer(self, target: str) -> tuple[int, str]:
        """Status and body."""
        parts, base = urlsplit(target), f"/api/v1/namespaces/{self.namespace}/pods"
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if self.denied:
            return 403, json.dumps({"kind": "Status", "message": "pods is forbidden", "code": 403})
        if parts.path == base:
            wanted = dict(pair.split("=", 1) for pair in query.get("labelSelector", "").split(",") if pair)
            found = [pod for pod in self.pods if wanted.items() <= pod["metadata"]["labels"].items()]
            return 200, json.dumps({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": found})
        name = parts.path.removeprefix(f"{base}/").removesuffix("/log")
        if name in self.logs and parts.path.endswith("/log") and query.get("container") == "main":
            return 200, self.logs[name]
        return 404, json.dumps({"kind": "Status", "message": f"no log of {name}", "code": 404})


@contextmanager
def serving(folder: Path) -> Iterator[Pods]:
    """The API for the time of a block, and a kubeconfig for it in a folder."""
    pods = Pods()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            pods.requests.append(self.path)
            known = self.headers.get("Authorization") == f"Bearer {pods.token}"
            status, body = pods.answer(self.path) if known else (401, json.dumps({"message": "Unauthorized"}))
            self.send_response(status)
            self.send_header(
                "Content-Type", "text/plain" if self.path.split("?")[0].endswith("/log") else "application/json"
            )
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            """Keep stderr for failures."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    pods.url = f"http://127.0.0.1:{server.server_port}"
    (folder / "kubeconfig").write_text(json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": pods.url}}],
        "users": [{"name": "u", "user": {"token": pods.token}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": pods.namespace}}],
    }))  # fmt: skip
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield pods
    finally:
        server.shutdown()
        server.server_close()
