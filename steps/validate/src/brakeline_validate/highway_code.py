"""The UK Highway Code's typical stopping distances, as a check of form and order.

Source: The Highway Code, Rule 126, thinking + braking distance; the braking part stands here. It implies
6.4 to 6.7 m/s² on a dry road, less than a modern car can do, and at least twice the way on a wet one.
"""

from dataclasses import dataclass

import numpy as np

from brakeline_validate.candidate import MEDIAN, UPPER, Candidate

MPS_PER_MPH = 0.44704
BRAKING_M = {20: 6, 30: 14, 40: 24, 50: 38, 60: 55, 70: 75}

# Typical readings by role; what is not named here is missing.
_ROAD = {
    "vehicle_class": 1.0,
    "grade": 0.0,
    "acceleration": 0.0,
    "mass": 1600.0,
    "tyre_pressure": 240.0,
    "disc_temperature": 120.0,
}
ROADS: dict[str, dict[str, float]] = {
    "dry": _ROAD | {"friction": 0.9, "rain": 0.0, "air_temperature": 15.0},
    "wet": _ROAD | {"friction": 0.6, "rain": 4.0, "air_temperature": 11.0},
    "snow": _ROAD | {"friction": 0.28, "rain": 0.5, "air_temperature": -4.0},
    "ice": _ROAD | {"friction": 0.12, "rain": 0.0, "air_temperature": -3.0},
}


@dataclass(frozen=True)
class Curve:
    """What the model says on one road over speeds [m/s]: median and bound [m], each of shape (S,)."""

    road: str
    speed_mps: list[float]
    median_m: list[float]
    upper_m: list[float]


def curve(model: Candidate, road: str, speed_mps: list[float]) -> Curve:
    """Ask the model for one road at several speeds."""
    rows = np.full((len(speed_mps), len(model.contract.features)), np.nan, dtype=np.float32)
    for role, value in ROADS[road].items():
        rows[:, model.column(role)] = value
    rows[:, model.column("speed")] = speed_mps
    answers = model.ask(rows)
    return Curve(road, speed_mps, answers[MEDIAN].tolist(), answers[UPPER].tolist())
