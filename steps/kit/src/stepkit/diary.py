"""What a step says while it works, on stderr: JSON lines for machines, a line and a bar for people."""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

SECONDS_BETWEEN_PROGRESS_LINES = 1.0


class Advance(Protocol):
    """Called by a worker each time it has finished some units of work."""

    def __call__(self, units: int = 1) -> None:
        """Note that `units` more are done."""
        ...


def note(event: str, **facts: object) -> None:
    """Report one change of state, with facts whose keys carry their units."""
    _write("info", event, facts)


def warn(event: str, **facts: object) -> None:
    """Report something that a person should look at, though the step goes on."""
    _write("warning", event, facts)


def error(event: str, **facts: object) -> None:
    """Report why the step ends without a result."""
    _write("error", event, facts)


@contextmanager
def progress(label: str, total: int) -> Iterator[Advance]:
    """Show how far `total` units of work have come: a bar on a terminal, now and then a JSON line elsewhere."""
    if for_people():
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(label, total=total)
            yield lambda units=1: bar.advance(task, units)
        return
    done, last = 0, time.monotonic()

    def advance(units: int = 1) -> None:
        nonlocal done, last
        done += units
        now = time.monotonic()
        if now - last >= SECONDS_BETWEEN_PROGRESS_LINES or done >= total:
            last = now
            _write("info", "progress", {"label": label, "done": done, "total": total})

    yield advance


def for_people() -> bool:
    """Whether stderr is a terminal that a person watches."""
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def _write(level: str, event: str, facts: dict[str, object]) -> None:
    if for_people():
        colour = {"warning": "\x1b[33m", "error": "\x1b[31m"}.get(level, "")
        message = facts.get("message")
        told = message if message else "  ".join([event, *(f"{key}={value}" for key, value in facts.items())])
        line = f"{colour}{told}\x1b[0m" if colour else str(told)
    else:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"time": now, "level": level, "event": event, **facts}, default=str)
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
