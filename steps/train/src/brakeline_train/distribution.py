"""How each feature was distributed in the rows that were fitted on, for whoever watches the model's traffic later.

A feature's edges are the tenths of its known readings, so that each bin had about a tenth of them.
"""

from typing import TypedDict

import numpy as np
from numpy.typing import NDArray
from stepkit.contract import Contract

_BINS = 10


class Histogram(TypedDict):
    """Rows up to and with each edge, then those above the last, and those whose reading is missing."""

    edges: list[float]
    counts: list[int]
    missing: int


def seen_in(inputs: NDArray[np.float32], contract: Contract) -> dict[str, Histogram]:
    """A histogram per feature of `inputs` (N, F), in the contract's order; none for one that is always missing."""
    found: dict[str, Histogram] = {}
    for name, column in zip(contract.names, inputs.T, strict=True):
        known = np.sort(column[~np.isnan(column)])
        if not known.size:
            continue
        # Readings themselves, never between two of them: the same on every machine.
        edges = np.unique(known[[known.size * tenth // _BINS for tenth in range(1, _BINS)]])
        counts = np.bincount(np.searchsorted(edges, known, side="left"), minlength=edges.size + 1)
        found[name] = Histogram(
            edges=edges.astype(np.float64).tolist(), counts=counts.tolist(), missing=int(column.size - known.size)
        )
    return found
