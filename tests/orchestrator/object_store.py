"""A small S3 on a loopback port: objects by path, one key that is known, over plain HTTP or TLS."""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ACCESS_KEY, SECRET_KEY = "a-test-key", "a-test-secret"
_ERROR = '<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{code}</Message></Error>'


@dataclass
class ObjectStore:
    """What it holds by `/bucket/key`, and how many of the next answers are failures or are broken off."""

    url: str = ""
    objects: dict[str, bytes] = field(default_factory=dict)
    failures: int = 0
    broken_off: int = 0

    def environment(self) -> dict[str, str]:
        """What a client's environment has to say."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        }


@contextmanager
def serving(certificate: Path | None = None) -> Iterator[ObjectStore]:
    """A store for the time of a block; with a file of certificate and key it speaks TLS."""
    store = ObjectStore()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            known = f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/" in self.headers.get("Authorization", "")
            content = store.objects.get(self.path)
            if store.failures:
                store.failures -= 1
                self.answer(503, b"busy")
            elif not known:
                self.answer(403, _ERROR.format(code="AccessDenied").encode())
            elif content is None:
                self.answer(404, _ERROR.format(code="NoSuchKey").encode())
            else:
                first = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
                self.answer(206 if first else 200, content[first:], f"bytes {first}-{len(content) - 1}/{len(content)}")

        def answer(self, status: int, body: bytes, content_range: str = "") -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            if status == 206:
                self.send_header("Content-Range", content_range)
            self.send_header("ETag", '"1"')
            self.send_header("Last-Modified", "Tue, 24 Nov 2026 00:00:00 GMT")
            self.end_headers()
            if status < 300 and store.broken_off:
                store.broken_off -= 1
                self.wfile.write(body[: len(body) // 2])
                self.close_connection = True
            else:
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep stderr for failures."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    store.url = f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield store
    finally:
        server.shutdown()
        server.server_close()
