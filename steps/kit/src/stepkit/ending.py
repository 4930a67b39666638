"""What a step takes back that it did to the world when it is told to end: SIGTERM leaves it less than a second."""

import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from stepkit import diary
from stepkit.errors import StepError

# Of the second in which a step ends; the rest is for its files.
PATIENCE_S = 0.6
_OPEN: list[Callable[[], None]] = []


@contextmanager
def taking_back(action: Callable[[], None]) -> Iterator[None]:
    """Have something taken back if SIGTERM ends the step within a block; leaving the block is the work's own affair.

    The action runs in a thread of its own, beside the work that it ends.
    """
    _OPEN.append(action)
    try:
        yield
    finally:
        _OPEN.remove(action)


@contextmanager
def scratch() -> Iterator[Path]:
    """A temporary folder that goes with the block, and with the step where SIGTERM ends it within."""
    # What the work still writes there meanwhile may be left, and is no news.
    folder = tempfile.TemporaryDirectory(prefix="brakeline-", ignore_cleanup_errors=True)
    with folder as name, taking_back(folder.cleanup):
        yield Path(name)


def take_back() -> None:
    """Take back all that is open, the last first. What fails, or is not done in time, is told."""
    worker = threading.Thread(target=_all, daemon=True)
    worker.start()
    worker.join(PATIENCE_S)
    if worker.is_alive():
        diary.warn("not_taken_back", message=f"not done within {PATIENCE_S:g} s, which is all the time that there is")


def _all() -> None:
    for action in reversed(_OPEN[:]):
        try:
            action()
        except (StepError, OSError) as error:
            diary.warn("not_taken_back", message=f"{type(error).__name__}: {error}")
