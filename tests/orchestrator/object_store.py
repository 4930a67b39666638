"""A small S3 on a loopback port: objects by path, one key that is known, over plain HTTP or TLS."""

import hashlib
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape

ACCESS_KEY, SECRET_KEY = "a-test-key", "a-test-secret"
_ERROR = '<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{code}</Message></Error>'
_DATE = "Tue, 24 Nov 2026 00:00:00 GMT"


@dataclass
class ObjectStore:
    """What it holds by `/bucket/key`, what was asked, and how it is to fail.

    `failures` of the next requests are answered with `failure`, `broken_off` of the next bodies end in the middle;
    `refused` methods are denied; every answer waits for `delay_s`.
    """

    url: str = ""
    objects: dict[str, bytes] = field(default_factory=dict)
    metadata: dict[str, dict[str, str]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    failures: int = 0
    failure: int = 503
    broken_off: int = 0
    delay_s: float = 0.0
    refused: set[str] = field(default_factory=set)

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
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"store": store}))
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    store.url = f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield store
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    store: ObjectStore

    def do_GET(self) -> None:
        body = self.admitted()
        if body is None:
            return
        at, query = self.asked()
        if "list-type" in query:
            self.listed(at, query.get("prefix", [""])[0], query.get("delimiter", [""])[0])
            return
        content = self.store.objects.get(at)
        if content is None:
            self.failed(404, "NoSuchKey")
            return
        tag = _tag(content)
        if self.headers.get("If-None-Match") == tag:
            self.answer(304, b"", {"ETag": tag})
            return
        if self.headers.get("If-Match", tag) != tag:
            self.failed(412, "PreconditionFailed")
            return
        first = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
        ranged = {"Content-Range": f"bytes {first}-{len(content) - 1}/{len(content)}"} if first else {}
        described = {"ETag": tag, "Last-Modified": _DATE, **self.store.metadata.get(at, {}), **ranged}
        self.answer(206 if first else 200, content[first:], described)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        body = self.admitted()
        if body is None:
            return
        sha256 = hashlib.sha256(body).hexdigest()
        if self.headers.get("x-amz-content-sha256", "UNSIGNED-PAYLOAD") not in (sha256, "UNSIGNED-PAYLOAD"):
            self.failed(400, "XAmzContentSHA256Mismatch")
            return
        at, _ = self.asked()
        there = self.store.objects.get(at)
        wanted = self.headers.get("If-Match")
        if (self.headers.get("If-None-Match") and there is not None) or (wanted and wanted != _tag(there or b"")):
            self.failed(412, "PreconditionFailed")
            return
        self.store.objects[at] = body
        told = {name.lower(): value for name, value in self.headers.items()}
        self.store.metadata[at] = {name: value for name, value in told.items() if name.startswith("x-amz-meta-")}
        self.answer(200, b"", {"ETag": _tag(body)})

    def do_POST(self) -> None:
        """Remove many objects: the one way in which the clients remove any."""
        body = self.admitted()
        if body is None:
            return
        bucket, query = self.asked()
        if "delete" not in query:
            self.failed(501, "NotImplemented")
            return
        keys = [key.text or "" for key in ElementTree.fromstring(body).iter() if key.tag.endswith("Key")]
        for key in keys:
            self.store.objects.pop(f"{bucket}/{key}", None)
            self.store.removed.append(key)
        told = "".join(f"<Deleted><Key>{escape(key)}</Key></Deleted>" for key in keys)
        self.answer(200, f"<DeleteResult>{told}</DeleteResult>".encode(), {})

    def asked(self) -> tuple[str, dict[str, list[str]]]:
        """`/bucket/key` and the query."""
        parts = urlsplit(self.path)
        return unquote(parts.path), parse_qs(parts.query, keep_blank_values=True)

    def admitted(self) -> bytes | None:
        """The request's body; None where it was answered with a failure already."""
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.store.requests.append(f"{self.command} {self.path}")
        time.sleep(self.store.delay_s)
        if self.store.failures:
            self.store.failures -= 1
            self.failed(self.store.failure, "Busy")
        elif not self.is_known() or self.command in self.store.refused:
            self.failed(403, "AccessDenied")
        else:
            return body
        return None

    def is_known(self) -> bool:
        """Whether the request says that it is from the one who may ask."""
        return f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/" in self.headers.get("Authorization", "")

    def listed(self, bucket: str, prefix: str, delimiter: str) -> None:
        """All keys that begin with `prefix`, in one page; those with a delimiter beyond it by what they share."""
        start = f"{bucket.rstrip('/')}/"
        keys = sorted(at.removeprefix(start) for at in self.store.objects if at.startswith(start + prefix))
        shared = set[str]()
        if delimiter:
            rest = {key: key.removeprefix(prefix).partition(delimiter) for key in keys}
            shared = {prefix + first + delimiter for first, found, _ in rest.values() if found}
            keys = [key for key in keys if not rest[key][1]]
        rows = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(self.store.objects[start + key])}</Size>"
            f'<ETag>"1"</ETag><LastModified>2026-11-24T00:00:00.000Z</LastModified></Contents>'
            for key in keys
        )
        rows += "".join(f"<CommonPrefixes><Prefix>{escape(one)}</Prefix></CommonPrefixes>" for one in sorted(shared))
        told = f"<IsTruncated>false</IsTruncated><KeyCount>{len(keys)}</KeyCount>{rows}"
        self.answer(200, f"<ListBucketResult>{told}</ListBucketResult>".encode(), {})

    def failed(self, status: int, code: str) -> None:
        self.answer(status, _ERROR.format(code=code).encode(), {})

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD" or status in (204, 304):
            return
        if status < 300 and self.store.broken_off and body:
            self.store.broken_off -= 1
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
        else:
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep stderr for failures."""


def _tag(content: bytes) -> str:
    return f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'
