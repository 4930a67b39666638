"""What a watch says: a JSON line in `<state>/watch.log.jsonl` for each change, and the same on stderr."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from brakeline.whole import add

FILE = "watch.log.jsonl"


class WatchLog:
    """Appends; a line is written at once, or CannotWrite is raised."""

    def __init__(self, state: Path) -> None:
        self._file = state / FILE

    def note(self, now_s: float, event: str, **facts: Any) -> None:
        """One change, with its facts."""
        at = datetime.fromtimestamp(now_s, UTC).isoformat(timespec="seconds")
        line = json.dumps({"time": at, "event": event, **facts})
        add(self._file, line + "\n")
        if sys.stderr.isatty():
            told = ", ".join(f"{name} {value}" for name, value in facts.items() if value not in (None, "", []))
            Console(stderr=True).print(f"{at} {event.replace('_', ' ')}: {told}", highlight=False, markup=False)
        else:
            print(line, file=sys.stderr, flush=True)
