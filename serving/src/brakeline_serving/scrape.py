"""What /metrics answers. Its library is loaded when the server already serves: no start waits for it.

All of it takes milliseconds, so it is put into words part by part, and requests are answered between two parts.
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from brakeline_serving.cells import Board
from brakeline_serving.store import Served

if TYPE_CHECKING:
    from brakeline_serving.metrics import Metrics

Told = Callable[["bytes | Exception", bytes], None]


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

    def tell(self, told: Told) -> None:
        """Call `told` with all metrics in Prometheus' text format, or with what went wrong, and the content type."""
        metrics, said, loop = self.prepare(), list[bytes](), asyncio.get_running_loop()
        parts = metrics.parts()

        def go_on() -> None:
            try:
                part = next(parts, None)
            except Exception as error:  # noqa: BLE001  the one who asked gets it as an answer
                told(error, metrics.content_type)
                return
            if part is None:
                told(b"".join(said), metrics.content_type)
                return
            said.append(part)
            loop.call_soon(go_on)

        go_on()
