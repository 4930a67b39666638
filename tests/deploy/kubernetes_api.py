"""A Kubernetes API on a loopback port: keeps InferenceServices under a published schema, for one account and its role.

It does what the deploy step relies on and refuses the rest: server-side apply with field managers and dry runs,
resource versions, a role's verbs (403), a token (401), and errors as Status objects. Faults can be ordered for requests
to come.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.crds import Schema, published
from tests.deploy.ownership import Owned

TOKEN = "a-token-of-the-tests"
GROUP, PLURAL, ACCOUNT = "serving.kserve.io", "inferenceservices", "system:serviceaccount:ns:pipeline-runner-dspa"
NAMESPACE = "distance-prediction"


def schema(release: str) -> Schema:
    """What a release publishes for InferenceService."""
    found = published(release, f"{GROUP}/v1beta1", "InferenceService")
    assert found is not None
    return found


class Refusal(Exception):
    """An answer that is an error, as a Status object."""

    def __init__(self, code: int, reason: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.code = code
        self.status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
                       "reason": reason, "details": details, "code": code}  # fmt: skip


@dataclass
class Fault:
    """What happens instead of an answer to the next request of a method, so many times; APPLY is a PATCH in earnest."""

    method: str
    kind: str  # "500", "429", "reset" (nothing was done), "lost" (done, and the answer breaks off), "html", "slow"
    times: int = 1

    def strike(self) -> None:
        """Raise what is answered, where it is an error."""
        if self.kind == "500":
            raise Refusal(500, "InternalError", "etcdserver: request timed out")
        if self.kind == "429":
            raise Refusal(429, "TooManyRequests", "too many requests, please try again later")


@dataclass
class Api:
    """What it holds, who may do what, and what was asked of it."""

    schema: Schema
    url: str = ""
    objects: dict[str, Owned] = field(default_factory=dict)
    pods: list[dict[str, Any]] = field(default_factory=list)
    # What the pipeline's account may do (live, on OpenShift AI); nothing on pods unless a test grants it.
    role: dict[str, set[str]] = field(
        default_factory=lambda: {PLURAL: {"create", "get", "list", "patch", "delete"}, "pods": set()}
    )
    faults: list[Fault] = field(default_factory=list)
    slow_s: float = 1.0
    asked: list[str] = field(default_factory=list)
    # What admission makes of an object, after its fields have owners; and every object that was stored, in turn.
    webhook: Callable[[dict[str, Any]], None] = lambda _: None
    history: list[dict[str, Any]] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)
    _version: int = 100

    def get(self, name: str) -> dict[str, Any]:
        """An object as the API tells it."""
        if name not in self.objects:
            raise Refusal(404, "NotFound", f'{PLURAL}.{GROUP} "{name}" not found', name=name, group=GROUP, kind=PLURAL)
        owned = self.objects[name]
        told: dict[str, Any] = json.loads(json.dumps(owned.content))
        told["metadata"]["managedFields"] = owned.managed_fields()
        return told

    def find(self, name: str) -> dict[str, Any] | None:
        """An object, without who manages it, or None."""
        found = self.objects.get(name)
        return found.content if found else None

    def apply(self, name: str, wanted: dict[str, Any], manager: str, *, force: bool, dry_run: bool) -> dict[str, Any]:
        """Server-side apply."""
        if not manager:
            raise Refusal(422, "Invalid", "PatchOptions.meta.k8s.io is invalid: fieldManager: Required value")
        if undeclared := self.schema.undeclared(wanted):
            about = f"({NAMESPACE}/{name}; {GROUP}/v1beta1, Kind=InferenceService)"
            raise Refusal(500, "", f"failed to create typed patch object {about}: {'; '.join(undeclared)}")
        with self.lock:
            before = self.objects.get(name)
            if before is None and "create" not in self.role[PLURAL]:
                raise self.forbidden("create", PLURAL, name)
            expected = wanted["metadata"].get("resourceVersion")
            if expected and (before is None or before.content["metadata"]["resourceVersion"] != expected):
                text = "the object has been modified; please apply your changes to the latest version"
                about = f'Operation cannot be fulfilled on {PLURAL}.{GROUP} "{name}": {text}'
                raise Refusal(409, "Conflict", about, name=name)
            owned = before.copy() if before else Owned({"metadata": self._new(name)})
            if (found := owned.conflicts(wanted, manager)) and not force:
                causes = [{"reason": "FieldManagerConflict", "message": f'conflict with "{other}"',
                           "field": "." + ".".join(path)} for other, path in found]  # fmt: skip
                raise Refusal(409, "Conflict", f"Apply failed with {len(found)} conflicts", causes=causes, name=name)
            spec = json.dumps(owned.content.get("spec"), sort_keys=True)
            owned.apply(wanted, manager)
            owned.content |= {"apiVersion": wanted["apiVersion"], "kind": wanted["kind"]}
            owned.content = self.schema.defaulted(owned.content)
            self.webhook(owned.content)
            if problems := self.schema.invalid(owned.content):
                raise Refusal(422, "Invalid", f'InferenceService.{GROUP} "{name}" is invalid: {"; ".join(problems)}')
            self._stamp(owned, changed_spec=spec != json.dumps(owned.content.get("spec"), sort_keys=True))
            if dry_run:
                return owned.content
            self.objects[name] = owned
            self.history.append(json.loads(json.dumps(owned.content)))
            return self.get(name)

    def edit(self, name: str, manager: str, wanted: dict[str, Any]) -> None:
        """What somebody else does, by force: they own those fields from then on."""
        with self.lock:
            owned = self.objects[name]
            owned.apply(wanted, manager)
            self._stamp(owned, changed_spec=True)

    def tell(self, name: str, status: dict[str, Any]) -> None:
        """What the controller writes into the status."""
        with self.lock:
            if name in self.objects and self.objects[name].content.get("status") != status:
                owned = self.objects[name]
                owned.content["status"] = status
                assert not self.schema.undeclared(owned.content) + self.schema.invalid(owned.content)
                self._stamp(owned, changed_spec=False)

    def delete(self, name: str, options: dict[str, Any]) -> dict[str, Any]:
        """Delete an object of the uid that was named."""
        uid = (options.get("preconditions") or {}).get("uid")
        with self.lock:
            found = self.get(name)
            if uid and uid != found["metadata"]["uid"]:
                raise Refusal(409, "Conflict", f"Precondition failed: UID in precondition: {uid}", name=name)
            del self.objects[name]
        return {"kind": "Status", "apiVersion": "v1", "status": "Success"}

    def forbidden(self, verb: str, resource: str, name: str) -> Refusal:
        """What the account hears of what it may not do."""
        group = GROUP if resource != "pods" else ""
        may_not = f'User "{ACCOUNT}" cannot {verb} resource "{resource}" in API group "{group}"'
        text = f'{resource}.{group} "{name}" is forbidden: {may_not} in the namespace "{NAMESPACE}"'
        return Refusal(403, "Forbidden", text, name=name, kind=resource)

    def _new(self, name: str) -> dict[str, Any]:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return {
            "name": name,
            "namespace": NAMESPACE,
            "uid": str(uuid.uuid4()),
            "creationTimestamp": now,
            "generation": 0,
        }

    def _stamp(self, owned: Owned, *, changed_spec: bool) -> None:
        self._version += 1
        owned.content["metadata"]["resourceVersion"] = str(self._version)
        owned.content["metadata"]["generation"] += int(changed_spec)


def _answer(api: Api, method: str, path: str, headers: Any, body: bytes) -> Any:
    parts = urlsplit(path)
    query = {key: values[0] for key, values in parse_qs(parts.query).items()}
    if headers.get("Authorization", "").removeprefix("Bearer ").removeprefix("bearer ") != TOKEN:
        raise Refusal(401, "Unauthorized", "Unauthorized")
    segments = [unquote(segment) for segment in parts.path.strip("/").split("/")]
    known = [
        ["apis", GROUP, "v1beta1", "namespaces", NAMESPACE, PLURAL],
        ["api", "v1", "namespaces", NAMESPACE, "pods"],
    ]
    at = next((prefix for prefix in known if segments[: len(prefix)] == prefix), None)
    if at is None:
        raise Refusal(404, "NotFound", "the server could not find the requested resource")
    resource, name = at[-1], "/".join(segments[len(at) :])
    reading = ("watch" if query.get("watch") == "true" else "get" if name else "list") if method == "GET" else ""
    verb = reading or {"PUT": "update", "POST": "create", "PATCH": "patch", "DELETE": "delete"}[method]
    if verb not in api.role[resource]:
        raise api.forbidden(verb, resource, name)
    if resource == "pods":
        return {"kind": "PodList", "apiVersion": "v1", "items": [pod for pod in api.pods if _chosen(pod, query)]}
    if method == "GET":
        return api.get(name)
    if method == "DELETE":
        return api.delete(name, json.loads(body or b"{}"))
    if method != "PATCH" or headers.get("Content-Type") != "application/apply-patch+yaml":
        raise Refusal(415, "UnsupportedMediaType", f"not of this stand-in: {method} {headers.get('Content-Type')}")
    return api.apply(name, json.loads(body), query.get("fieldManager", ""), force=query.get("force") == "true",
                     dry_run=query.get("dryRun") == "All")  # fmt: skip


def _chosen(pod: dict[str, Any], query: dict[str, str]) -> bool:
    key, _, value = query.get("labelSelector", "").partition("=")
    return not key or pod["metadata"]["labels"].get(key) == value


@contextmanager
def serving(schema: Schema, tls: Any = None) -> Iterator[Api]:
    """The API for the time of a block; with an `ssl.SSLContext` it speaks TLS."""
    api = Api(schema)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            api.asked.append(f"{self.command} {self.path}")
            meant = {self.command, "APPLY" if self.command == "PATCH" and "dryRun" not in self.path else ""}
            fault = next((one for one in api.faults if one.method in meant and one.times), None)
            if fault:
                fault.times -= 1
            if fault and fault.kind == "reset":
                self.connection.close()
                self.close_connection = True
                return
            if fault and fault.kind == "slow":
                time.sleep(api.slow_s)
            try:
                if fault:
                    fault.strike()
                code, told = 200, _answer(api, self.command, self.path, self.headers, body)
            except Refusal as refusal:
                code, told = refusal.code, refusal.status
            content = b"<html>a proxy's page</html>" if fault and fault.kind == "html" else json.dumps(told).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            if code == 429:
                self.send_header("Retry-After", "1")
            self.end_headers()
            if fault and fault.kind == "lost":
                content = content[: len(content) // 2]
                self.close_connection = True
            self.wfile.write(content)

        do_PATCH = do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815  names of http.server

        def log_message(self, *_: object) -> None:
            """Keep stderr for failures."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    api.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
