"""HTTP/1.1 on one connection: bytes to requests, answers to bytes, in the order of their arrival.

Requests are answered as soon as they are complete, so pipelined ones need no queue. What cannot be read is
answered with the error and ends the connection.
"""

import asyncio
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import httptools

from brakeline_serving import diary
from brakeline_serving.errors import (
    BodyTooLarge,
    ExpectationFailed,
    FieldRefused,
    HeadTooLarge,
    InternalError,
    Malformed,
    RequestTimedOut,
    ServingError,
)
from brakeline_serving.messages import Request, Service, to_bytes

MAX_BODY_BYTES = 8 * 1024 * 1024
MAX_HEAD_BYTES = 32 * 1024
IDLE_S = 75.0
RECEIVE_S = 30.0

_MAX_RAW_BYTES = 2 * MAX_BODY_BYTES  # a body and the framing of its chunks
_LINGER_S = 2.0  # for a client to read the error before unread data reset the connection
_SLICE_BYTES = 4 * 1024  # a reader that stalls holds up no more answers than one slice asks for
_MAX_UNSENT_BYTES = 256 * 1024
_KEPT_HEADERS = frozenset(
    (
        *(b"content-length", b"transfer-encoding", b"content-encoding"),
        *(b"expect", b"inference-header-content-length", b"if-none-match"),
    )
)
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@dataclass
class Connections:
    """All open connections of a server; called for each new one."""

    service: Service
    clock: Callable[[], float]
    open: set["Connection"] = field(default_factory=set)
    draining: bool = False

    def __call__(self) -> "Connection":
        """A new connection."""
        return Connection(self)

    def expire(self) -> None:
        """End the connections that were idle, or receiving one request, for too long."""
        now = self.clock()
        for connection in tuple(self.open):
            connection.expire(now)

    def close_idle(self) -> None:
        """Close the connections on which no request is under way."""
        for connection in tuple(self.open):
            connection.close_if_idle()

    def abort(self) -> None:
        """Cut all connections off."""
        for connection in tuple(self.open):
            connection.transport.abort()


class Connection(asyncio.Protocol):
    """One client's connection."""

    transport: asyncio.Transport

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._parser = httptools.HttpRequestParser(self)
        self._closing = False
        self._paused = False
        self._held = b""  # received, and left unparsed until the client has read earlier answers
        self._receiving = False
        self._in_head = False
        self._deadline = connections.clock() + IDLE_S
        self._deadline_set = True
        self._error: ServingError | None = None
        self._unsent_bytes = sys.maxsize  # when time was last up
        self._begin()

    def _begin(self) -> None:
        self._path = b""
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []
        self._head_bytes = self._raw_bytes = self._body_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client connected."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        self._connections.open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._connections.open.discard(self)
        self._closing = True
        del self._parser  # it holds this object in a cycle

    def data_received(self, data: bytes) -> None:
        """Bytes arrived."""
        if self._closing:
            return
        if self._held:
            self._held += data
            return
        self._take(data)

    def pause_writing(self) -> None:
        """The client reads its answers more slowly than it asks: read no more from it for a while."""
        self._paused = True
        if not self._closing:
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._paused = False
        self._unsent_bytes = sys.maxsize
        self._go_on()

    def _take(self, data: bytes) -> None:
        for start in range(0, len(data), _SLICE_BYTES):
            self._parse(data[start : start + _SLICE_BYTES])
            if self._closing:
                return
            rest = start + _SLICE_BYTES
            if rest < len(data) and self.transport.get_write_buffer_size() > _MAX_UNSENT_BYTES:
                self._held = data[rest:]
                self.transport.pause_reading()
                asyncio.get_running_loop().call_soon(self._go_on)
                break
        if self._receiving and not self._deadline_set:
            self._deadline = self._connections.clock() + RECEIVE_S
            self._deadline_set = True

    def _go_on(self) -> None:
        if self._paused or self._closing or self.transport.is_closing():
            return
        held, self._held = self._held, b""
        self._take(held)
        if not (self._held or self._paused or self._closing):
            self.transport.resume_reading()

    def _parse(self, data: bytes) -> None:
        before = self._headers
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # the request was answered as if it had not asked, which HTTP allows
        except httptools.HttpParserCallbackError as error:
            diary.error("bug", endpoint="unreadable", traceback="".join(traceback.format_exception(error)))
            self._error = InternalError()
        except httptools.HttpParserError as error:
            self._error = self._error or Malformed("HTTP request", str(error) or type(error).__name__)
        if self._receiving and self._headers is before:
            self._grow_raw(len(data))
        if self._error is not None and not self._closing:
            self._end_with(self._error)

    def _grow_raw(self, size: int) -> None:
        # A header or trailer reaches `on_header` only when it is whole: an endless one is counted here.
        self._raw_bytes += size
        if self._in_head and self._raw_bytes > MAX_HEAD_BYTES:
            self._error = self._error or HeadTooLarge(MAX_HEAD_BYTES)
        elif self._raw_bytes > _MAX_RAW_BYTES:
            self._error = self._error or BodyTooLarge(MAX_BODY_BYTES)

    def on_message_begin(self) -> None:
        """A request begins."""
        self._begin()
        self._receiving = self._in_head = True
        self._deadline_set = False

    def on_url(self, url: bytes) -> None:
        """A part of the target."""
        self._path += url
        self._grow_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer after a chunked body."""
        self._grow_head(len(name) + len(value) + 4)
        if self._in_head:
            name = name.lower()
            if name in _KEPT_HEADERS:
                self._headers[name] = value

    def on_headers_complete(self) -> None:
        """The head is whole: decide whether the body is wanted."""
        self._in_head = False
        if self._error is not None or self._closing:
            return
        length = int(self._headers.get(b"content-length", b"0"))
        expected = self._headers.get(b"expect")
        if length > MAX_BODY_BYTES:
            self._error = BodyTooLarge(MAX_BODY_BYTES)
        elif self._parser.should_upgrade() and (length or b"transfer-encoding" in self._headers):
            # The parser takes what follows for another protocol, so where the body ends is anyone's guess.
            self._error = FieldRefused("Upgrade", "a request with a body", "none")
        elif expected is not None:
            if expected.lower() != b"100-continue":
                self._error = ExpectationFailed(expected.decode("latin-1"))
            elif self._parser.get_http_version() != "1.0":
                self.transport.write(_CONTINUE)

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._body_bytes += len(body)
        if self._body_bytes > MAX_BODY_BYTES:
            self._error = self._error or BodyTooLarge(MAX_BODY_BYTES)
        if self._error is None:
            self._body.append(body)

    def on_message_complete(self) -> None:
        """The request is whole: answer it."""
        self._receiving = False
        if self._error is not None or self._closing:
            return
        self._deadline = self._connections.clock() + IDLE_S
        parser = self._parser
        method = parser.get_method().decode()
        request = Request(method, self._path, self._headers, b"".join(self._body))
        response = self._connections.service.answer(request)
        keep = parser.should_keep_alive() and not parser.should_upgrade() and not self._connections.draining
        extra = b"" if keep else b"Connection: close\r\n"
        if keep and parser.get_http_version() == "1.0":
            extra = b"Connection: keep-alive\r\n"
        with_body = method != "HEAD" and response.status != 304
        self.transport.write(to_bytes(response, extra, with_body))
        if not keep:
            self._closing = True
            self.transport.close()

    def _grow_head(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > MAX_HEAD_BYTES:
            self._error = self._error or HeadTooLarge(MAX_HEAD_BYTES)

    def expire(self, now: float) -> None:
        """End the connection if its time is up."""
        if now < self._deadline or self._closing:
            return
        unsent = self.transport.get_write_buffer_size()
        if 0 < unsent < self._unsent_bytes:
            self._deadline, self._unsent_bytes = now + IDLE_S, unsent  # slow, but it reads
        elif self._receiving and not self._paused:
            self._end_with(RequestTimedOut(RECEIVE_S))
        else:
            self._closing = True
            # Closing would wait for a client that does not read.
            self.transport.abort()

    def close_if_idle(self) -> None:
        """Close the connection unless a request is under way."""
        if not (self._receiving or self._held or self._closing):
            self._closing = True
            self.transport.close()

    def _end_with(self, error: ServingError) -> None:
        self._closing = True
        response = self._connections.service.refuse(error)
        self.transport.write(to_bytes(response, b"Connection: close\r\n"))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        # Until then what the client still sends is read and dropped, so that no reset destroys the answer.
        asyncio.get_running_loop().call_later(_LINGER_S, self.transport.abort)
