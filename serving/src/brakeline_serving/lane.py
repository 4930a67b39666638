"""A session's inputs and outputs, bound once for every batch size to memory that is written and read in place.

Binding costs more than running, so all of it is done when the model is loaded. Answers do not depend on how rows are
put together in batches; a test holds the graph to that, bit for bit.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Time per row falls until about here, and a longer run would keep the event loop from other clients.
MOST_ROWS = 128
_DEVICE = "cpu"

Matrix = NDArray[np.float32]
Column = NDArray[np.float32]  # (N, 1)


class Lane:
    """One user's way to a session; `run` may not be called by two at once."""

    def __init__(self, session: Any, inputs: Sequence[str], outputs: Sequence[str], *, eager: bool = False) -> None:
        self._session = session
        self._inputs, self._outputs = tuple(inputs), tuple(outputs)
        self._bound: list[tuple[Any, Matrix, memoryview, Matrix] | None] = [None] * (MOST_ROWS + 1)
        for rows in range(1, MOST_ROWS + 1) if eager else ():
            self._bind(rows)

    def run(self, rows: bytes, count: int) -> Matrix:
        """Answer `count` rows, float32 row after row, with a matrix (outputs, count) that holds until the next call."""
        if count > MOST_ROWS:
            return self._run_in_parts(rows, count)
        binding, given, raw, told = self._bound[count] or self._bind(count)
        if count == 1:
            raw[:] = rows
        else:
            given[:] = np.frombuffer(rows, np.float32).reshape(count, -1).T
        self._session.run_with_iobinding(binding)
        return told

    def _run_in_parts(self, rows: bytes, count: int) -> Matrix:
        width = len(rows) // count
        told = np.empty((len(self._outputs), count), dtype=np.float32)
        for start in range(0, count, MOST_ROWS):
            end = min(start + MOST_ROWS, count)
            told[:, start:end] = self.run(rows[start * width : end * width], end - start)
        return told

    def _bind(self, rows: int) -> tuple[Any, Matrix, memoryview, Matrix]:
        binding = self._session.io_binding()
        given = np.zeros((len(self._inputs), rows), dtype=np.float32)
        told = np.zeros((len(self._outputs), rows), dtype=np.float32)
        for name, column in zip(self._inputs, given, strict=True):
            binding.bind_input(name, _DEVICE, 0, np.float32, [rows, 1], column.ctypes.data)
        for name, column in zip(self._outputs, told, strict=True):
            binding.bind_output(name, _DEVICE, 0, np.float32, [rows, 1], column.ctypes.data)
        made = (binding, given, given.data.cast("B"), told)
        self._bound[rows] = made
        return made
