"""A run that is made once by a key of its caller's: the same call again waits for it, or finds how it ended."""

import fcntl
import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from brakeline.record import FAILED, REFUSED, SUCCEEDED, RunRecord


@contextmanager
def claimed(state: Path, key: str, tell: Callable[[str], None]) -> Iterator[RunRecord | None]:
    """Hold a key for a block. Yields the run that ended under it before, or None where it is for the block to make.

    A run that was killed or interrupted did not end. Without a key nothing is held, and each run is one of its own.
    """
    if not key:
        yield None
        return
    runs = state / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    with (runs / f".once-{hashlib.sha256(key.encode()).hexdigest()[:16]}").open("w") as guard:
        try:
            fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell(f"waits for the run that is under way for {key}")
            fcntl.flock(guard, fcntl.LOCK_EX)
        found = [kept for folder in sorted(runs.iterdir()) if (kept := _ended(folder, key))]
        yield found[-1] if found else None


def _ended(folder: Path, key: str) -> RunRecord | None:
    file = folder / "run.json"
    if not file.is_file() or key not in file.read_text(encoding="utf-8", errors="replace"):
        return None
    kept = RunRecord.read(folder)
    return kept if kept.idempotency == key and kept.status in (SUCCEEDED, REFUSED, FAILED) else None
