"""What the server says while it works: one JSON line per change of state, on stderr."""

import contextlib
import json
import os
import select
import sys
from datetime import UTC, datetime

_PATIENCE_MS = 20  # with a reader that is slow


def note(event: str, **facts: object) -> None:
    """Report a change of state, with facts whose keys carry their units."""
    _write("info", event, facts)


def warn(event: str, **facts: object) -> None:
    """Report something that a person should look at, though serving goes on."""
    _write("warning", event, facts)


def error(event: str, **facts: object) -> None:
    """Report a bug or the reason why the server ends."""
    _write("error", event, facts)


def _write(level: str, event: str, facts: dict[str, object]) -> None:
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    line = json.dumps({"time": now, "level": level, "event": event, **facts}, default=str)
    # A reader of stderr that went away or stopped reading must not take requests down with it.
    with contextlib.suppress(OSError, ValueError):
        _write_if_read(line.encode() + b"\n")


def _write_if_read(line: bytes) -> None:
    stderr = sys.stderr.fileno()
    ready = select.poll()
    ready.register(stderr, select.POLLOUT)
    for start in range(0, len(line), select.PIPE_BUF):
        # A pipe that is ready takes so much at once without waiting.
        if not ready.poll(_PATIENCE_MS):
            return
        os.write(stderr, line[start : start + select.PIPE_BUF])
