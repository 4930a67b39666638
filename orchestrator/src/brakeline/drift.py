"""What a server counted between two looks at it, and how far that is from what its model was trained on.

A server counts since its start, so drift that begins after a long good time is lost in its own index. Here counts are
subtracted first. The population stability index of shares p seen and q in the training data is

    PSI = sum over bins (p - q) ln(p / q)

with a bin for each step of the model's edges and one for missing readings; a rule of thumb calls 0.1 a shift and 0.25
a big one. N rows that did not drift at all have an index of about (bins - 1) / N.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

_LEAST_SHARE = 1e-4  # the server's own floor: an empty bin would make the index infinite


@dataclass(frozen=True)
class Counts:
    """Sums over rows: answered, out of range, with a spread (bound less median), their spread [m], readings by bin.

    A feature's bins are those of its model's edges and one more for missing readings, which is the last.
    """

    rows: float = 0.0
    out_of_range: float = 0.0
    spread_rows: float = 0.0
    spread_sum_m: float = 0.0
    features: dict[str, tuple[float, ...]] = field(default_factory=dict)

    def __add__(self, other: "Counts") -> "Counts":
        return self._with(other, 1.0)

    def __sub__(self, other: "Counts") -> "Counts":
        return self._with(other, -1.0)

    @property
    def mean_spread_m(self) -> float:
        """Mean of bound less median [m]; NaN without rows."""
        return self.spread_sum_m / self.spread_rows if self.spread_rows else math.nan

    @property
    def out_of_range_share(self) -> float:
        """Share of rows that the fail-safe answered; NaN without rows."""
        return self.out_of_range / self.rows if self.rows else math.nan

    def is_behind(self, other: "Counts") -> bool:
        """Whether anything was counted less often than in the other, as never happens to one server that runs on."""
        gained = self - other
        lost = self.features.keys() != other.features.keys() and bool(other.features)
        counted = (gained.rows, gained.out_of_range, gained.spread_rows, *sum(gained.features.values(), ()))
        return lost or min(counted) < 0

    def to_json(self) -> dict[str, Any]:
        """As what JSON is made of."""
        return asdict(self)

    @staticmethod
    def from_json(content: dict[str, Any]) -> "Counts":
        """What `to_json` gave. Raises KeyError, TypeError, ValueError."""
        features = {str(name): tuple(map(float, bins)) for name, bins in content["features"].items()}
        return Counts(
            float(content["rows"]),
            float(content["out_of_range"]),
            float(content["spread_rows"]),
            float(content["spread_sum_m"]),
            features,
        )

    def _with(self, other: "Counts", sign: float) -> "Counts":
        features = {}
        for name in {**self.features, **other.features}:
            mine, others = self.features.get(name, ()), other.features.get(name, ())
            width = max(len(mine), len(others))
            pairs = zip(_padded(mine, width), _padded(others, width), strict=True)
            features[name] = tuple(a + sign * b for a, b in pairs)
        return Counts(
            self.rows + sign * other.rows,
            self.out_of_range + sign * other.out_of_range,
            self.spread_rows + sign * other.spread_rows,
            self.spread_sum_m + sign * other.spread_sum_m,
            features,
        )


def stability(training: Sequence[float], seen: Sequence[float]) -> float:
    """The population stability index of counts by bin against the training data's shares; NaN without any count."""
    total = sum(seen)
    if not total:
        return math.nan
    index = 0.0
    for share, count in zip(training, seen, strict=True):
        p, q = max(count / total, _LEAST_SHARE), max(share, _LEAST_SHARE)
        index += (p - q) * math.log(p / q)
    return index


def _padded(bins: tuple[float, ...], width: int) -> tuple[float, ...]:
    return (*bins, *[0.0] * (width - len(bins)))
