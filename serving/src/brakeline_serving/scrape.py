"""What /metrics answers. Its library is loaded when the server already serves: no start waits for it."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from brakeline_serving.cells import Board
from brakeline_serving.store import Served

if TYPE_CHECKING:
    from brakeline_serving.metrics import Metrics


class Scrape:
    """All metrics of a server; `served` says what is served, `settle` counts what was collected in blocks."""

    def __init__(self, name: str, board: Board, served: Callable[[], Served], settle: Callable[[], None]) -> None:
        self._told = name, board, served, settle
        self._metrics: Metrics | None = None

    def prepare(self) -> "Metrics":
        """Load what the first scrape needs."""
        if self._metrics is None:
            from brakeline_serving.metrics import Metrics  # noqa: PLC0415

            self._metrics = Metrics(*self._told)
        return self._metrics

    def exposition(self) -> tuple[bytes, bytes]:
        """All metrics in Prometheus' text format, and its content type."""
        metrics = self.prepare()
        return metrics.exposition(), metrics.content_type
