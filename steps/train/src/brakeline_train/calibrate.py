"""Conformal offsets: shift the upper quantile, per bin of what can be observed, until it holds its level.

Conformalised quantile regression (Romano, Patterson, Candès 2019) with offsets per bin of the friction
estimate and one for its absence (Mondrian bins): on exchangeable rows each bin is covered at its level.
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
    """Added to the upper log ratio: `by_bin[k]` where the estimate lies in bin k, `if_missing` without one."""

    edges: tuple[float, ...]
    by_bin: tuple[float, ...]
    if_missing: float

    def of(self, friction: NDArray[np.float32]) -> NDArray[np.float64]:
        """The offset of each row, shape (N,)."""
        table = np.array([*self.by_bin, self.if_missing])
        return table[bins_of(friction)]


def bins_of(friction: NDArray[np.float32]) -> NDArray[np.intp]:
    """Bin number of each row: the count of edges below the estimate, or one past the last bin if missing."""
    edges = np.array(FRICTION_EDGES, dtype=np.float32)
    return np.where(np.isnan(friction), edges.size + 1, np.searchsorted(edges, friction, side="left"))


def calibrate(pair: QuantilePair, held: Rows, contract: Contract) -> Offsets:
    """Offsets from rows that the pair has not seen."""
    shortfall = log_ratio(held, contract) - pair.log_ratios(held.inputs)[1]
    friction = held.inputs[:, contract.names.index(contract.by_role("friction").name)]
    number = bins_of(friction)
    offsets = [_conformal_quantile(shortfall[number == k]) for k in range(len(FRICTION_EDGES) + 2)]
    widest = max([offset for offset in offsets if np.isfinite(offset)], default=float(np.max(shortfall)))
    filled = [float(offset) if np.isfinite(offset) else widest for offset in offsets]
    # No bin may have a smaller offset than one with more friction: the bound never grows with friction.
    filled[:-1] = np.maximum.accumulate(filled[-2::-1])[::-1].tolist()
    return Offsets(FRICTION_EDGES, tuple(filled[:-1]), filled[-1])


def _conformal_quantile(shortfall: NDArray[np.float64]) -> float:
    if shortfall.size < _LEAST_ROWS:
        return float("nan")
    rank = int(np.ceil((shortfall.size + 1) * UPPER_LEVEL))
    return float(np.sort(shortfall)[min(rank, shortfall.size) - 1])
