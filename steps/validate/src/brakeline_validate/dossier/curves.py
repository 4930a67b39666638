"""Stopping distance against speed, a chart for each road: median, bound, and the UK Highway Code's points."""

import math

from brakeline_validate.candidate import Candidate
from brakeline_validate.dossier.axes import Axis, Figure, Panel, Point, Shape, band, line, round_up
from brakeline_validate.highway_code import BRAKING_M, MPS_PER_MPH, ROADS, Curve, curve

KMPH_PER_MPS = 3.6
# Highway Code, rule 227: in wet weather at least double those on dry roads.
WET_FACTOR = 2
_SPEEDS_MPS = [float(value) for value in range(2, 41)]
_WIDTH, _HEIGHT = 420.0, 250.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 48.0, 408.0, 14.0, 212.0


def stopping_distances(model: Candidate) -> dict[str, Figure]:
    """A figure by road."""
    curves = [curve(model, road, _SPEEDS_MPS) for road in ROADS]
    return {each.road: _figure(each, curves[0]) for each in curves}


def highway(model: Candidate) -> list[dict[str, float]]:
    """The model at the Highway Code's speeds, on dry and wet roads [m]."""
    speeds = [mph * MPS_PER_MPH for mph in BRAKING_M]
    dry, wet = curve(model, "dry", speeds), curve(model, "wet", speeds)
    columns = zip(BRAKING_M.items(), dry.median_m, dry.upper_m, wet.median_m, wet.upper_m, strict=True)
    return [
        {"mph": mph, "code": code, "dry": a, "dry_upper": b, "wet": c, "wet_upper": d}
        for (mph, code), a, b, c, d in columns
    ]


def _figure(asked: Curve, dry: Curve) -> Figure:
    speeds = [speed * KMPH_PER_MPS for speed in asked.speed_mps]
    median, upper = _possible(asked.median_m), _possible(asked.upper_m)
    most = round_up(max((way for way in (*median, *upper) if math.isfinite(way)), default=1.0), 4)
    x, y = Axis(0.0, round_up(speeds[-1], 8), _LEFT, _RIGHT), Axis(0.0, most, _BOTTOM, _TOP)
    shapes = [
        Shape("band", band(x, y, speeds, median, upper)),
        Shape("bound", line(x, y, zip(speeds, upper, strict=True))),
        Shape("median", line(x, y, zip(speeds, median, strict=True))),
    ]
    if asked is not dry:
        shapes.insert(0, Shape("reference", line(x, y, zip(speeds, _possible(dry.median_m), strict=True))))
    factor = {"dry": 1, "wet": WET_FACTOR}.get(asked.road)
    points = [
        Point("code", round(x.at(mph * MPS_PER_MPH * KMPH_PER_MPS), 1), round(y.at(factor * way), 1))
        for mph, way in BRAKING_M.items()
        if factor is not None
    ]
    told = (
        f"{asked.road} road: from {speeds[-1]:.0f} km/h the median is {asked.median_m[-1]:.0f} m and the bound "
        f"{asked.upper_m[-1]:.0f} m"
    )
    panel = Panel(f"{asked.road} [m]", x, y, x.ticks(8), y.ticks(4), shapes, points)
    return Figure(told, _WIDTH, _HEIGHT, [panel], "speed [km/h]")


def _possible(ways_m: list[float]) -> list[float]:
    """A model that is refused may say anything: what is no distance is NaN, and has no place on a chart."""
    return [way if 0.0 < way < math.inf else math.nan for way in ways_m]
