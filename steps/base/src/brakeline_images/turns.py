"""A build's turn: one at a time in a tree, and over when it is told to end."""

import fcntl
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from brakeline_images import processes
from brakeline_images.errors import Interrupted
from brakeline_images.plan import ROOM


@contextmanager
def alone(tell: Callable[[str], None]) -> Iterator[None]:
    """One build at a time in this tree: two would write one lock."""
    room = os.open(ROOM, os.O_RDONLY)
    try:
        try:
            fcntl.flock(room, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell("another build is at work in this tree: waiting for its end")
            fcntl.flock(room, fcntl.LOCK_EX)
        yield
    finally:
        os.close(room)


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGINT and SIGTERM become an exception, so that scratch is removed and programs are ended."""

    def interrupt(number: int, _: FrameType | None) -> NoReturn:
        raise Interrupted(number)

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def leave(interrupted: Interrupted, tell: Callable[[str], None]) -> NoReturn:
    """End this process at once. The engine drops a build whose caller is gone, so nobody waits for its threads."""
    processes.end_all()
    tell(str(interrupted))
    sys.stdout.flush()
    os._exit(interrupted.exit_code)
