"""Distributions that are drawn from here and weighed by the noise floor: one form, so that both mean the same."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_TABLE_REACH, _TABLE_SIZE = 9.0, 18_001
_TABLE_X = np.linspace(-_TABLE_REACH, _TABLE_REACH, _TABLE_SIZE)
_TABLE_Y = np.array([0.5 * math.erfc(-x / math.sqrt(2.0)) for x in _TABLE_X.tolist()])


@dataclass(frozen=True)
class Truncated:
    """A normal distribution between two bounds. Fields are numbers, or arrays of one shape with a number per row."""

    mean: float | Array
    sd: float | Array
    low: float | Array
    high: float | Array

    def draw(self, rng: np.random.Generator, n: int) -> Array:
        """n values, shape (n,): what lies outside is drawn again until it lies inside."""
        mean, sd, low, high = (np.broadcast_to(np.asarray(v, dtype=np.float64), n) for v in self._parts())
        values = rng.normal(mean, sd)
        while (outside := np.flatnonzero((values < low) | (values > high))).size:
            values[outside] = rng.normal(mean[outside], sd[outside])
        return values

    def by_row(self, x: Array) -> Array:
        """Density at x, shape (N, C), of a distribution for each row: fields are of shape (N,)."""
        mean, sd, low, high = (np.reshape(part, (-1, 1)) for part in self._parts())
        within = normal_cdf((high - mean) / sd) - normal_cdf((low - mean) / sd)
        inside = (x >= low) & (x <= high)
        density: Array = np.where(inside, normal_density((x - mean) / sd) / (sd * within), 0.0)
        return density

    def _parts(self) -> tuple[float | Array, float | Array, float | Array, float | Array]:
        return self.mean, self.sd, self.low, self.high


def normal_density(z: Array) -> Array:
    """Density of the standard normal distribution."""
    density: Array = np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    return density


def normal_cdf(z: Array) -> Array:
    """Distribution function of the standard normal, from a table of the C library's erfc; error below 5e-8."""
    found: Array = np.interp(z, _TABLE_X, _TABLE_Y)
    return found
