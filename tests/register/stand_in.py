"""A Model Registry on a loopback port that answers by the published description, and fails as it is told to.

It holds every request and every answer of its own to the description. Beyond it, it knows what a real one does: names
are unique in their parent, nothing can be removed, a PATCH replaces the map of custom properties, a state that a
PATCH leaves out stays.
"""

import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.register.description import Breach, Description, Operation, described

TOKEN = "a-test-token"
_NOW = 1_790_000_000_000


@dataclass
class Fault:
    """How the next `times` calls of an operation go wrong, or of any where none is named.

    `status` is answered in the API's form; `how` is slow, reset (the answer breaks off in its middle), lost (done, and
    nobody hears of it), page (something else answers, with 200) or text (the status without the API's form).
    """

    how: str = ""
    status: int = 0
    operation: str = ""
    times: int = 1
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class StandIn:
    """What it holds, what it was asked (operation and status), how it is to fail, and what broke the description."""

    description: Description
    url: str = ""
    models: list[dict[str, Any]] = field(default_factory=list)
    versions: list[dict[str, Any]] = field(default_factory=list)
    artifacts: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    asked: list[tuple[str, int]] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    breaches: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    slow_s: float = 1.0
    lock: threading.RLock = field(default_factory=threading.RLock)
    ids: Iterator[int] = field(default_factory=lambda: count(1))

    def fault(self, operation: str) -> Fault | None:
        """The fault that an operation is to meet now."""
        with self.lock:
            for fault in self.faults:
                if fault.times > 0 and fault.operation in ("", operation):
                    fault.times -= 1
                    return fault
        return None

    def answer(self, operation: Operation, query: dict[str, str], body: Any) -> tuple[int, Any]:
        """Carry out an operation; returns status and body."""
        with self.lock:
            return getattr(self, operation.name)(operation.within, query, body)  # type: ignore[no-any-return]

    def findRegisteredModel(self, _: Any, query: dict[str, str], __: Any) -> tuple[int, Any]:  # noqa: N802
        return _one(model for model in self.models if _is_asked(model, query))

    def getRegisteredModel(self, within: dict[str, str], _: Any, __: Any) -> tuple[int, Any]:  # noqa: N802
        return _one(model for model in self.models if model["id"] == within["registeredmodelId"])

    def getRegisteredModels(self, _: Any, query: dict[str, str], __: Any) -> tuple[int, Any]:  # noqa: N802
        return _page(self.models, query)

    def createRegisteredModel(self, _: Any, __: Any, body: Any) -> tuple[int, Any]:  # noqa: N802
        if any(model["name"] == body["name"] for model in self.models):
            return _error(409, f"registered model {body['name']} already exists")
        return 201, self._made(self.models, {"state": "LIVE", **body})

    def findModelVersion(self, _: Any, query: dict[str, str], __: Any) -> tuple[int, Any]:  # noqa: N802
        parent = query.get("parentResourceId")
        return _one(
            one for one in self.versions if _is_asked(one, query) and parent in (None, one["registeredModelId"])
        )

    def getModelVersion(self, within: dict[str, str], _: Any, __: Any) -> tuple[int, Any]:  # noqa: N802
        return _one(one for one in self.versions if one["id"] == within["modelversionId"])

    def getModelVersions(self, _: Any, query: dict[str, str], __: Any) -> tuple[int, Any]:  # noqa: N802
        return _page(self.versions, query)

    def getRegisteredModelVersions(self, within: dict[str, str], query: dict[str, str], _: Any) -> tuple[int, Any]:  # noqa: N802
        parent = within["registeredmodelId"]
        return _page([one for one in self.versions if one["registeredModelId"] == parent], query)

    def createModelVersion(self, _: Any, __: Any, body: Any) -> tuple[int, Any]:  # noqa: N802
        parent = body["registeredModelId"]
        if not any(model["id"] == parent for model in self.models):
            return _error(400, f"no registered model {parent}")
        if any((one["registeredModelId"], one["name"]) == (parent, body["name"]) for one in self.versions):
            return _error(409, f"model version {body['name']} already exists")
        return 201, self._made(self.versions, {"state": "LIVE", **body})

    def updateModelVersion(self, within: dict[str, str], _: Any, body: Any) -> tuple[int, Any]:  # noqa: N802
        status, found = self.getModelVersion(within, _, body)
        if status == 200:
            found.update(body, lastUpdateTimeSinceEpoch=str(_NOW + next(self.ids)))
        return status, found

    def findArtifact(self, _: Any, query: dict[str, str], __: Any) -> tuple[int, Any]:  # noqa: N802
        parent = query.get("parentResourceId")
        return _one(one for of, one in self.artifacts if _is_asked(one, query) and parent in (None, of))

    findModelArtifact = findArtifact  # noqa: N815

    def getModelVersionArtifacts(self, within: dict[str, str], query: dict[str, str], _: Any) -> tuple[int, Any]:  # noqa: N802
        status, found = self.getModelVersion(within, query, _)
        if status != 200:
            return status, found
        return _page([one for of, one in self.artifacts if of == within["modelversionId"]], query)

    def upsertModelVersionArtifact(self, within: dict[str, str], _: Any, body: Any) -> tuple[int, Any]:  # noqa: N802
        status, found = self.getModelVersion(within, _, body)
        if status != 200:
            return status, found
        parent = within["modelversionId"]
        about = (parent, body["artifactType"], body["name"])
        if any((of, one["artifactType"], one["name"]) == about for of, one in self.artifacts):
            return _error(409, f"artifact {body['name']} already exists")
        made = self._made([], {"state": "UNKNOWN", **body})
        self.artifacts.append((parent, made))
        return 201, made

    def _made(self, shelf: list[dict[str, Any]], body: dict[str, Any]) -> dict[str, Any]:
        number = next(self.ids)
        told = {"id": str(number), "createTimeSinceEpoch": str(_NOW + number)}
        made = {"customProperties": {}, **body, **told, "lastUpdateTimeSinceEpoch": str(_NOW + number)}
        shelf.append(made)
        return made


def _one(found: Iterator[dict[str, Any]]) -> tuple[int, Any]:
    first = next(found, None)
    return (200, first) if first is not None else _error(404, "no such thing found")


def _is_asked(one: dict[str, Any], query: dict[str, str]) -> bool:
    return all(query.get(key) in (None, one.get(key)) for key in ("name", "externalId"))


def _page(items: list[dict[str, Any]], query: dict[str, str]) -> tuple[int, Any]:
    """A page of a listing; the token is the last id, as the service's are by what they order by."""
    newest_first = query.get("sortOrder") == "DESC"
    ordered = sorted(items, key=lambda one: int(one["id"]), reverse=newest_first)
    if token := query.get("nextPageToken"):
        ordered = [one for one in ordered if (int(one["id"]) < int(token)) is newest_first and one["id"] != token]
    size = int(query.get("pageSize", "100"))
    page = ordered[:size]
    following = page[-1]["id"] if len(ordered) > size else ""
    return 200, {"items": page, "nextPageToken": following, "pageSize": size, "size": len(page)}


def _error(status: int, message: str) -> tuple[int, Any]:
    return status, {"code": str(status), "message": message}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body in one packet: in two, the second waits 40 ms for the first one's acknowledgement.
    wbufsize = 1 << 16
    held: StandIn

    def do_GET(self) -> None:
        self._answer()

    do_POST = do_PATCH = do_DELETE = do_PUT = do_GET  # noqa: N815

    def _answer(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        operation = self.held.description.operation(self.command, parts.path)
        if operation is None:
            self.held.asked.append((f"{self.command} {parts.path}", 404))
            self._send(404, b"404 page not found\n", "text/plain")
            return
        fault = self.held.fault(operation.name)
        status, body = self._carried_out(operation, dict(parse_qsl(parts.query)), sent, fault)
        self.held.asked.append((operation.name, status))
        try:
            self.held.description.check_answer(operation, status, body)
        except Breach as breach:
            # The description forgets that a wrong query is answered with 400.
            if not fault and status != 400:
                self.held.breaches.append(f"answer: {breach}")
        self._go_wrong(status, json.dumps(body).encode(), fault)

    def _carried_out(
        self, operation: Operation, query: dict[str, str], sent: bytes, fault: Fault | None
    ) -> tuple[int, Any]:
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return _error(401, "Unauthorized")
        if fault and fault.status:
            # A careless service repeats what it was sent; nobody may pass that on.
            return _error(fault.status, f"told to answer {fault.status} to {self.headers['Authorization']}")
        try:
            self.held.description.check_query(operation, query)
            body = json.loads(sent) if operation.body else {}
            if operation.body:
                self.held.description.check_body(operation, body)
                self.held.bodies.append(dict(body))
        except (Breach, ValueError) as breach:
            self.held.breaches.append(f"{operation.name}: {breach}")
            return _error(400, str(breach))
        return self.held.answer(operation, query, body)

    def _go_wrong(self, status: int, body: bytes, fault: Fault | None) -> None:
        how = fault.how if fault else ""
        if how == "slow":
            time.sleep(self.held.slow_s)
        elif how == "lost":
            self._reset()
            return
        elif how == "page":
            self._send(200, b"<html>Log in</html>", "text/html")
            return
        elif how == "text":
            self._send(status, b"no healthy upstream", "text/plain")
            return
        self._send(status, body, headers=fault.headers if fault else {}, whole=how != "reset")

    def _send(
        self,
        status: int,
        body: bytes,
        kind: str = "application/json",
        headers: dict[str, str] | None = None,
        whole: bool = True,
    ) -> None:
        try:
            self.send_response(status)
            told = {"Content-Type": kind, "Content-Length": str(len(body)), **(headers or {})}
            for name, value in told.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body if whole else body[: len(body) // 2])
            self.wfile.flush()
        except OSError:
            self.close_connection = True
        if not whole:
            self._reset()

    def _reset(self) -> None:
        """End the connection with a reset, as a broken way does."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(generation: str, certificate: Path | None = None) -> Iterator[StandIn]:
    """A registry for the time of a block; with a file of certificate and key it speaks TLS."""
    held = StandIn(described(generation))
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"held": held}))
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    held.url = f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield held
    finally:
        server.shutdown()
        server.server_close()
