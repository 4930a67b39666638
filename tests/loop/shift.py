"""A server whose traffic shifts, a watch at it, and a clock of the test's own."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from brakeline.rule import Rule
from brakeline.server_metrics import Address
from brakeline.trigger import Outcome
from brakeline.watch import Looked, Watch

from tests.loop import traffic
from tests.serving.conftest import Server

LOOK_S, ROWS = 30.0, 500
# Time is the test's own: three minutes are six looks.
RULE = Rule(psi=0.25, out_of_range=None, widening_m=None, coverage=False, for_s=180.0, window_s=60.0, rows=400)


@dataclass
class Counting:
    """Keeps the keys of the runs that were started, and says that each went well, or raises what a test wants."""

    keys: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    outcomes: list[Outcome | BaseException] = field(default_factory=list)

    def start(self, key: str, reason: str) -> None:
        """Note a start."""
        self.keys.append(key)
        self.reasons.append(reason)

    def outcome(self, wait: bool) -> Outcome | None:
        """The outcome that the test wants, else a run that was submitted."""
        told = self.outcomes.pop(0) if self.outcomes else Outcome(f"run-{len(self.keys)}", "submitted", 0, "")
        if isinstance(told, BaseException):
            raise told
        return told

    def stop(self) -> None:
        """Nothing goes on."""


@dataclass
class Scene:
    """Traffic of a world to a server between looks at it."""

    server: Server
    state: Path
    rule: Rule = RULE
    now_s: float = 1.8e9
    dry_run: bool = False
    submitter: Counting = field(default_factory=Counting)
    longest_gap_s: float = math.inf

    def __post_init__(self) -> None:
        self.state.mkdir(exist_ok=True)
        self._rng = np.random.default_rng(0)
        self.start_watch()

    def start_watch(self) -> None:
        """A new watch on the same state, as after a kill."""
        self.watch = Watch(
            Address(self.server.url), self.rule, self.state, self.submitter, "local", lambda: self.now_s, self.dry_run,
            longest_gap_s=self.longest_gap_s,
        )  # fmt: skip

    def look(self, world: traffic.World | None, rows: int = ROWS, after_s: float = LOOK_S) -> Looked:
        """Some traffic, some time, and a look."""
        if world is not None:
            traffic.ask(self.server, world, self._rng.permutation(world.rows.height)[:rows].tolist())
        self.now_s += after_s
        return self.watch.step()

    def looks(self, world: traffic.World | None, count: int) -> list[str]:
        """Several of them; returns what each came to."""
        return [self.look(world).status for _ in range(count)]

    @property
    def events(self) -> list[dict[str, Any]]:
        """The lines of the watch's log."""
        return [json.loads(line) for line in (self.state / "watch.log.jsonl").read_text().splitlines()]

    def said(self, event: str) -> list[dict[str, Any]]:
        """The lines of one event."""
        return [line for line in self.events if line["event"] == event]

    @property
    def memory(self) -> dict[str, Any]:
        """watch.json."""
        return dict(json.loads((self.state / "watch.json").read_text()))
