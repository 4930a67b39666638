"""What a watch remembers from look to look: `<state>/watch.json`, replaced whole, so that a killed one goes on."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from brakeline.drift import Counts
from brakeline.refusals import bad
from brakeline.whole import replace_text

FILE, SCHEMA_VERSION = "watch.json", 1
_PARTS = 10  # of a window: it moves on in steps of a tenth
DECIDED, RUNNING, SUBMITTED, ENDED = "decided", "running", "submitted", "ended"


@dataclass
class Part:
    """What was counted in a part of the window, between two times [s since 1970]."""

    begin_s: float
    end_s: float
    counts: Counts


@dataclass
class Baseline:
    """The mean of bound less median [m] while the model was new, over how many rows, and when that was [s]."""

    spread_m: float
    rows: float
    at_s: float


@dataclass
class Trigger:
    """A run that was decided on: its key, made before anything is submitted, why, and what became of it."""

    key: str
    at_s: float
    reason: str
    to: str
    status: str = DECIDED
    run: str = ""
    outcome: str = ""
    attempts: int = 0
    next_try_s: float = 0.0
    error: str = ""

    @property
    def is_open(self) -> bool:
        """Whether it is still to be submitted, or its end to be learned."""
        return self.status in (DECIDED, RUNNING)


@dataclass
class Memory:
    """The model that is watched, its counts at the last look, the window, what holds and for how long [s]."""

    server: str = ""
    version: str = ""
    sha256: str = ""
    looked_s: float = 0.0
    started: float | None = None
    seen: Counts = field(default_factory=Counts)
    window: list[Part] = field(default_factory=list)
    baseline: Baseline | None = None
    held_s: dict[str, float] = field(default_factory=dict)
    failures: int = 0
    failing_since_s: float | None = None
    trigger: Trigger | None = None
    told: list[str] = field(default_factory=list)

    def total(self) -> Counts:
        """All counts in the window."""
        return sum((part.counts for part in self.window), Counts())

    def add(self, gained: Counts, now_s: float, window_s: float) -> None:
        """Count what was gained since the last look, and let go what is older than the window."""
        last = self.window[-1] if self.window else None
        if last is not None and now_s - last.begin_s <= window_s / _PARTS:
            last.end_s, last.counts = now_s, last.counts + gained
        else:
            self.window.append(Part(self.looked_s, now_s, gained))
        self.window = [part for part in self.window if part.end_s > now_s - window_s]

    def forget_model(self) -> None:
        """Start anew with another model or server; what was decided stays."""
        self.seen, self.window, self.baseline, self.held_s, self.started = Counts(), [], None, {}, None

    def begin_at(self, now_s: float) -> None:
        """Take what was remembered as past: where the clock was set back since, all of it is moved by as much."""
        ahead_s = max(self.looked_s, self.trigger.at_s if self.trigger else 0.0) - now_s
        if ahead_s <= 0.0:
            return
        self.looked_s -= ahead_s
        for part in self.window:
            part.begin_s, part.end_s = part.begin_s - ahead_s, part.end_s - ahead_s
        if self.failing_since_s is not None:
            self.failing_since_s -= ahead_s
        if self.trigger is not None:
            self.trigger.at_s, self.trigger.next_try_s = self.trigger.at_s - ahead_s, self.trigger.next_try_s - ahead_s

    def write(self, state: Path) -> None:
        """Replace the file, which is on the disk before this returns. Raises CannotWrite."""
        content = {"schema_version": SCHEMA_VERSION, **asdict(self)}
        replace_text(state / FILE, json.dumps(content, indent=1) + "\n", on_disk=True)


def read(state: Path) -> Memory:
    """What the last watch wrote, or nothing yet. Raises Refused for a file that no watch wrote."""
    file = state / FILE
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        version = content.pop("schema_version")
        if version != SCHEMA_VERSION:
            raise bad(file, "schema_version", version, f"{SCHEMA_VERSION}; move it away to start anew")
        return _memory(content)
    except FileNotFoundError:
        return Memory()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        found = f"{type(error).__name__}: {error}"
        allowed = "what brakeline watch writes; move it away to start anew, which forgets a run that is decided on"
        raise bad(file, "file", found, allowed) from error


def _memory(content: dict[str, Any]) -> Memory:
    window = [
        Part(float(part["begin_s"]), float(part["end_s"]), Counts.from_json(part["counts"]))
        for part in content.pop("window")
    ]
    seen = Counts.from_json(content.pop("seen"))
    baseline, trigger = content.pop("baseline"), content.pop("trigger")
    return Memory(
        **content,
        seen=seen,
        window=window,
        baseline=None if baseline is None else Baseline(**baseline),
        trigger=None if trigger is None else Trigger(**trigger),
    )
