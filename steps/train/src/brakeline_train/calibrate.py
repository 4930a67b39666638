"""Conformal offsets: shift the upper quantile, per bin of what can be observed, until it holds its level.

Conformalised quantile regression (Romano, Patterson, Candès 2019) with offsets per bin of the friction
estimate and one for its absence (Mondrian bins): on exchangeable rows each bin is covered at its level. A vehicle class
that this leaves short (a rare one, whose rows hardly move a bin) gets an offset of its own on top.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from stepkit.contract import Contract

from brakeline_train.quantiles import UPPER_LEVEL, QuantilePair, log_ratio
from brakeline_train.rows import Rows

# Between the published levels of ice, snow, wet and dry.
FRICTION_EDGES = (0.2, 0.35, 0.5, 0.65, 0.8, 0.92)
# Fewer rows than this cannot tell a 99 % quantile; such a bin takes the widest offset of all.
_LEAST_ROWS = 300


@dataclass(frozen=True)
class Offsets:
    """Added to the upper log ratio: `by_bin[k]` where the estimate lies in bin k, `if_missing` without one.

    And `by_class[k]`, not below 0, for vehicle class k; the largest where the class is not known.
    """

    edges: tuple[float, ...]
    by_bin: tuple[float, ...]
    if_missing: float
    by_class: tuple[float, ...] = (0.0,)

    def of(self, inputs: NDArray[np.float32], contract: Contract) -> NDArray[np.float64]:
        """The offset of each row of inputs (N, F), shape (N,)."""
        friction, kind = _columns(inputs, contract)
        by_bin = np.array([*self.by_bin, self.if_missing])[bins_of(friction)]
        of_class = np.array([*self.by_class, max(self.by_class)])
        places = np.where(np.isnan(kind), len(self.by_class), np.searchsorted(self.class_edges, kind, side="left"))
        added: NDArray[np.float64] = by_bin + of_class[places]
        return added

    @property
    def class_edges(self) -> NDArray[np.float32]:
        """Between the class numbers."""
        return np.arange(len(self.by_class) - 1, dtype=np.float32) + np.float32(0.5)


def bins_of(friction: NDArray[np.float32]) -> NDArray[np.intp]:
    """Bin number of each row: the count of edges below the estimate, or one past the last bin if missing."""
    edges = np.array(FRICTION_EDGES, dtype=np.float32)
    return np.where(np.isnan(friction), edges.size + 1, np.searchsorted(edges, friction, side="left"))


def calibrate(pair: QuantilePair, held: Rows, contract: Contract) -> Offsets:
    """Offsets from rows that the pair has not seen."""
    shortfall = log_ratio(held, contract) - pair.log_ratios(held.inputs)[1]
    friction, kind = _columns(held.inputs, contract)
    number = bins_of(friction)
    offsets = [_conformal_quantile(shortfall[number == k]) for k in range(len(FRICTION_EDGES) + 2)]
    widest = max([offset for offset in offsets if np.isfinite(offset)], default=float(np.max(shortfall)))
    filled = [float(offset) if np.isfinite(offset) else widest for offset in offsets]
    # No bin may have a smaller offset than one with more friction: the bound never grows with friction.
    filled[:-1] = np.maximum.accumulate(filled[-2::-1])[::-1].tolist()
    left = shortfall - np.array(filled)[number]
    classes = range(int(contract.by_role("vehicle_class").high) + 1)
    found = [_conformal_quantile(left[kind == k]) for k in classes]
    most = max([0.0, *(value for value in found if np.isfinite(value))])
    by_class = tuple(max(0.0, value) if np.isfinite(value) else most for value in found)
    return Offsets(FRICTION_EDGES, tuple(filled[:-1]), filled[-1], by_class)


def _columns(inputs: NDArray[np.float32], contract: Contract) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Friction estimate and vehicle class of each row, shape (N,)."""
    friction, kind = (contract.names.index(contract.by_role(role).name) for role in ("friction", "vehicle_class"))
    return inputs[:, friction], inputs[:, kind]


def _conformal_quantile(shortfall: NDArray[np.float64]) -> float:
    if shortfall.size < _LEAST_ROWS:
        return float("nan")
    rank = int(np.ceil((shortfall.size + 1) * UPPER_LEVEL))
    return float(np.sort(shortfall)[min(rank, shortfall.size) - 1])
