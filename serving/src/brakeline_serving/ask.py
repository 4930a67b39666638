"""What is asked of a model, whatever the transport, and the answers of one run to all who asked together."""

import time
from collections.abc import Callable
from typing import Any

import msgspec

from brakeline_serving import diary
from brakeline_serving.lane import Matrix

_encode = msgspec.json.Encoder().encode


class Form:
    """Which outputs a reply has, by name and place in the graph, and which of them are binary (none: ()).

    `template` is the JSON of a reply of one row, all of it plain or all binary; `columns` selects such an answer.
    """

    __slots__ = ("binary", "columns", "names", "places", "template")

    def __init__(self, names: tuple[str, ...], places: tuple[int, ...], binary: tuple[bool, ...], template: bytes):
        self.names = names
        self.places = places
        in_order = places == tuple(range(places[0], places[0] + len(places)))
        self.columns: slice | list[int] = slice(places[0], places[0] + len(places)) if in_order else list(places)
        self.binary = binary
        self.template = template


class Ask:
    """`count` rows of float32, row after row, for one model; `finish` is called once with the answers or an error."""

    __slots__ = ("count", "finish", "form", "id", "model", "parameters", "read_s", "rows", "started_s", "trace")

    model: Any
    finish: "Callable[[Ask, Answers | Exception, int], None]"

    def __init__(
        self, rows: bytes, count: int, form: Form, id_: str | None = None, parameters: dict[str, Any] | None = None
    ) -> None:
        self.rows = rows
        self.count = count
        self.form = form
        self.id = id_
        self.parameters = parameters
        self.trace: bytes | None = None
        self.started_s = 0.0
        self.read_s = 0.0

    def fail(self, error: Exception) -> None:
        """Answer with an error after the answers could not be told."""
        try:
            self.finish(self, error, 0)
        except Exception as second:  # noqa: BLE001  there is nobody left to tell but the log
            diary.error("bug", endpoint="infer", message=f"not answered: {second}")


class Answers:
    """The matrix (outputs, rows) of one run, valid until the next, and its numbers as JSON."""

    __slots__ = ("_numbers", "matrix")

    def __init__(self, matrix: Matrix) -> None:
        self.matrix = matrix
        self._numbers: list[bytes] = []

    def numbers(self, row: int) -> list[bytes]:
        """A row's outputs as JSON numbers, null for what is not finite."""
        if not self._numbers:
            self._numbers = _encode(self.matrix.T.ravel().tolist())[1:-1].split(b",")
        width = len(self.matrix)
        return self._numbers[row * width : (row + 1) * width]


def now_s() -> float:
    """The clock of everything that is measured [s]."""
    return time.perf_counter()
