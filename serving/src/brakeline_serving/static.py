"""The page's files, read once and held in memory, with the headers that keep a browser to them.

The page is built in the browser from what the public API says; here it learns one thing, the model's name.
"""

import hashlib
import html
from dataclasses import dataclass
from pathlib import Path

from brakeline_serving.messages import Request, Response

FOLDER = Path(__file__).with_name("page")
INDEX = "index.html"

_NAME_HERE = "{{model}}"
_CONTENT_TYPES = {
    ".html": b"text/html; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".css": b"text/css; charset=utf-8",
}
_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@dataclass(frozen=True)
class File:
    """One file of the page: what is sent, its type, and the tag by which a browser knows whether it has it."""

    body: bytes
    content_type: bytes
    tag: bytes

    def answer(self, request: Request) -> Response:
        """The file, or 304 to a browser that has it."""
        known = [each.strip().removeprefix(b"W/") for each in request.headers.get(b"if-none-match", b"").split(b",")]
        status = 304 if self.tag in known or known == [b"*"] else 200
        extra = (
            b"ETag: %b\r\nCache-Control: no-cache\r\nContent-Security-Policy: %b\r\n"
            b"X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n"
        ) % (self.tag, _POLICY)
        return Response(status, self.body, self.content_type, extra)


def files(model: str) -> dict[str, File]:
    """The page for a model by the paths of its files; `/` is where one starts."""
    pages = {}
    for file in sorted(FOLDER.iterdir()):
        body = file.read_bytes()
        if file.name == INDEX:
            body = body.replace(_NAME_HERE.encode(), html.escape(model).encode())
        path = "/" if file.name == INDEX else f"/page/{file.name}"
        tag = b'"%b"' % hashlib.sha256(body).hexdigest()[:32].encode()
        pages[path] = File(body, _CONTENT_TYPES[file.suffix], tag)
    return pages
