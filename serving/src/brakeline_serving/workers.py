"""The parent of several workers: starts them, starts anew what was killed, passes signals on, and serves nothing.

Workers are forked before anything heavy is loaded. Each holds a pipe whose other end is the parent's, so that none
outlives it.
"""

import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType

from brakeline_serving import diary
from brakeline_serving.cells import FIXED, Board
from brakeline_serving.listeners import Listeners
from brakeline_serving.settings import Settings
from brakeline_serving.wishes import Wishes

REFUSED = (65, 69)  # what a worker ends with when the next one would end so as well
_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0
_LATELY_S = 60.0
_POLL_S = 0.02
_PATIENCE_S = 6.0  # a worker promises to end within 5 s
_ENDS = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True)
class Place:
    """A worker's place among the others, and the pipe that closes with the parent, if there is one."""

    board: Board
    wishes: Wishes
    number: int
    parent: int | None


@dataclass
class _Parent:
    settings: Settings
    listening: Listeners
    announce: Callable[[], object]
    board: Board
    wishes: Wishes = field(default_factory=Wishes)
    stopping: bool = False
    code: int = 0
    pids: dict[int, int] = field(default_factory=dict)  # to worker numbers
    failures: int = 0  # lately
    failed_s: float = 0.0

    def run(self) -> int:
        """Live until a signal and the workers' ends; returns the exit code."""
        for caught in _ENDS:
            signal.signal(caught, self._stop)
        self.ready, self._ready_write = os.pipe()
        self._alive, self._held = os.pipe()  # nothing is ever written; it closes with the parent
        for number in range(self.settings.workers):
            self._start(number)
        awaited, deadline = self.settings.workers, 0.0
        os.set_blocking(self.ready, False)
        while self.pids:
            self._reap()
            if awaited:
                awaited -= len(_read(self.ready))
                if awaited <= 0 and not self.stopping:
                    awaited = 0
                    self.announce()
            if self.settings.until_stdin_closes and not self.stopping and _is_closed(sys.stdin.fileno()):
                self._end()
            if self.stopping and not deadline:
                deadline = time.monotonic() + self.settings.withdrawal_s + _PATIENCE_S
            if deadline and time.monotonic() > deadline:
                self._signal(signal.SIGKILL)
            time.sleep(_POLL_S)
        return self.code

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._end()

    def _end(self) -> None:
        self.stopping = True
        # First, so that the last to close a socket is its worker, which takes the connections that wait there.
        self.listening.close()
        self._signal(signal.SIGTERM)

    def _signal(self, number: int) -> None:
        for pid in tuple(self.pids):
            with contextlib.suppress(ProcessLookupError):  # it ended by itself
                os.kill(pid, number)

    def _start(self, number: int) -> None:
        # A signal to a worker that is still loading must not be taken by the parent's handler, which it inherits.
        signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
        try:
            if self.stopping:
                return
            pid = os.fork()
            if pid == 0:
                for caught in _ENDS:
                    signal.signal(caught, signal.SIG_DFL)
                signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDS)
                os._exit(self._be_worker(number))
            self.pids[pid] = number
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDS)

    def _reap(self) -> None:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        number = self.pids.pop(pid)
        for gauge in ("connections", "waiting", "ready"):
            self.board.cells(number)[FIXED[gauge]] = 0.0
        code = os.waitstatus_to_exitcode(status)
        if self.stopping:
            return
        if code in REFUSED:
            self.code = code
            self._end()
            return
        diary.warn("worker_restarted", worker=number, exit_code=code)
        now_s = time.monotonic()
        self.failures = self.failures + 1 if now_s < self.failed_s + _LATELY_S else 1
        self.failed_s = now_s
        # A worker that cannot live must not keep the machine busy with its deaths.
        time.sleep(min(_PAUSE_S * self.failures, _LONGEST_PAUSE_S) if self.failures > self.settings.workers else 0.0)
        self._start(number)

    def _be_worker(self, number: int) -> int:
        os.close(self._held)
        os.close(self.ready)
        self.listening.keep_only(number)
        from brakeline_serving.server import serve_as_worker  # noqa: PLC0415  the parent does without

        place = Place(self.board, self.wishes, number, self._alive)
        return serve_as_worker(self.settings, self.listening, place, lambda: os.write(self._ready_write, b"."))


def run(settings: Settings, listening: Listeners, announce: Callable[[], object]) -> int:
    """Serve by several workers until a signal; returns the exit code."""
    return _Parent(settings, listening, announce, Board(settings.workers)).run()


def _read(pipe: int) -> bytes:
    try:
        return os.read(pipe, 64)
    except BlockingIOError:
        return b""


def _is_closed(pipe: int) -> bool:
    """Whether the other end closed; what came from it is of no interest."""
    return bool(select.select([pipe], [], [], 0)[0]) and not os.read(pipe, 4096)
