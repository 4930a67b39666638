"""A request on its way and the answer that it waits for."""

import time
from typing import TYPE_CHECKING

from brakeline_serving.messages import Request, Response, to_bytes

if TYPE_CHECKING:
    from brakeline_serving.http import Connection

_CLOSE, _KEEP = b"Connection: close\r\n", b"Connection: keep-alive\r\n"


class Exchange:
    """One request of a connection: `last` closes it behind the answer, `linger` lets the client read that first."""

    __slots__ = ("_connection", "last", "linger", "old", "request", "response", "size", "started_s")

    def __init__(self, connection: "Connection", request: Request, size: int, last: bool, old: bool) -> None:
        self._connection = connection
        self.request = request
        self.size = size
        self.last = last
        self.old = old  # HTTP/1.0, where staying open must be said
        self.linger = False
        self.response: Response | None = None
        self.started_s = time.perf_counter()

    @classmethod
    def of_error(cls, connection: "Connection", response: Response) -> "Exchange":
        """What answers bytes that are no request."""
        made = cls(connection, Request("", b"", {}, b""), 0, last=True, old=False)
        made.linger = True
        made.response = response
        return made

    def done(self, response: Response) -> None:
        """The answer is there."""
        self.response = response
        self.request.body = b""  # it may wait for others' answers, and is not needed for that
        self._connection.send_ready()

    def to_bytes(self, is_last: bool) -> bytes:
        """The answer as it goes over the wire."""
        assert self.response is not None
        line = _CLOSE if is_last else _KEEP if self.old else b""
        return to_bytes(self.response, line, self.request.method != "HEAD" and self.response.status != 304)
