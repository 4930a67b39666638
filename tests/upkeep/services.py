"""Services of a cluster on one loopback port: pipelines API, Kubernetes' access reviews, model registry.

They answer what the real ones answer to doctor's questions, know one token, and fail as they are told.
"""

import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

TOKEN = "sha256~the-token-of-the-tests"
_ALLOWED = {
    ("datasciencepipelinesapplications", "api", verb) for verb in ("get", "create", "update", "patch", "delete")
} | {("inferenceservices", "", verb) for verb in ("create", "get", "patch", "delete")}
# Roles give rights by name: a review that names nothing is denied.
_NAMES = {
    "datasciencepipelinesapplications": "dspa", "inferenceservices": "stopping-distance", "routes": "ds-pipeline-dspa",
}  # fmt: skip


@dataclass
class Services:
    """Where they are, what the account may, and how they fail.

    `fault` by a part of the path: a status, `login` (a redirection), `page` (HTML with 200), `slow`, or `reset`.
    """

    url: str = ""
    allowed: set[tuple[str, str, str]] = field(default_factory=lambda: set(_ALLOWED))
    faults: dict[str, int | str] = field(default_factory=dict)
    reviews: list[dict[str, Any]] = field(default_factory=list)
    skew_s: float = 0.0
    # Versions of DataScienceCluster: 2.x serves v1, 3.x both.
    product: tuple[str, ...] = ("v2", "v1")


@contextmanager
def serving(certificate: Path | None = None) -> Iterator[Services]:
    """The services for the time of a block; with a file of certificate and key they speak TLS."""
    services = Services()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"services": services}))
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    services.url = f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield services
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    services: Services

    def do_GET(self) -> None:
        self.carry_out({})

    def do_POST(self) -> None:
        self.carry_out(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def carry_out(self, body: dict[str, Any]) -> None:
        fault = next((fault for part, fault in self.services.faults.items() if part in self.path), None)
        if fault == "slow":
            time.sleep(1.5)
        elif fault == "reset":
            self.close_connection = True
            return
        elif fault == "login":
            self.answer(302, b"", {"Location": "https://oauth.test.invalid/authorize"})
            return
        elif fault == "page":
            self.answer(200, b"<html>log in</html>", {"Content-Type": "text/html"})
            return
        elif isinstance(fault, int):
            self.say(fault, {"error": f"a secret of the service, {TOKEN}"})
            return
        if self.headers.get("Authorization") != f"Bearer {TOKEN}" and self.path != "/":
            self.say(401, {"error": "who are you?"})
        else:
            self.say(*self.told(body))

    def told(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        path = self.path.partition("?")[0]
        if path == "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews":
            wanted = body["spec"]["resourceAttributes"]
            self.services.reviews.append(wanted)
            asked = (wanted["resource"], wanted.get("subresource", ""), wanted["verb"])
            is_named = wanted.get("name") == _NAMES[wanted["resource"]]
            return 201, body | {"status": {"allowed": is_named and asked in self.services.allowed}}
        known: dict[str, dict[str, Any]] = {
            "/apis/v2beta1/healthz": {"multi_user": True, "tag_name": "2.16.1"},
            "/apis/v2beta1/pipelines": {"total_size": 2, "pipelines": []},
            "/api/model_registry/v1alpha3/registered_models": {"items": [], "size": 0, "pageSize": 1},
            "/apis/datasciencecluster.opendatahub.io": {
                "versions": [{"version": one} for one in self.services.product]
            },
        }
        return (200, known[path]) if path in known else (404, {"message": "not found"})

    def say(self, status: int, content: dict[str, Any]) -> None:
        self.answer(status, json.dumps(content).encode(), {"Content-Type": "application/json"})

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response_only(status)
        self.send_header("Date", formatdate(time.time() + self.services.skew_s, usegmt=True))
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep stderr for failures."""
