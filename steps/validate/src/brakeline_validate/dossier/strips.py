"""Rows of a table as charts: a share as a bar with its interval, beside what is allowed, in percent of the width.

The width is the page's, so that a row is as readable on a phone as on paper.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from brakeline_validate.dossier.axes import Axis, Tick, round_step, round_up


@dataclass(frozen=True)
class Scale:
    """An axis of shares from 0 to `most`, or between two figures; what lies beyond stands at its end."""

    most: float
    least: float = 0.0

    @classmethod
    def over(cls, values: Iterable[float | None], about: int = 4) -> "Scale":
        """From 0 to a round number that no finite value exceeds."""
        most = max((value for value in values if value is not None and math.isfinite(value)), default=0.0)
        return cls(round_up(most, about)) if most > 0.0 else cls(0.01)

    def at(self, value: float | None) -> float | None:
        """Percent of the width; None for what is no number."""
        if value is None or math.isnan(value):
            return None
        share = (value - self.least) / (self.most - self.least)
        return round(100.0 * min(max(share, 0.0), 1.0), 2)

    def ticks(self, about: int = 4, factor: float = 100.0) -> list[Tick]:
        """Round numbers along it, in percent where the factor is 100."""
        return Axis(factor * self.least, factor * self.most, 0.0, 100.0).ticks(about)

    def strip(
        self,
        value: float,
        *,
        low: float | None = None,
        high: float | None = None,
        limit: float | None = None,
        beside: float | None = None,
        over: bool = False,
    ) -> "Strip":
        """A row on this scale; `over` colours what is beyond the allowed."""
        return Strip(self.at(value), self.at(low), self.at(high), self.at(limit), self.at(beside), over)


@dataclass(frozen=True)
class Strip:
    """Places [% of the width] of a value, its interval, what is allowed, and what is compared with it."""

    value: float | None
    low: float | None
    high: float | None
    limit: float | None
    beside: float | None
    over: bool


def around(centre: float, values: Iterable[float]) -> Scale:
    """A scale that holds all finite values and a centre, with round ends."""
    finite = [value for value in values if math.isfinite(value)]
    low, high = min([centre, *finite]), max([centre, *finite])
    step = round_step(max(high - low, 0.1) / 5)
    return Scale(step * math.ceil(high / step + 1e-9), step * math.floor(low / step - 1e-9))
