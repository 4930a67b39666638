"""How a feature was distributed in the training data, as the model's metadata may tell it."""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

KEY = "brakeline.distribution"
MOST_FEATURES = 64
MOST_BINS = 24  # of a feature's histogram, the last one for missing values
MOST_EDGES = MOST_BINS - 2
_LEAST_SHARE = 1e-4  # an empty bin would make the index infinite


class Training(msgspec.Struct, frozen=True):
    """A feature's rows in the training data: counts up to and with each edge, one more above the last, and missing."""

    edges: list[float]
    counts: list[int]
    missing: int

    @property
    def shares(self) -> NDArray[np.float64]:
        """The share of rows in each bin, (MOST_BINS,), missing ones in the last."""
        return _shares(self.bins)

    @property
    def bins(self) -> NDArray[np.float64]:
        """The counts as a server's histogram has them, (MOST_BINS,)."""
        bins = np.zeros(MOST_BINS)
        bins[: len(self.counts)] = self.counts
        bins[-1] = self.missing
        return bins


def in_order(features: Sequence[str], found: Mapping[str, Training]) -> tuple[tuple[int, Training], ...]:
    """The features' places with what is told of them. Raises ValueError for what is no histogram of a feature."""
    for name, told in found.items():
        if name not in features:
            raise ValueError(f"{name}: found no such feature, allowed {', '.join(features)}")
        if not 1 <= len(told.edges) <= MOST_EDGES or len(told.counts) != len(told.edges) + 1:
            shape = f"{len(told.edges)} edges and {len(told.counts)} counts"
            raise ValueError(f"{name}: found {shape}, allowed 1 to {MOST_EDGES} edges and one count more")
        if sorted(set(told.edges)) != told.edges or min(*told.counts, told.missing) < 0:
            raise ValueError(f"{name}: found edges that do not rise or counts below 0")
    return tuple((features.index(name), told) for name, told in found.items())


def stability(training: Training, seen: NDArray[np.float64]) -> float:
    """The population stability index of counts seen (MOST_BINS,) against the training data; NaN without any.

    Sum over bins of (p - q) ln(p/q), p seen and q training shares; a rule of thumb calls 0.1 a shift, 0.25 a big one.
    """
    if not seen.sum():
        return float("nan")
    p, q = _shares(seen), training.shares
    used = training.bins + seen > 0
    return float(np.sum((p - q)[used] * np.log(p / q)[used]))


def _shares(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    shares: NDArray[np.float64] = np.maximum(counts / max(float(counts.sum()), 1.0), _LEAST_SHARE)
    return shares
