"""Dataclasses whose fields are arrays with a row for each run: taken apart and joined together."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray


class Rows:
    """A dataclass of arrays, each of shape (N, …)."""

    def take(self, chosen: NDArray[np.intp]) -> Self:
        """The chosen rows, copied."""
        return type(self)(**{entry.name: getattr(self, entry.name)[chosen] for entry in fields(self)})  # type: ignore[arg-type]

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """All rows of the parts, one part after the other."""
        names: list[Any] = list(fields(cls))  # type: ignore[arg-type]
        return cls(**{entry.name: np.concatenate([getattr(part, entry.name) for part in parts]) for entry in names})
