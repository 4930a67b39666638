"""What one worker counts, in cells of its own: cheap enough for every request."""

import re
from bisect import bisect_left

from brakeline_serving.cells import (
    BATCH_ROWS,
    ENDPOINTS,
    FIXED,
    LATENCY_S,
    REASONS,
    STATUSES,
    Board,
    take_slot,
)
from brakeline_serving.errors import ServingError

_ERRORS, _LATENCY, _BATCH, _ROWS = (FIXED[name] for name in ("errors", "latency", "batch", "rows"))
_LATENCY_SUM, _BATCH_SUM = _LATENCY + len(LATENCY_S) + 1, _BATCH + len(BATCH_ROWS) + 1
_REQUESTS = {
    (endpoint, status): FIXED["requests"] + row * len(STATUSES) + column
    for row, endpoint in enumerate(ENDPOINTS)
    for column, status in enumerate(STATUSES)
}
_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")


def reason_of(error: ServingError) -> str:
    """An error's name among the reasons that metrics know."""
    return _WORD.sub("_", type(error).__name__).lower()


_REASONS = {reason: FIXED["errors"] + place for place, reason in enumerate(REASONS)}


class Counters:
    """A worker's own cells by name."""

    def __init__(self, board: Board, worker: int = 0) -> None:
        self.board = board
        self.cells = board.cells(worker)

    def request(self, endpoint: str, status: int) -> None:
        """Count one answered request."""
        self.cells[_REQUESTS[endpoint, status]] += 1

    def error(self, error: ServingError) -> None:
        """Count an error by its reason."""
        self.cells[_REASONS[reason_of(error)]] += 1

    def latency(self, seconds: float) -> None:
        """Record the time of one inference in the server [s], from the whole request to the written answer."""
        cells = self.cells
        cells[_LATENCY + bisect_left(LATENCY_S, seconds)] += 1
        cells[_LATENCY_SUM] += seconds

    def batch(self, rows: int) -> None:
        """Record one run of the model."""
        cells = self.cells
        cells[_BATCH + bisect_left(BATCH_ROWS, rows)] += 1
        cells[_BATCH_SUM] += rows
        cells[_ROWS] += rows

    def add(self, name: str, value: float = 1.0) -> None:
        """Add to a fixed cell."""
        self.cells[FIXED[name]] += value

    def set(self, name: str, value: float) -> None:
        """Set a fixed cell, whose sum over workers is a gauge."""
        self.cells[FIXED[name]] = value

    def slot(self, key: float, kept: list[float]) -> int:
        """Where a version's cells begin."""
        return take_slot(self.cells, key, kept)
