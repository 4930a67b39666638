"""A run that is made once by a key of its caller's: the same call again waits for it, or finds how it ended."""

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from brakeline.record import FAILED, REFUSED, SUCCEEDED, RunRecord

GUARD = ".once-"


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
    with _locked(guard(state, key), lambda: tell(f"waits for the run that is under way for {key}")):
        found = [kept for folder in sorted(runs.iterdir()) if (kept := _ended(folder, key))]
        yield found[-1] if found else None


def guard(state: Path, key: str) -> Path:
    """The file that is locked while a call with a key is at work; it holds nothing."""
    return state / "runs" / f"{GUARD}{hashlib.sha256(key.encode()).hexdigest()[:16]}"


@contextmanager
def _locked(file: Path, waits: Callable[[], None]) -> Iterator[None]:
    while True:
        with file.open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waits()
                fcntl.flock(lock, fcntl.LOCK_EX)
            os.utime(lock.fileno())
            # Pruned while we waited, it is the lock of nobody else any more.
            if _is_in_place(file, lock.fileno()):
                yield
                return


def _is_in_place(file: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(file.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _ended(folder: Path, key: str) -> RunRecord | None:
    file = folder / "run.json"
    if not file.is_file() or key not in file.read_text(encoding="utf-8", errors="replace"):
        return None
    kept = RunRecord.read(folder)
    return kept if kept.idempotency == key and kept.status in (SUCCEEDED, REFUSED, FAILED) else None
