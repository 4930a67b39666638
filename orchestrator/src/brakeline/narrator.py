"""What a person or a log sees of a run: bars and lines on a terminal, JSON lines elsewhere, all on stderr."""

import json
import sys
import threading
from types import TracebackType
from typing import Any, Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn


class Narrator(Protocol):
    """Told of every task; `said` gets each JSON line of a step's diary."""

    def started(self, task: str) -> None:
        """A task begins."""
        ...

    def said(self, task: str, line: dict[str, Any]) -> None:
        """A step wrote a line."""
        ...

    def ended(self, task: str, status: str, seconds: float, cached: bool) -> None:
        """A task ends."""
        ...

    def tell(self, message: str) -> None:
        """Something about the whole run."""
        ...

    def __enter__(self) -> "Narrator": ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class ForMachines:
    """One JSON line per event."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def started(self, task: str) -> None:
        """A task begins."""
        self._write({"event": "started", "task": task})

    def said(self, task: str, line: dict[str, Any]) -> None:
        """A step wrote a line."""
        self._write({**line, "task": task})

    def ended(self, task: str, status: str, seconds: float, cached: bool) -> None:
        """A task ends."""
        self._write({"event": "ended", "task": task, "status": status, "seconds": round(seconds, 3), "cached": cached})

    def tell(self, message: str) -> None:
        """Something about the whole run."""
        self._write({"event": "run", "message": message})

    def _write(self, line: dict[str, Any]) -> None:
        with self._lock:
            sys.stderr.write(json.dumps(line, default=str) + "\n")
            sys.stderr.flush()

    def __enter__(self) -> "ForMachines":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return


class ForPeople:
    """A bar per running task, a line per ended one."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        self._bars = Progress(*columns, console=self._console, transient=True)
        self._running: dict[str, TaskID] = {}

    def started(self, task: str) -> None:
        """A task begins."""
        self._running[task] = self._bars.add_task(escape(task), total=None)

    def said(self, task: str, line: dict[str, Any]) -> None:
        """A step wrote a line: progress moves its bar, a warning or an error is shown."""
        if line.get("event") == "progress" and task in self._running:
            self._bars.update(self._running[task], completed=line["done"], total=line["total"])
        elif line.get("level") in ("warning", "error"):
            self._console.print(f"[yellow]{escape(task)}: {escape(str(line.get('message') or line.get('event')))}[/]")

    def ended(self, task: str, status: str, seconds: float, cached: bool) -> None:
        """A task ends."""
        if task in self._running:
            self._bars.remove_task(self._running.pop(task))
        good = status == "succeeded"
        mark, took = ("[green]✓[/]" if good else "[red]✗[/]"), "unchanged" if cached else f"{seconds:.1f} s"
        self._console.print(f"{mark} {escape(task)}  [dim]{took}[/]", highlight=False)

    def tell(self, message: str) -> None:
        """Something about the whole run."""
        self._console.print(escape(message), highlight=False)

    def __enter__(self) -> "ForPeople":
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()


def narrator() -> Narrator:
    """The one for whoever watches stderr."""
    return ForPeople() if sys.stderr.isatty() else ForMachines()
