"""The worst run of each kind, to look at: moments as pictures, and gap, speed and deceleration against time."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from brakeline_validate.dossier.axes import Axis, Figure, Mark, Panel, Shape, Tick, line, round_up
from brakeline_validate.dossier.curves import KMPH_PER_MPS
from brakeline_validate.loop.drive import CYCLE_S
from brakeline_validate.loop.outcome import Trace

_WIDTH, _LEFT, _RIGHT = 420.0, 48.0, 408.0
_LABELS, _PANEL, _BETWEEN, _FOOT = 46.0, 78.0, 26.0, 38.0
_STANDING_KMPH = 0.5


@dataclass(frozen=True)
class Frame:
    """A moment seen from the side: `at` is the car's front in percent of the way to the target."""

    kind: str
    told: str
    at: float


@dataclass(frozen=True)
class Film:
    """A run with its pictures and its story."""

    title: str
    scenario: str
    story: str
    frames: list[Frame]
    figure: Figure


def film(trace: Trace) -> Film:
    """Draw a run."""
    cycles = int(np.isfinite(trace.gap_m).sum())
    gap, speed = trace.gap_m[:cycles].astype(float), KMPH_PER_MPS * trace.speed_mps[:cycles].astype(float)
    moments = _moments(trace, cycles, speed)
    story = _story(trace, speed, moments)
    return Film(trace.title, trace.scenario, story, _frames(moments, gap, speed), _figure(trace, gap, speed, moments))


def _moments(trace: Trace, cycles: int, speed_kmph: NDArray[np.float64]) -> dict[str, float]:
    """What happened when [s], in order of the telling."""
    end = cycles * CYCLE_S
    last = "contact" if trace.impact_mps > 0.0 else "standing" if speed_kmph[-1] < _STANDING_KMPH else "end"
    told = {"begin": 0.0, "warning": trace.warned_s, "braking": trace.braked_s, last: end}
    return {name: at for name, at in told.items() if math.isfinite(at)}


def _story(trace: Trace, speed_kmph: NDArray[np.float64], moments: dict[str, float]) -> str:
    told = [f"The car comes with {speed_kmph[0]:.0f} km/h."]
    warned, braked = moments.get("warning"), moments.get("braking")
    if braked is None:
        told.append("The driver is not warned, the brakes are not asked." if warned is None else "It only warns.")
    elif warned is None:
        told.append(f"Without a warning the brakes are asked after {braked:.2f} s.")
    else:
        between = f"{braked - warned:.2f} s later" if braked > warned else "at once"
        told.append(f"It warns after {warned:.2f} s, and asks the brakes {between}.")
    end = max(moments.values())
    if "contact" in moments:
        since = f", {end - braked:.2f} s after that" if braked is not None else f" after {end:.2f} s"
        told.append(f"It hits{since}, {KMPH_PER_MPS * trace.impact_mps:.0f} km/h faster than what is ahead.")
    else:
        least = float(np.nanmin(trace.gap_m))
        told.append(f"The least gap is {least:.2f} m." if least > 0.0 else "It passes what was never in its way.")
    return " ".join(told)


def _frames(moments: dict[str, float], gap: NDArray[np.float64], speed_kmph: NDArray[np.float64]) -> list[Frame]:
    farthest = max(float(gap.max()), 1.0)
    found = []
    for kind, at_s in moments.items():
        cycle = min(round(at_s / CYCLE_S), gap.size - 1)
        left = 0.0 if kind == "contact" else max(float(gap[cycle]), 0.0)
        told = f"{at_s:.2f} s, {left:.1f} m, {speed_kmph[cycle]:.0f} km/h"
        found.append(Frame(kind, told, round(100.0 * (1.0 - left / farthest), 2)))
    return found


def _figure(
    trace: Trace, gap: NDArray[np.float64], speed_kmph: NDArray[np.float64], moments: dict[str, float]
) -> Figure:
    seconds = [CYCLE_S * cycle for cycle in range(gap.size)]
    x = Axis(0.0, round_up(max(moments.values()), 6), _LEFT, _RIGHT)
    deceleration = trace.deceleration_mps2[: gap.size].astype(float)
    panels = [
        _panel(place, title, x, seconds, values)
        for place, (title, values) in enumerate(
            (("gap [m]", gap), ("speed [km/h]", speed_kmph), ("deceleration [m/s²]", deceleration))
        )
    ]
    marks = [
        Mark(kind, f"{kind} {at_s:.2f} s", round(x.at(at_s), 1), 11.0 + 13.0 * row, _anchor(x.at(at_s)))
        for row, (kind, at_s) in enumerate((name, at) for name, at in moments.items() if name != "begin")
    ]
    height = _LABELS + 3 * (_PANEL + _BETWEEN) - _BETWEEN + _FOOT
    return Figure(f"{trace.title}: gap, speed and deceleration", _WIDTH, height, panels, "time [s]", marks)


def _panel(place: int, title: str, x: Axis, seconds: list[float], values: NDArray[np.float64]) -> Panel:
    top = _LABELS + place * (_PANEL + _BETWEEN)
    low = min(0.0, float(np.floor(values.min())))
    y = Axis(low, round_up(max(1.05 * float(values.max()), 1.0), 2), top + _PANEL, top)
    # Only the lowest panel names the times; the others show where they are.
    x_ticks = x.ticks(6) if place == 2 else [Tick(tick.at, "") for tick in x.ticks(6)]
    return Panel(title, x, y, x_ticks, y.ticks(2), [Shape("median", line(x, y, zip(seconds, values, strict=True)))])


def _anchor(x_px: float) -> str:
    return "start" if x_px < 0.6 * _RIGHT else "end"
