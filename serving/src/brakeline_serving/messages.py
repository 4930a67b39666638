"""A request and its answer, as the transport hands them to what answers."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

from brakeline_serving.errors import ServingError

_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}


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
    content_type: bytes = b"application/json"
    extra: bytes = b""


class Service(Protocol):
    """What answers requests; it never raises."""

    def answer(self, request: Request) -> Response:
        """Answer a request."""

    def refuse(self, error: ServingError) -> Response:
        """Answer what could not be read as a request."""


def to_bytes(response: Response, connection: bytes = b"", with_body: bool = True) -> bytes:
    """An answer as HTTP/1.1; `connection` is a header line about the connection or empty."""
    head = b"%bContent-Type: %b\r\nContent-Length: %d\r\n%b%b\r\n" % (
        _STATUS_LINES[response.status],
        response.content_type,
        len(response.body),
        response.extra,
        connection,
    )
    return head + response.body if with_body else head
