"""The access log: a JSON line for each answered request on stderr, written together a few times a second."""

import asyncio
import contextlib
import sys
import time
from datetime import UTC, datetime

import msgspec

from brakeline_serving.exchange import Exchange

PAUSE_S = 0.1
_MOST_LINES = 10_000  # beyond it the oldest are dropped, and their number is told
_encode = msgspec.json.Encoder().encode


class AccessLog:
    """Lines that wait to be written; lives in the loop's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lines: list[tuple[float, Exchange, float]] = []
        self._dropped = 0

    def note(self, exchange: Exchange) -> None:
        """Tell of a request that was answered just now."""
        if not self._lines:
            self._loop.call_later(PAUSE_S, self.write)
        if len(self._lines) >= _MOST_LINES:
            self._dropped += 1
            return
        self._lines.append((time.time(), exchange, time.perf_counter() - exchange.started_s))

    def write(self) -> None:
        """Write what waits."""
        if not self._lines:
            return
        lines, self._lines = self._lines, []
        told = [_line(at, exchange, seconds) for at, exchange, seconds in lines]
        if self._dropped:
            told.append(_encode({"event": "access_dropped", "requests": self._dropped}))
            self._dropped = 0
        # A reader of stderr that went away must not take requests down with it.
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(b"\n".join(told).decode() + "\n")
            sys.stderr.flush()


def _line(at: float, exchange: Exchange, seconds: float) -> bytes:
    request, response = exchange.request, exchange.response
    assert response is not None
    line = {
        "time": datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds"),
        "level": "info",
        "event": "access",
        "method": request.method,
        "path": request.path.decode("latin-1"),
        "status": response.status,
        "request_bytes": exchange.size,
        "response_bytes": len(response.body),
        "duration_us": round(1e6 * seconds, 1),
    }
    trace = request.headers.get(b"traceparent")
    if trace is not None:
        line["traceparent"] = trace.decode("latin-1")
    return _encode(line)
