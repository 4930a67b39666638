"""Large requests, run one after the other in a thread of their own, beside the event loop's small ones."""

import asyncio
import threading
import time
import traceback
from collections.abc import Callable
from queue import SimpleQueue

from brakeline_serving import diary
from brakeline_serving.ask import Answers, Ask
from brakeline_serving.counters import Counters
from brakeline_serving.errors import InternalError, Overloaded

MOST_WAITING_ROWS = 100_000  # about a second of work

Finish = Callable[[list[Ask], bytes, int, Answers | Exception, float, float], None]


class Bulk:
    """A queue, bounded in rows, and the thread that works it off; filled and answered in the loop's thread."""

    def __init__(self, counters: Counters, most_waiting_rows: int = MOST_WAITING_ROWS) -> None:
        self._counters = counters
        self._most = most_waiting_rows
        self._waiting = 0
        self._queue: SimpleQueue[tuple[Ask, Finish, asyncio.AbstractEventLoop]] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def add(self, ask: Ask, finish: Finish) -> None:
        """Have a request run. Raises Overloaded."""
        if self._waiting + ask.count > self._most:
            raise Overloaded("rows", self._most)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="bulk", daemon=True)
            self._thread.start()
        self._count(ask.count)
        self._queue.put((ask, finish, asyncio.get_running_loop()))

    def _count(self, rows: int) -> None:
        self._waiting += rows
        self._counters.set("waiting", self._waiting)

    def _work(self) -> None:
        while True:
            ask, finish, loop = self._queue.get()
            began_s = time.perf_counter()
            try:
                answers: Answers | Exception = Answers(ask.model.beside.run(ask.rows, ask.count))
            except Exception:  # noqa: BLE001  a bug in one run must not end the thread
                diary.error("bug", endpoint="infer", traceback=traceback.format_exc())
                answers = InternalError()
            loop.call_soon_threadsafe(self._done, ask, finish, answers, began_s, time.perf_counter())

    def _done(self, ask: Ask, finish: Finish, answers: Answers | Exception, began_s: float, ran_s: float) -> None:
        self._count(-ask.count)
        finish([ask], ask.rows, ask.count, answers, began_s, ran_s)
