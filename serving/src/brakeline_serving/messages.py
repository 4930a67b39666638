"""A request and its answer, as the transport hands them to what answers."""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

from brakeline_serving.errors import ServingError

_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
JSON = b"application/json"
_OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


@dataclass(slots=True)
class Request:
    """A request in full. `path` is as sent, query included; header names are in lower case."""

    method: str
    path: bytes
    headers: dict[bytes, bytes]
    body: bytes


@dataclass(slots=True)
class Response:
    """An answer. `extra` holds further header lines, each ended by CR LF."""

    status: int
    body: bytes
    content_type: bytes = JSON
    extra: bytes = b""


Done = Callable[[Response], None]


class Service(Protocol):
    """What answers requests; it never raises."""

    def answer(self, request: Request, done: Done) -> Response | None:
        """Answer a request, or return None and call `done` once, later, in the event loop."""

    def refusal(self, path: bytes, headers: dict[bytes, bytes]) -> ServingError | None:
        """Why the body of such a request need not be received, if there is a reason already."""

    def refuse(self, error: ServingError) -> Response:
        """Answer what could not be read as a request."""


def to_bytes(response: Response, connection: bytes = b"", with_body: bool = True) -> bytes:
    """An answer as HTTP/1.1; `connection` is a header line about the connection or empty."""
    if not connection and response.status == 200 and response.content_type is JSON and not response.extra and with_body:
        return _OK % len(response.body) + response.body
    head = b"%bContent-Type: %b\r\nContent-Length: %d\r\n%b%b\r\n" % (
        _STATUS_LINES[response.status],
        response.content_type,
        len(response.body),
        response.extra,
        connection,
    )
    return head + response.body if with_body else head
