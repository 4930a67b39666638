"""The record of a run: `run.json` in the run's folder, rewritten whole as tasks end."""

import contextlib
import fcntl
import json
import os
import shutil
import threading
import time
from dataclasses import InitVar, asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from brakeline.whole import CannotWrite, replace_text

SCHEMA_VERSION = 1
_ALIVE = ".alive"
_STAMP = "%Y%m%dT%H%M%S"
# For folders of a run that is only beginning, and of runs that held no lock yet: only time tells that they ended.
_ENDED_AFTER_S = 24 * 3600.0
# The record of a thousand tasks takes longer to write than a small task takes: all of it anew for each would be the
# square of their number. Beyond a few, writing may take this share of the time.
_SHARE_OF_WRITING, _FEW_TASKS = 0.05, 100
RUNNING, SUCCEEDED, REFUSED, FAILED, INTERRUPTED = "running", "succeeded", "refused", "failed", "interrupted"


@dataclass
class TaskRecord:
    """One task of a run. `scope` tells iterations of a loop apart."""

    name: str
    scope: str
    status: str
    cached: bool
    seconds: float
    artifacts: dict[str, dict[str, Any]] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)
    exit_code: int = 0
    error: str = ""


@dataclass
class RunRecord:
    """All of a run that outlives it; `idempotency` is its caller's key, and `reason` why it was made."""

    run_id: str
    runner: str
    folder: Path
    parameters: dict[str, Any]
    status: str = RUNNING
    error: str = ""
    started_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    seconds: float = 0.0
    tasks: list[TaskRecord] = field(default_factory=list)
    idempotency: str = ""
    reason: str = ""
    is_new: InitVar[bool] = True

    def __post_init__(self, is_new: bool) -> None:
        self._start = self._written = time.monotonic()
        self._writing_s = 0.0
        self._lock = threading.Lock()
        if not is_new:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        # The kernel lets go of it when the process ends, however it ends.
        self._alive = (self.folder / _ALIVE).open("w")
        fcntl.flock(self._alive, fcntl.LOCK_EX)
        try:
            self.write()
        except CannotWrite:
            self._alive.close()
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    @staticmethod
    def read(folder: Path) -> "RunRecord":
        """A run as its record has it. Raises OSError, ValueError, TypeError, KeyError."""
        content = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        tasks = [TaskRecord(**task) for task in content.pop("tasks")]
        known = {name: value for name, value in content.items() if name in RunRecord.__dataclass_fields__}
        return RunRecord(**{**known, "folder": folder, "tasks": tasks}, is_new=False)

    def add(self, task: TaskRecord) -> None:
        """Note that a task ended. What is not written now is written with the next one, or at the end."""
        with self._lock:
            self.tasks.append(task)
            is_soon = time.monotonic() - self._written < self._writing_s / _SHARE_OF_WRITING
        if is_soon and len(self.tasks) > _FEW_TASKS:
            return
        with contextlib.suppress(CannotWrite):
            self.write()

    def end(self, status: str, error: str = "") -> None:
        """Note how the run ended. Raises CannotWrite."""
        self.status, self.error = status, error
        try:
            self.write()
        finally:
            self._alive.close()

    def task(self, name: str) -> TaskRecord | None:
        """The last task of a name, or None where it did not run."""
        return next((task for task in reversed(self.tasks) if task.name == name), None)

    def artifact(self, task: str, output: str) -> dict[str, Any]:
        """URI and metadata of a task's output; empty where there is none."""
        found = self.task(task)
        return found.artifacts.get(output, {}) if found else {}

    def write(self) -> None:
        """Write `run.json` atomically. Raises CannotWrite."""
        with self._lock:
            self.seconds = round(time.monotonic() - self._start, 3)
            began = time.monotonic()
            content = {"schema_version": SCHEMA_VERSION, **asdict(self), "folder": str(self.folder)}
            replace_text(self.folder / "run.json", json.dumps(content, indent=2, default=str) + "\n")
            self._written = time.monotonic()
            self._writing_s = self._written - began


def is_at_work(folder: Path) -> bool:
    """Whether the process of the run in a folder lives."""
    try:
        with (folder / _ALIVE).open() as alive:
            fcntl.flock(alive, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return _began_lately(folder)
    return False


def _began_lately(folder: Path) -> bool:
    with contextlib.suppress(OSError, ValueError):
        content = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        if content.get("status") != RUNNING:
            return False
    with contextlib.suppress(OSError):
        return time.time() - folder.stat().st_mtime < _ENDED_AFTER_S
    return False


def new_run_id(runs: Path | None = None) -> str:
    """A name that is unique on this machine and sorts after all runs in a folder: by time, where no clock was set back.

    Which run is the newest is asked of the names, when runs are pruned above all.
    """
    now, last = datetime.now(UTC).replace(tzinfo=None), datetime.min
    for entry in runs.iterdir() if runs and runs.is_dir() else ():
        with contextlib.suppress(ValueError):
            last = max(last, datetime.strptime(entry.name.partition("-")[0], _STAMP))
    stamp = now if now > last else last + timedelta(seconds=1)
    return f"{stamp:{_STAMP}}-{os.urandom(3).hex()}"
