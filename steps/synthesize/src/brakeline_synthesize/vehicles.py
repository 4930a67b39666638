"""Vehicle classes: masses, brakes, tyres and air resistance; engineering guesses [U] in the range of what is sold.

The truck has dynamics of its own: air brakes that answer late and rise slowly, tyres with less grip, and brakes
that reach little beyond the 5 m/s² that UN R13 demands of it when it is full.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class VehicleClass:
    """One class; its place in `CLASSES` is its number in the contract."""

    name: str
    kerb_kg: float
    gross_kg: float
    capacity_mps2: float  # a_cap: what cold brakes reach at gross mass
    tyre_share: float  # [1] grip of its tyres, as a share of a car's
    abs_efficiency: float
    dead_time_s: float
    ramp_time_s: float
    drag_area_m2: float
    pressure_kpa: float  # nominal, gauge
    new_tread_mm: float
    fastest_mps: float
    speed_share: float  # its speed, as a share of a car's


CLASSES = (
    VehicleClass("small", 1120.0, 1600.0, 9.8, 1.0, 0.93, 0.15, 0.25, 0.62, 230.0, 8.0, 60.0, 1.0),
    VehicleClass("mid-size", 1520.0, 2100.0, 10.2, 1.0, 0.93, 0.15, 0.25, 0.66, 240.0, 8.0, 62.0, 1.0),
    VehicleClass("suv", 1960.0, 2700.0, 9.8, 1.0, 0.93, 0.15, 0.25, 0.92, 260.0, 8.0, 60.0, 1.0),
    VehicleClass("van", 2150.0, 3500.0, 8.6, 0.97, 0.92, 0.16, 0.28, 1.35, 340.0, 8.0, 50.0, 0.95),
    VehicleClass("truck", 7200.0, 18000.0, 6.2, 0.85, 0.90, 0.35, 0.45, 5.6, 800.0, 14.0, 27.0, 0.68),
)
NAMES = tuple(entry.name for entry in CLASSES)


def of_each(field: str) -> np.ndarray:
    """A field of all classes, shape (5,)."""
    return np.array([getattr(entry, field) for entry in CLASSES], dtype=np.float64)
