"""What the page's charts are made of: places in pixels of an SVG whose colours the page's style gives.

One drawing serves light and dark paper, screen and print; the templates write it.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Tick:
    """A number on an axis and where it stands [px]."""

    at: float
    label: str


@dataclass(frozen=True)
class Axis:
    """A linear scale from values to pixels."""

    low: float
    high: float
    start_px: float
    end_px: float

    def at(self, value: float) -> float:
        """Where a value stands [px]."""
        share = (value - self.low) / (self.high - self.low)
        return self.start_px + share * (self.end_px - self.start_px)

    def ticks(self, about: int) -> list[Tick]:
        """Round numbers, about so many."""
        step = round_step((self.high - self.low) / about)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [Tick(round(self.at(n * step), 1), f"{n * step:,.10g}") for n in range(first, last + 1)]


@dataclass(frozen=True)
class Shape:
    """A path with the class that colours it."""

    kind: str
    path: str


@dataclass(frozen=True)
class Point:
    """A marker."""

    kind: str
    x: float
    y: float


@dataclass(frozen=True)
class Panel:
    """A framed chart, a part of a figure."""

    title: str
    x: Axis
    y: Axis
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    shapes: list[Shape] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)


@dataclass(frozen=True)
class Mark:
    """A moment through all panels of a figure, its label above them."""

    kind: str
    label: str
    x: float
    label_y: float
    anchor: str


@dataclass(frozen=True)
class Figure:
    """Panels over one another in one drawing; `told` is for who cannot see it."""

    told: str
    width: float
    height: float
    panels: list[Panel]
    x_title: str
    marks: list[Mark] = field(default_factory=list)


def round_step(about: float) -> float:
    """The nearest of 1, 2, 5 times a power of ten that is not smaller."""
    power = 10.0 ** math.floor(math.log10(about))
    return next(times * power for times in (1.0, 2.0, 5.0, 10.0) if times * power >= about * (1.0 - 1e-9))


def round_up(value: float, about: int) -> float:
    """The end of an axis from 0 that holds a value and has about so many steps."""
    step = round_step(value / about)
    return step * math.ceil(value / step - 1e-9)


def line(x: Axis, y: Axis, points: Iterable[tuple[float, float]]) -> str:
    """A path through points; what is not a number is left out."""
    placed = [f"{x.at(a):.1f},{y.at(b):.1f}" for a, b in points if math.isfinite(a) and math.isfinite(b)]
    return "M" + "L".join(placed) if placed else ""


def band(x: Axis, y: Axis, at: Sequence[float], low: Sequence[float], high: Sequence[float]) -> str:
    """The area between two lines."""
    there, back = zip(at, low, strict=True), zip(reversed(at), reversed(high), strict=True)
    around = line(x, y, [*there, *back])
    return around and f"{around}Z"
