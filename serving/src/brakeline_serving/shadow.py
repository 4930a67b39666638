"""The second version's copy of the traffic: it answers in a thread, and only the difference is kept.

It never holds the traffic up: when it is behind, rows are dropped and counted.
"""

import threading
import traceback
from queue import Full, Queue

import numpy as np

from brakeline_serving import diary
from brakeline_serving.cells import DIFFERENCE_M, SLOT
from brakeline_serving.counters import Counters
from brakeline_serving.lane import Lane, Matrix
from brakeline_serving.model import Model
from brakeline_serving.observe import histogram

_MOST_BLOCKS = 16

_Block = tuple[Model, Model, Matrix, Matrix]


class Shadow:
    """Compares `model`, if there is one, with what `primary` answers; other versions' answers are none of its."""

    def __init__(self, counters: Counters) -> None:
        self.model: Model | None = None
        self.primary: Model | None = None
        self._counters = counters
        self._queue: Queue[_Block] = Queue(_MOST_BLOCKS)
        self._thread: threading.Thread | None = None
        self._lane: tuple[Model, Lane] | None = None

    def offer(self, model: Model, rows: Matrix, answers: Matrix) -> None:
        """Take rows (N, features) and the primary's answers (N, outputs), or drop them; never wait."""
        if self.model is None or model is not self.primary:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="shadow", daemon=True)
            self._thread.start()
        try:
            self._queue.put_nowait((self.model, model, rows, answers))
        except Full:
            self._counters.add("shadow_dropped", len(rows))

    def _work(self) -> None:
        while True:
            try:
                self._compare(*self._queue.get())
            except Exception:  # noqa: BLE001  the shadow must not harm the server, nor end unseen
                diary.error("bug", endpoint="shadow", traceback=traceback.format_exc())

    def _compare(self, shadow: Model, model: Model, rows: Matrix, answers: Matrix) -> None:
        if self._lane is None or self._lane[0] is not shadow:
            self._lane = (shadow, shadow.new_lane())
        if shadow.parts.median is None or model.parts.median is None:
            return
        told = self._lane[1].run(as_asked(rows, model.features, shadow.features), len(rows))
        difference = told[shadow.parts.median].astype(np.float64) - answers[:, model.parts.median]
        cells, start = self._counters.cells, shadow.slot + SLOT["difference"]
        histogram(cells, start, DIFFERENCE_M, difference)
        # A number beside none is as far apart as can be; it adds nothing to the sum.
        alone = np.isfinite(told[shadow.parts.median]) != np.isfinite(answers[:, model.parts.median])
        cells[start + len(DIFFERENCE_M)] += int(np.count_nonzero(alone))


def as_asked(rows: Matrix, features: tuple[str, ...], others: tuple[str, ...]) -> bytes:
    """Rows of one model's features as rows of another's, matched by name; what is not there is missing."""
    if features == others:
        return rows.tobytes()
    places = {name: place for place, name in enumerate(features)}
    asked = np.full((len(rows), len(others)), np.nan, dtype=np.float32)
    for place, name in enumerate(others):
        if name in places:
            asked[:, place] = rows[:, places[name]]
    return asked.tobytes()
