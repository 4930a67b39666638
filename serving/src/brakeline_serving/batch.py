"""Requests that arrive in one turn of the event loop are answered by one run of the model.

What arrives alone is answered in the same turn, as soon as all that the kernel had for the server is read: waiting for
others would cost time, and a turn costs none. Larger requests run in a thread (`bulk`), so that others are not kept.
"""

import asyncio
import time
import traceback

from brakeline_serving import diary
from brakeline_serving.ask import Answers, Ask
from brakeline_serving.bulk import Bulk
from brakeline_serving.cells import SLOT
from brakeline_serving.counters import Counters
from brakeline_serving.errors import InternalError
from brakeline_serving.lane import MOST_ROWS
from brakeline_serving.model import Model
from brakeline_serving.observe import Observer
from brakeline_serving.spin import Spinner

_SUCCESS, _SUCCESS_NS, _FAIL = SLOT["success"], SLOT["success_ns"], SLOT["fail"]
_QUEUE_NS, _INPUT_NS, _INFER_NS, _OUTPUT_NS = (SLOT[f"{part}_ns"] for part in ("queue", "input", "infer", "output"))
_SLOT_ROWS, _RUNS, _LAST_MS = SLOT["rows"], SLOT["runs"], SLOT["last_ms"]


class Batcher:
    """Collects what is asked in one turn of the loop; lives in the loop's thread."""

    def __init__(self, counters: Counters, observer: Observer, bulk: Bulk, spinner: Spinner | None = None) -> None:
        self._counters = counters
        self._observer = observer
        self._bulk = bulk
        self._spinner = spinner or Spinner()
        self._asks: list[Ask] = []
        self._rows = 0

    def add(self, ask: Ask) -> None:
        """Have rows answered. Raises Overloaded for a large request when too many of them wait."""
        if ask.count > MOST_ROWS:
            self._bulk.add(ask, self.finish)
            return
        if not self._asks:
            asyncio.get_running_loop().call_soon(self._flush)
        elif self._rows + ask.count > MOST_ROWS or ask.model is not self._asks[0].model:
            self._run()
        self._asks.append(ask)
        self._rows += ask.count

    def _flush(self) -> None:
        if self._asks:
            self._run()

    def _run(self) -> None:
        asks, self._asks, self._rows = self._asks, [], 0
        began_s = time.perf_counter()
        model: Model = asks[0].model
        if len(asks) == 1:
            rows, count = asks[0].rows, asks[0].count
        else:
            rows, count = b"".join([ask.rows for ask in asks]), sum([ask.count for ask in asks])
        try:
            answers: Answers | Exception = Answers(model.lane.run(rows, count))
        except Exception:  # noqa: BLE001  a bug in one run must not end the server
            diary.error("bug", endpoint="infer", traceback=traceback.format_exc())
            answers = InternalError()
        self.finish(asks, rows, count, answers, began_s, time.perf_counter())
        self._spinner.touch()

    def finish(
        self, asks: list[Ask], rows: bytes, count: int, answers: Answers | Exception, began_s: float, ran_s: float
    ) -> None:
        """Hand the answers out and count; errors of one answer do not reach the others."""
        start = 0
        for ask in asks:
            try:
                ask.finish(ask, answers, start)
            except Exception:  # noqa: BLE001
                diary.error("bug", endpoint="infer", traceback=traceback.format_exc())
                ask.fail(InternalError())
            start += ask.count
        done_s = time.perf_counter()
        counters, cells = self._counters, self._counters.cells
        slot = asks[0].model.slot
        if isinstance(answers, Exception):
            cells[slot + _FAIL] += len(asks)
            return
        asked = len(asks)
        input_s = queue_s = whole_s = 0.0
        for ask in asks:
            input_s += ask.read_s - ask.started_s
            queue_s += began_s - ask.read_s
            whole_s += done_s - ask.started_s
            counters.latency(done_s - ask.started_s)
        cells[slot + _SUCCESS] += asked
        cells[slot + _SUCCESS_NS] += 1e9 * whole_s
        cells[slot + _QUEUE_NS] += 1e9 * queue_s
        cells[slot + _INPUT_NS] += 1e9 * input_s
        cells[slot + _INFER_NS] += 1e9 * (ran_s - began_s) * asked
        cells[slot + _OUTPUT_NS] += 1e9 * (done_s - ran_s) * asked
        cells[slot + _SLOT_ROWS] += count
        cells[slot + _RUNS] += 1
        cells[slot + _LAST_MS] = time.time() * 1e3
        counters.batch(count)
        self._observer.add(asks, rows, answers.matrix)
