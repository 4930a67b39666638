"""How a cost grows with a size: a fixed part and a slope, and a power with its interval, which tells where it bends.

Costs are fitted with weights 1/cost, since what a machine disturbs is a share of a cost: `cost = fixed + slope * size`
by least squares, and `cost = fixed + slope * size ** exponent` over a grid of exponents. Its interval holds all
that fit no worse than an F test at 95 % lets them.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import f as f_distribution
from scipy.stats import t as t_distribution

Array = NDArray[np.float64]
LEVEL = 0.95
_EXPONENTS = np.round(np.arange(0.30, 2.71, 0.01), 2)
# An exponent whose interval comes this near to 1 is a straight line to plan by.
_STRAIGHT = 0.10
# An interval as wide as that holds a line as well as a square.
_WIDE = 1.0
# Growth over the measured sizes below this share of the fixed part is none to speak of.
_FLAT = 0.10


class Growth(StrEnum):
    """In a word."""

    FLAT = "hardly grows"
    LINEAR = "linear"
    FASTER = "not linear: faster"
    SLOWER = "not linear: slower"
    UNCLEAR = "too noisy to tell"


@dataclass(frozen=True)
class Fit:
    """A fitted cost: `fixed` and `slope` with their intervals, the exponent with its own, and what is left over.

    `residual` is the greatest difference of the line from a measurement, as a share of it.
    """

    fixed: float
    fixed_low: float
    fixed_high: float
    slope: float
    slope_low: float
    slope_high: float
    exponent: float
    exponent_low: float
    exponent_high: float
    residual: float
    growth: Growth

    def at(self, size: float) -> float:
        """The cost at a size, by the line."""
        return self.fixed + self.slope * size

    def between(self, size: float) -> tuple[float, float]:
        """The cost at a size far beyond those measured, by the ends of the slope's interval."""
        low = max(self.fixed_low, 0.0) + max(self.slope_low, 0.0) * size
        return low, self.fixed_high + self.slope_high * size

    def facts(self) -> dict[str, Any]:
        """As JSON."""
        return {key: str(value) if isinstance(value, Growth) else value for key, value in asdict(self).items()}


def fit(sizes: Sequence[float] | Array, costs: Sequence[float] | Array) -> Fit:
    """Fit N >= 4 measurements, sizes (N,) and costs (N,) above zero; a size may come several times.

    Raises ValueError for fewer than three different sizes, fewer than four measurements, or a cost that is none.
    """
    x, y = np.asarray(sizes, float), np.asarray(costs, float)
    if x.size != y.size or x.size < 4 or np.unique(x).size < 3:
        raise ValueError(f"found {x.size} sizes and {y.size} costs, needed four measurements at three sizes at least")
    if not (np.all(np.isfinite(x)) and np.all(np.isfinite(y)) and np.all(y > 0) and np.all(x >= 0)):
        raise ValueError("sizes and costs must be finite, and costs above zero")
    values, errors = _line(x, y)
    wide = float(t_distribution.ppf(0.5 + LEVEL / 2, x.size - 2)) * errors
    (fixed, slope), (low, high) = values, (values - wide, values + wide)
    exponent, exponents = _exponent(x, y)
    residual = float(np.max(np.abs(fixed + slope * x - y) / y))
    growth = _growth(fixed, slope, float(np.ptp(x)), exponents)
    return Fit(
        float(fixed), float(low[0]), float(high[0]), float(slope), float(low[1]), float(high[1]),
        exponent, *exponents, residual, growth,
    )  # fmt: skip


def _line(x: Array, y: Array) -> tuple[Array, Array]:
    """Fixed part and slope, and their standard errors."""
    design = np.column_stack([np.ones_like(x), x]) / y[:, None]
    values: Array = np.asarray(np.linalg.lstsq(design, np.ones_like(y), rcond=None)[0], float)
    left = float(np.sum((design @ values - 1.0) ** 2)) / (x.size - 2)
    return values, np.asarray(np.sqrt(left * np.diag(np.linalg.inv(design.T @ design))), float)


def _exponent(x: Array, y: Array) -> tuple[float, tuple[float, float]]:
    left = np.array([_left_over(x**power, y) for power in _EXPONENTS])
    best = float(left.min())
    allowed = best * (1.0 + float(f_distribution.ppf(LEVEL, 1, x.size - 3)) / (x.size - 3))
    # Of measurements without any noise nothing is left over, and rounding decides: the grid is as fine as one can tell.
    inside = _EXPONENTS[left <= max(allowed, 1e-12 * x.size)]
    return float(_EXPONENTS[left.argmin()]), (float(inside.min()), float(inside.max()))


def _left_over(powered: Array, y: Array) -> float:
    """The weighted squares that `fixed + slope * powered` leaves, with no negative fixed part: nothing costs less."""
    values, _ = _line(powered, y) if powered.size > 2 else (np.zeros(2), np.zeros(2))
    if values[0] < 0.0:
        share = powered / y
        values = np.array([0.0, float(np.sum(share) / np.sum(share**2))])
    return float(np.sum(((values[0] + values[1] * powered) / y - 1.0) ** 2))


def _growth(fixed: float, slope: float, span: float, exponents: tuple[float, float]) -> Growth:
    if abs(slope) * span < _FLAT * max(fixed, 0.0):
        return Growth.FLAT
    low, high = exponents
    if low > 1.0 + _STRAIGHT:
        return Growth.FASTER
    if high < 1.0 - _STRAIGHT:
        return Growth.SLOWER
    return Growth.UNCLEAR if high - low > _WIDE else Growth.LINEAR


def significant(value: float, digits: int = 2) -> float:
    """A number by its first digits: a fit knows no more."""
    if value == 0.0 or not math.isfinite(value):
        return value
    return float(f"{value:.{digits}g}")
