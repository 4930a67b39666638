"""HTTP/1.1 on one connection: bytes to requests, answers to bytes, in the order of the requests' arrival.

An answer may come later than its request; those that overtake it wait. What cannot be read is answered with the error
and ends the connection.
"""

import asyncio
import sys
import traceback
from collections import deque
from typing import cast

import httptools

from brakeline_serving import diary
from brakeline_serving.body import LARGE_BYTES, Body
from brakeline_serving.connections import Connections
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
from brakeline_serving.exchange import Exchange
from brakeline_serving.heads import KEPT_HEADERS, Head
from brakeline_serving.messages import Request

_LINGER_S = 2.0  # for a client to read the error before unread data reset the connection
_SLICE_BYTES = 4 * 1024  # a reader that stalls holds up no more answers than one slice asks for
_MAX_UNSENT_BYTES = 256 * 1024
_MOST_PENDING = 64  # requests of one connection that wait for their answers
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Connection(asyncio.Protocol):
    """One client's connection."""

    transport: asyncio.Transport

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._limits = connections.limits
        self._parser = httptools.HttpRequestParser(self)
        self._pending: deque[Exchange] = deque()
        self._closing = self._ended = self._paused = False  # no more is read; the client sends no more, or reads none
        self._held = b""  # received, and left unparsed until earlier answers are on their way
        self._receiving = self._in_head = False
        self._candidate = b""  # a head that is being parsed for the first time
        self._deadline = connections.clock() + self._limits.idle_s
        self._deadline_set = True
        self._error: ServingError | None = None
        self._unsent_bytes = sys.maxsize  # when time was last up
        self._body = Body(connections)
        self._begin()

    def _begin(self) -> None:
        self._body.drop()
        self._path = b""
        self._headers: dict[bytes, bytes] = {}
        self._head_bytes = self._raw_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client connected."""
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        if (refusal := self._connections.add(self)) is not None:
            self._end_with(refusal)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._connections.open.discard(self)
        self._body.drop()
        self._closing = True
        self._pending.clear()
        del self._parser  # it holds this object in a cycle

    def data_received(self, data: bytes) -> None:
        """Bytes arrived."""
        if self._closing:
            return
        if self._held:
            self._held += data
            return
        self._take(data)

    def eof_received(self) -> bool:
        """The client sends no more, and may still read: what it asked is answered before the connection closes."""
        self._ended = True
        return bool(self._pending or self._held) and self.transport.get_extra_info("sslcontext") is None

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
        start, size = 0, len(data)
        while start < size:
            known = None if self._receiving else self._connections.heads.find(data, start)
            if known is not None and known[1] + known[0].length <= size:
                head, body_at = known
                start = body_at + head.length
                self._complete(Request(head.method, head.path, head.headers, data[body_at:start]), head.length)
            else:
                self._parse(data[start : start + _SLICE_BYTES])
                start += _SLICE_BYTES
            if self._closing:
                return
            if start < size and self._is_behind():
                self._held = data[start:]
                self.transport.pause_reading()
                if not self._pending:
                    asyncio.get_running_loop().call_soon(self._go_on)
                return
        if self._receiving and not self._deadline_set:
            self._deadline = self._connections.clock() + self._limits.receive_s
            self._deadline_set = True

    def _is_behind(self) -> bool:
        return len(self._pending) >= _MOST_PENDING or self.transport.get_write_buffer_size() > _MAX_UNSENT_BYTES

    def _go_on(self) -> None:
        if self._paused or self._closing or self.transport.is_closing():
            return
        held, self._held = self._held, b""
        self._take(held)
        if self._ended and not (self._held or self._pending):
            self.transport.close()
        elif not (self._held or self._paused or self._closing):
            self.transport.resume_reading()

    def _parse(self, data: bytes) -> None:
        before = self._headers
        self._candidate = b"" if self._receiving else self._connections.heads.first_of(data)
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
        if self._in_head and self._raw_bytes > self._limits.head_bytes:
            self._error = self._error or HeadTooLarge(self._limits.head_bytes)
        elif self._raw_bytes > 2 * self._limits.body_bytes:  # a body and the framing of its chunks
            self._error = self._error or BodyTooLarge(self._limits.body_bytes)

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
        if self._in_head and (name := name.lower()) in KEPT_HEADERS:
            self._headers[name] = value

    def on_headers_complete(self) -> None:
        """The head is whole: decide whether the body is wanted."""
        self._in_head = False
        candidate, self._candidate = self._candidate, b""
        if self._error is not None or self._closing:
            return
        length = int(self._headers.get(b"content-length", b"0"))
        expected = self._headers.get(b"expect")
        chunked = b"transfer-encoding" in self._headers
        if length > self._limits.body_bytes:
            self._error = BodyTooLarge(self._limits.body_bytes)
        elif length > LARGE_BYTES or chunked:
            self._error = self._connections.service.refusal(self._path, self._headers)
        if self._error is not None:
            return
        if self._parser.should_upgrade():
            if length or chunked:
                # The parser takes what follows for another protocol, so where the body ends is anyone's guess.
                self._error = FieldRefused("Upgrade", "a request with a body", "none")
        elif expected is not None:
            if expected.lower() != b"100-continue":
                self._error = ExpectationFailed(expected.decode("latin-1"))
            elif self._parser.get_http_version() != "1.0":
                self.transport.write(_CONTINUE)
        elif candidate and not chunked and self._keeps() and self._parser.get_http_version() == "1.1":
            head = Head(self._parser.get_method().decode(), self._path, self._headers, length)
            self._connections.heads.keep(candidate, head)

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        if self._error is None:
            self._error = self._body.add(body)

    def on_message_complete(self) -> None:
        """The request is whole: answer it."""
        self._receiving = False
        if self._error is not None or self._closing:
            return
        body = self._body.take()
        request = Request(self._parser.get_method().decode(), self._path, self._headers, body)
        self._complete(request, len(body), self._keeps(), self._parser.get_http_version() == "1.0")

    def _keeps(self) -> bool:
        return bool(self._parser.should_keep_alive() and not self._parser.should_upgrade())

    def _complete(self, request: Request, size: int, keep: bool = True, old: bool = False) -> None:
        connections = self._connections
        self._deadline = connections.clock() + self._limits.idle_s
        exchange = Exchange(self, request, size, not keep, old)
        self._pending.append(exchange)
        if not keep:
            self._closing = True
        response = connections.service.answer(request, exchange.done)
        if response is not None:
            exchange.done(response)

    def _grow_head(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > self._limits.head_bytes:
            self._error = self._error or HeadTooLarge(self._limits.head_bytes)

    def send_ready(self) -> None:
        """Write the answers that are there and whose turn it is."""
        pending = self._pending
        while pending and pending[0].response is not None:
            exchange = pending.popleft()
            is_over = (self._ended and not (pending or self._held)) or (self._connections.draining and self._is_idle())
            is_last = exchange.last or is_over
            self.transport.write(exchange.to_bytes(is_last))
            if self._connections.access is not None:
                self._connections.access.note(exchange)
            if is_last:
                self._close(exchange.linger)
                return
        if self._held and not self._is_behind():
            asyncio.get_running_loop().call_soon(self._go_on)

    def _close(self, linger: bool) -> None:
        self._closing = True
        self._pending.clear()
        self._deadline = self._connections.clock() + self._limits.idle_s  # for what is left to be read
        if not linger:
            self.transport.close()
            return
        if self.transport.can_write_eof():
            self.transport.write_eof()
        # Until then what the client still sends is read and dropped, so that no reset destroys the answer.
        asyncio.get_running_loop().call_later(_LINGER_S, self.transport.abort)

    def _is_idle(self) -> bool:
        return not (self._pending or self._receiving or self._held)

    def expire(self, now: float) -> None:
        """End the connection if its time is up."""
        unsent = self.transport.get_write_buffer_size()
        if now < self._deadline or (self._pending and not unsent):
            return  # in time, or it waits for the server
        if 0 < unsent < self._unsent_bytes:
            self._deadline, self._unsent_bytes = now + self._limits.idle_s, unsent  # slow, but it reads
        elif self._receiving and not (self._paused or self._closing):
            self._end_with(RequestTimedOut(self._limits.receive_s))
        else:
            self._closing = True
            self.transport.abort()  # closing would wait for a client that does not read

    def close_if_idle(self) -> None:
        """Close the connection unless a request is under way."""
        if self._is_idle() and not self._closing:
            self._closing = True
            self.transport.close()

    def _end_with(self, error: ServingError) -> None:
        self._closing = True
        self._body.drop()
        exchange = Exchange.of_error(self, self._connections.service.refuse(error))
        self._pending.append(exchange)
        self.send_ready()
