"""A Kubeflow Pipelines API on a loopback port: keeps pipelines, runs and schedules, and follows the published API."""

import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.cluster.published import Violation, published
from tests.cluster.state import Answered, State

TOKEN = "sha256~a-test-token"


@dataclass
class Fault:
    """What happens to the next call of an operation: a status, or one of the words below.

    `slow`: it takes 1.5 s. `stale`: it lists nothing. `login`: it sends to a login page. `nonsense`: it is a page.
    `lost`: it is carried out, and the connection closes without an answer. `reset`: it breaks off amid the answer.
    """

    operation: str
    kind: int | str
    times: int = 1


@dataclass
class Api:
    """The API as a test sees it."""

    url: str = ""
    token: str = TOKEN
    state: State = field(default_factory=State)
    faults: list[Fault] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    authorizations: set[str] = field(default_factory=set)

    def admit(self, authorization: str) -> None:
        """Let the known bearer in. Raises Answered."""
        self.authorizations.add(authorization)
        if authorization != f"Bearer {self.token}":
            raise Answered(401, "Request not authenticated")

    def fault(self, operation: str) -> str:
        """The fault that is due for an operation; "" where there is none. Raises Answered where it is a status."""
        for due in self.faults:
            if due.times and due.operation in operation:
                due.times -= 1
                if isinstance(due.kind, int):
                    raise Answered(due.kind, f"made to fail with {due.kind}")
                return due.kind
        return ""


@contextmanager
def serving(certificate: tuple[Path, Path] | None = None) -> Iterator[Api]:
    """The API for the time of a block; with chain and key it speaks TLS."""
    api, lock = Api(), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def carry_out(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            kind = ""
            try:
                api.admit(headers.get("authorization", ""))
                with lock:
                    call = published().request(self.command, self.path, headers, body)
                    api.calls.append(call.operation)
                    kind = api.fault(call.operation)
                    content = None if kind in {"login", "nonsense"} else api.state.carry_out(call)
                    content = {} if kind == "stale" else content
                    if content is not None:
                        published().answer(call.operation, content)
            except Answered as refusal:
                self.refuse(refusal.status, str(refusal))
            except Violation as error:
                api.violations.append(str(error))
                self.refuse(400, str(error))
            else:
                self.reply(kind, content)

        def reply(self, kind: str, content: object) -> None:
            if kind == "slow":
                time.sleep(1.5)
            if kind == "lost":
                self.close_connection = True
            elif kind == "login":
                self.answer(302, b"", {"Location": "https://login.test.invalid/oauth/authorize"})
            elif kind == "nonsense":
                self.answer(200, b"<html>Log in</html>", {"Content-Type": "text/html"})
            else:
                self.answer(200, json.dumps(content).encode(), broken_off=kind == "reset")

        do_GET = do_POST = do_DELETE = do_PATCH = carry_out  # noqa: N815  names of the standard library

        def refuse(self, status: int, message: str) -> None:
            self.answer(status, json.dumps({"code": 13, "message": message, "details": []}).encode())

        def answer(
            self, status: int, body: bytes, headers: dict[str, str] | None = None, broken_off: bool = False
        ) -> None:
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(ConnectionError):
                self.wfile.write(body[: len(body) // 2] if broken_off else body)
            self.close_connection = self.close_connection or broken_off

        def log_message(self, *_: object) -> None:
            """Keep stderr for failures."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    api.url = f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
