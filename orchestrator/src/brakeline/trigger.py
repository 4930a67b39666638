"""The run that a watch decides on, submitted once: by `brakeline run` or `brakeline submit` and a key of its own.

The key is on the disk before the command starts, and the command knows it again: whoever is killed in between starts it
again with the same key, and finds the run that is there.
"""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from brakeline.steps import script

_INTERRUPTED = "interrupted"


class To(StrEnum):
    """Where a run goes."""

    LOCAL = "local"
    CLUSTER = "cluster"


@dataclass(frozen=True)
class Outcome:
    """How the command ended. `run` is empty where no run was made, and then `error` says why and `exit_code` how."""

    run: str
    outcome: str
    exit_code: int
    error: str


class Submitter(Protocol):
    """What starts a run; a test may count instead."""

    def start(self, key: str, reason: str) -> None:
        """Start the command for a key, which does nothing that was done for the key before."""

    def outcome(self, wait: bool) -> Outcome | None:
        """How it ended; None while it goes on, and it is not waited for."""

    def stop(self) -> None:
        """End the command, where it goes on."""


@dataclass
class Command:
    """The command as a process; what it says goes to files in `<state>/watch`."""

    to: To
    state: Path
    recorded: str | None
    more: Sequence[str]
    _child: "subprocess.Popen[bytes] | None" = None
    _said: Path = field(default_factory=Path)
    _from: int = 0

    def words(self, key: str, reason: str) -> list[str]:
        """The command line."""
        verb = ["run", "--state", str(self.state)] if self.to is To.LOCAL else ["submit"]
        recorded = ["--recorded", self.recorded] if self.recorded else []
        return [script("brakeline"), *verb, "--idempotency", key, "--reason", reason, "--json", *recorded, *self.more]

    def start(self, key: str, reason: str) -> None:
        """Start it; its own files hold what it says."""
        folder = self.state / "watch"
        folder.mkdir(parents=True, exist_ok=True)
        self._said = folder / f"{key}.json"
        # Appended: an earlier command of this key may live on, whose watch was killed, and say the same in the end.
        with self._said.open("ab") as out, self._said.with_suffix(".log").open("ab") as diary:
            self._from = out.tell()
            self._child = subprocess.Popen(
                self.words(key, reason), stdin=subprocess.DEVNULL, stdout=out, stderr=diary, start_new_session=True
            )

    def outcome(self, wait: bool) -> Outcome | None:
        """What its result says, or the last of its diary."""
        assert self._child is not None
        code = self._child.wait() if wait else self._child.poll()
        if code is None:
            return None
        self._child = None
        told = _result(self._said, self._from)
        if (told.get("status") == _INTERRUPTED) or not told.get("run"):
            lines = self._said.with_suffix(".log").read_text(encoding="utf-8", errors="replace").splitlines()
            error = str(told.get("error") or (lines[-1] if lines else f"ended with {code} and no word"))
            return Outcome("", "", code or 70, error[:1000])
        return Outcome(str(told["run"]), str(told.get("status") or "submitted"), code, str(told.get("error") or ""))

    def stop(self) -> None:
        """Ask it to end, which it does within seconds; a run that is not over is taken up again with its key."""
        if self._child is not None and self._child.poll() is None:
            self._child.terminate()


def _result(file: Path, start: int) -> dict[str, Any]:
    lines = file.read_bytes()[start:].decode("utf-8", "replace").strip().splitlines()
    try:
        told = json.loads(lines[-1]) if lines else {}
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
