"""What the rows and their answers say about the world: counted in blocks, so that a request pays for little of it.

Counts are out of range, out of distribution, the histogram of each feature on the edges of the training data, the
margin (gap to the object ahead less the bound [m]) and the spread (bound less median [m]). Blocks are handed on to the
shadow and, request by request, to the prediction log.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from brakeline_serving.ask import Ask
from brakeline_serving.cells import MARGIN_M, SLOT, SPREAD_M, Cells
from brakeline_serving.counters import Counters
from brakeline_serving.distribution import MOST_BINS
from brakeline_serving.lane import Matrix
from brakeline_serving.model import Model

BLOCK_ROWS = 256
OUT_OF_DISTRIBUTION = 3.0  # of `ood_score`: 0 is usual, 3 and more beyond the training data
RAISED = 0.5  # a flag above it is raised


class Shadow(Protocol):
    """What gets a copy of the traffic."""

    def offer(self, model: Model, rows: Matrix, answers: Matrix) -> None:
        """Take rows (N, features) and the primary's answers (N, outputs), or drop them; never wait."""


class Log(Protocol):
    """What keeps predictions."""

    def offer(self, asks: list[Ask], answers: Matrix) -> None:
        """Take some of the requests with their answers (outputs, rows), or drop them; never wait."""


class Observer:
    """Collects rows of one model at a time; lives in the event loop's thread."""

    def __init__(self, counters: Counters, shadow: Shadow | None = None, log: Log | None = None) -> None:
        self._counters = counters
        self._shadow = shadow
        self._log = log
        self._model: Model | None = None
        self._rows: list[bytes] = []
        self._answers: list[bytes] = []
        self._count = 0

    def add(self, asks: list[Ask], rows: bytes, answers: Matrix) -> None:
        """Note a run: rows float32 row after row, answers (outputs, rows)."""
        model = asks[0].model
        if model is not self._model:
            self.settle()
            self._model = model
        self._rows.append(rows)
        self._answers.append(answers.T.tobytes())
        self._count += answers.shape[1]
        if self._log is not None:
            self._log.offer(asks, answers)
        if self._count >= BLOCK_ROWS:
            self.settle()

    def settle(self) -> None:
        """Count what was collected so far."""
        if self._model is None or not self._count:
            return
        rows = np.frombuffer(b"".join(self._rows), np.float32).reshape(self._count, -1)
        answers = np.frombuffer(b"".join(self._answers), np.float32).reshape(self._count, -1)
        self._rows, self._answers, self._count = [], [], 0
        self._counts(self._model, rows, answers)
        if self._shadow is not None:
            self._shadow.offer(self._model, rows, answers)

    def _counts(self, model: Model, rows: Matrix, answers: Matrix) -> None:
        counters, cells, slot, part = self._counters, self._counters.cells, model.slot, model.parts
        for flag in part.flags:
            counters.add("out_of_range", int(np.count_nonzero(answers[:, flag] > RAISED)))
        if part.ood is not None:
            counters.add("out_of_distribution", int(np.count_nonzero(answers[:, part.ood] >= OUT_OF_DISTRIBUTION)))
        if part.upper is not None:
            upper = answers[:, part.upper].astype(np.float64)
            fit = np.ones(len(upper), dtype=bool)
            for flag in part.flags:  # the worst case of the fail-safe is no spread and no margin of the model's
                fit &= answers[:, flag] <= RAISED
            if part.median is not None:
                histogram(cells, slot + SLOT["spread"], SPREAD_M, upper[fit] - answers[fit, part.median])
            if part.gap is not None:
                histogram(cells, slot + SLOT["margin"], MARGIN_M, rows[fit, part.gap] - upper[fit])
        start = slot + SLOT["features"]
        for column, training in model.distribution:
            values = rows[:, column]
            # NaN sorts behind everything, and so has the last bin to itself.
            places = np.searchsorted(training.edges, values, side="left")
            places[np.isnan(values)] = MOST_BINS - 1
            _add(cells, start + column * MOST_BINS, np.bincount(places, minlength=1))


def histogram(cells: Cells, start: int, bounds: tuple[float, ...], values: NDArray[np.float64]) -> None:
    """Add values to a histogram's counts at `start`, one more than the bounds, and to the sum behind them."""
    known = values[np.isfinite(values)]
    if known.size:
        _add(cells, start, np.bincount(np.searchsorted(bounds, known, side="left"), minlength=1))
        cells[start + len(bounds) + 1] += float(known.sum())


def _add(cells: Cells, start: int, counts: NDArray[np.int64]) -> None:
    for place, count in enumerate(counts.tolist()):
        if count:
            cells[start + place] += count
