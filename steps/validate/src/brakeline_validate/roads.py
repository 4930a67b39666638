"""A share of rows as it would be on other roads: the mixture of surfaces taken out of it.

Where half of the roads are slippery a grip reading that is stuck high hides more than where an eighth of them is,
whatever the model. Direct standardisation (Fleiss, Levin, Paik 2003, chapter 19) weighs the share on each surface by
one mixture,

    p = sum_s w_s p_s,     p_s = m_s / n_s,     sum_s w_s = 1,

so that one limit holds in every scenario. Rows of a drive are alike, and all on one surface: with r_g the sum of
w_s / n_s (hit - p_s) over the rows of drive g, the variance of p is V = sum_g r_g². Wilson's interval follows with as
many rows as would show it, p (1 - p) / V.

A surface that too few rows are on is left out, and its weight goes to the others: the share is then one on the roads
that are left. Whoever tells it tells what was left out.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from brakeline_validate.intervals import USUAL_Z, Share, wilson

# A year of mixed driving in a temperate climate [U]: the roads of the default scenario, for which limits are stated.
USUAL = {"dry": 0.65, "wet": 0.22, "snow": 0.08, "ice": 0.05}
# Fewer rows of a surface come from a few drives, and say nothing of it: the other surfaces share its weight.
LEAST_ROWS = 30


@dataclass(frozen=True)
class RoadShare(Share):
    """A share on usual roads, and the surfaces that it says nothing of."""

    left_out: tuple[str, ...] = ()


def on_usual_roads(
    hits: NDArray[np.bool_], surface: NDArray[np.str_], drive: NDArray[np.int64], z: float = USUAL_Z
) -> RoadShare:
    """Share of rows that are hit, were they on usual roads, with an interval of z standard deviations; arrays (N,).

    NaN where a surface is not known, or no surface has rows enough.
    """
    rows = {str(name): surface == name for name in np.unique(surface)}
    weights = {
        name: USUAL.get(name, np.nan) for name, of in rows.items() if name not in USUAL or of.sum() >= LEAST_ROWS
    }
    left_out = tuple(name for name in USUAL if name not in weights)
    whole = sum(weights.values())
    if not whole > 0.0:
        return RoadShare(hits.size, float("nan"), float("nan"), float("nan"), left_out)
    weight, expected = np.zeros(hits.size), np.zeros(hits.size)
    for name, share in weights.items():
        of = rows[name]
        weight[of], expected[of] = share / whole / of.sum(), hits[of].mean()
    p = min(float(weight @ expected), 1.0)
    _, number = np.unique(drive, return_inverse=True)
    left = np.bincount(number, weights=weight * (hits - expected))
    variance = float(left @ left)
    low, high = wilson(p, p * (1.0 - p) / variance, z) if variance > 0.0 and 0.0 < p < 1.0 else (p, p)
    return RoadShare(hits.size, p, low, high, left_out)
