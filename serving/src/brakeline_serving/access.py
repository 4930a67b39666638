"""The access log: a JSON line for each answered request on stderr, written by a thread.

When the thread is behind, as nobody reads stderr, requests are left out and their number is told later; none waits.
"""

import os
import select
import sys
import threading
import time
from datetime import UTC, datetime
from queue import Empty, Full, Queue

import msgspec

from brakeline_serving.exchange import Exchange

MOST_WAITING = 10_000
_LONGEST = 1_000  # characters of a path or a trace
_PIECE_BYTES = select.PIPE_BUF  # what several processes write to one pipe stays whole up to this size
_encode = msgspec.json.Encoder().encode

_Entry = tuple[float, str, bytes, int, int, int, float, bytes | None]


class AccessLog:
    """Lines that wait to be written; `note` is for the loop's thread."""

    def __init__(self) -> None:
        self._waiting: Queue[_Entry | None] = Queue(MOST_WAITING)
        self._dropped = 0  # counted in the loop's thread only
        self._thread = threading.Thread(target=self._work, name="access", daemon=True)
        self._thread.start()

    def note(self, exchange: Exchange) -> None:
        """Tell of a request that was answered just now; never waits."""
        request, response = exchange.request, exchange.response
        assert response is not None
        took_s = time.perf_counter() - exchange.started_s
        sizes = (response.status, exchange.size, len(response.body))
        trace = request.headers.get(b"traceparent")
        try:
            self._waiting.put_nowait((time.time(), request.method, request.path, *sizes, took_s, trace))
        except Full:
            self._dropped += 1

    def close(self, timeout_s: float) -> None:
        """Write what waits, for so long at most."""
        try:
            self._waiting.put(None, timeout=timeout_s)
        except Full:
            return
        self._thread.join(timeout_s)

    def _work(self) -> None:
        is_over, dropped = False, 0
        while not is_over:
            entries = [self._waiting.get()]
            try:
                while len(entries) < MOST_WAITING:
                    entries.append(self._waiting.get_nowait())
            except Empty:
                pass
            is_over = None in entries
            lines = [_line(*entry) for entry in entries if entry is not None]
            if self._dropped > dropped:
                dropped, before = self._dropped, dropped
                told = {"level": "warning", "event": "access_dropped", "requests": dropped - before}
                lines.append(_encode(told))
            _write(lines)


def _line(
    at: float, method: str, path: bytes, status: int, asked: int, told: int, seconds: float, trace: bytes | None
) -> bytes:
    line = {
        "time": datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds"),
        "level": "info",
        "event": "access",
        "method": method,
        "path": path[:_LONGEST].decode("latin-1"),
        "status": status,
        "request_bytes": asked,
        "response_bytes": told,
        "duration_us": round(1e6 * seconds, 1),
    }
    if trace is not None:
        line["traceparent"] = trace[:_LONGEST].decode("latin-1")
    return _encode(line)


def _write(lines: list[bytes]) -> None:
    """Whole lines, in pieces that stay whole beside another worker's."""
    piece = b""
    for line in (*lines, b""):
        if piece and (not line or len(piece) + len(line) >= _PIECE_BYTES):
            try:
                os.write(sys.stderr.fileno(), piece)
            except (OSError, ValueError):
                return  # a reader of stderr that went away must not take anything down with it
            piece = b""
        piece += line + b"\n" if line else b""
