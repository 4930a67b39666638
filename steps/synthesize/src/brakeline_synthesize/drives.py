"""Drives: one vehicle, one road, one weather, seen at several moments. What no sensor tells is latent.

Ranges marked [U] in `docs/data.md` are engineering guesses; friction by surface lies between the published
0.70-0.80 (dry asphalt), 0.45-0.55 (wet), 0.25-0.35 (packed snow), 0.05-0.15 (ice) and the 0.9 of test tracks
(PBC in UN R152 and Euro NCAP).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from brakeline_synthesize.physics import Array, Stop, weakest_deceleration_mps2

SNAPSHOTS_PER_DRIVE = 10
# Below this no driver or system could call it braking; such slopes of ice are closed to traffic.
WEAKEST_DECELERATION_MPS2 = 0.25

SURFACES = ("dry", "wet", "snow", "ice")
_SURFACE_SHARE = np.array([0.65, 0.22, 0.08, 0.05])
_FRICTION_MEAN = np.array([0.92, 0.62, 0.28, 0.12])
_FRICTION_SD = np.array([0.07, 0.10, 0.06, 0.035])
_FRICTION_LOW, _FRICTION_HIGH = 0.04, 1.2
# [s/m] water and snow lose more grip with speed than dry asphalt [U]
_FRICTION_SLOPE = np.array([0.0015, 0.005, 0.003, 0.002])
_AIR_MEAN_C = np.array([15.0, 11.0, -3.0, -2.0])
_AIR_SD_K = np.array([9.0, 6.0, 3.0, 2.5])
_RAINING_SHARE = np.array([0.02, 0.75, 0.5, 0.15])
_RAIN_MEAN_MMPH = np.array([0.3, 4.0, 1.5, 0.8])

# By vehicle class: small car, mid-size car, SUV, van [U]
_CLASS_SHARE = np.array([0.3, 0.4, 0.22, 0.08])
_KERB_MEAN_KG = np.array([1120.0, 1520.0, 1960.0, 2150.0])
_KERB_SD_KG = np.array([90.0, 120.0, 170.0, 160.0])
_GROSS_MASS_KG = np.array([1600.0, 2100.0, 2700.0, 3500.0])
_CAPACITY_MPS2 = np.array([9.8, 10.2, 9.8, 8.6])
_DRAG_AREA_M2 = np.array([0.62, 0.66, 0.92, 1.35])
_PRESSURE_NOMINAL_KPA = np.array([230.0, 240.0, 260.0, 340.0])

# City, country road, motorway: share, mean and sd of the speed [U]
_ROAD_SHARE = np.array([0.4, 0.35, 0.25])
_SPEED_MEAN_MPS = np.array([11.0, 22.0, 33.0])
_SPEED_SD_MPS = np.array([4.0, 5.0, 6.0])
_SPEED_LOW_MPS, _SPEED_HIGH_MPS = 1.0, 62.0


@dataclass(frozen=True)
class Snapshots:
    """N moments of driving: the stop that would follow, and what explains the sensors. Arrays of shape (N,)."""

    stop: Stop
    drive: NDArray[np.int64]
    surface: NDArray[np.int64]
    vehicle_class: NDArray[np.int64]
    rain_mmph: Array
    air_temperature_c: Array
    tyre_pressure_kpa: Array
    acceleration_mps2: Array
    gap_m: Array  # NaN where nothing is ahead
    closing_speed_mps: Array
    object_height_m: Array


def sample(rng: np.random.Generator, first_drive: int, drives: int) -> Snapshots:
    """Draw `drives` whole drives, numbered from `first_drive`; SNAPSHOTS_PER_DRIVE rows each, grouped."""
    n, per = drives, SNAPSHOTS_PER_DRIVE
    surface = rng.choice(4, n, p=_SURFACE_SHARE)
    kind = rng.choice(4, n, p=_CLASS_SHARE)
    road = rng.choice(3, n, p=_ROAD_SHARE)
    kerb = rng.normal(_KERB_MEAN_KG[kind], _KERB_SD_KG[kind])
    # Most cars carry one or two people, few are full.
    mass = kerb + 75.0 + rng.beta(1.2, 3.0, n) * np.maximum(_GROSS_MASS_KG[kind] - kerb - 75.0, 0.0)
    pressure = np.clip(rng.normal(_PRESSURE_NOMINAL_KPA[kind], 15.0), 140.0, 450.0)
    tread_mm = rng.uniform(1.6, 8.0, n)
    wet = surface != 0
    # Worn tyres lose grip where there is something to push aside; under-inflated ones everywhere [U].
    tread_share = np.where(wet, 1.0 - 0.15 * (8.0 - tread_mm) / 6.4, 1.0)
    pressure_share = 1.0 - 0.1 * np.clip(1.0 - pressure / _PRESSURE_NOMINAL_KPA[kind], 0.0, 0.4)
    raining = rng.random(n) < _RAINING_SHARE[surface]
    rain = np.clip(np.where(raining, rng.exponential(_RAIN_MEAN_MMPH[surface]), 0.0), 0.0, 100.0)
    air = np.clip(rng.normal(_AIR_MEAN_C[surface], _AIR_SD_K[surface]), -40.0, 50.0)
    air = np.where(raining & (surface == 1), np.maximum(air, 0.5), air)
    wind = rng.normal(0.0, 3.0, n)
    latents = {
        "friction_slope_spm": _FRICTION_SLOPE[surface],
        "grip_share": tread_share * pressure_share,
        "abs_efficiency": np.clip(rng.normal(0.93, 0.03, n), 0.8, 1.0),
        "dead_time_s": np.clip(rng.normal(0.15, 0.04, n), 0.03, 0.4),
        "ramp_time_s": np.clip(rng.lognormal(np.log(0.25), 0.25, n), 0.08, 0.9),
        "mass_kg": mass,
        "gross_mass_kg": _GROSS_MASS_KG[kind],
        "capacity_mps2": _CAPACITY_MPS2[kind],
        "fade_share": np.full(n, 0.35),
        "rolling_resistance": np.full(n, 0.012),
        "drag_area_m2": _DRAG_AREA_M2[kind] * rng.uniform(0.95, 1.05, n),
        "headwind_mps": wind,
    }
    rows = {name: np.repeat(values, per) for name, values in latents.items()}
    speed = np.clip(rng.normal(_SPEED_MEAN_MPS[road], _SPEED_SD_MPS[road], (per, n)).T.ravel(), *_speed_range())
    disc = np.clip(np.repeat(air, per) + np.abs(rng.normal(120.0, 110.0, n * per)), -30.0, 750.0)
    stop = _stoppable(rng, surface, speed, disc, rows)
    total = n * per
    ahead = rng.random(total) < 0.7
    return Snapshots(
        stop=stop,
        drive=np.repeat(np.arange(first_drive, first_drive + n, dtype=np.int64), per),
        surface=np.repeat(surface, per),
        vehicle_class=np.repeat(kind, per),
        rain_mmph=np.repeat(rain, per),
        air_temperature_c=np.repeat(air, per),
        tyre_pressure_kpa=np.repeat(pressure, per),
        acceleration_mps2=np.clip(rng.normal(0.0, 0.5, total), -3.0, 3.0),
        gap_m=np.where(ahead, np.clip(rng.lognormal(np.log(35.0), 0.7, total), 2.0, 250.0), np.nan),
        closing_speed_mps=speed * np.where(rng.random(total) < 0.3, 1.0, rng.uniform(-0.1, 0.5, total)),
        object_height_m=np.clip(rng.normal(1.55, 0.15, total), 1.1, 3.5),
    )


def _stoppable(
    rng: np.random.Generator, surface: NDArray[np.int64], speed: Array, disc: Array, rows: dict[str, Array]
) -> Stop:
    """Draw friction and grade anew until every stop is possible: the prior, truncated by rejection.

    Friction belongs to the drive, the grade to the moment; a drive with an impossible moment is redrawn whole.
    """
    per, n = SNAPSHOTS_PER_DRIVE, surface.size
    friction, grade = np.zeros(n), np.zeros(n * per)
    open_drives = np.arange(n)
    while open_drives.size:
        kind = surface[open_drives]
        drawn = rng.normal(_FRICTION_MEAN[kind], _FRICTION_SD[kind])
        friction[open_drives] = np.clip(drawn, _FRICTION_LOW, _FRICTION_HIGH)
        at = (open_drives[:, None] * per + np.arange(per)).ravel()
        grade[at] = np.clip(rng.normal(0.0, 0.03, at.size), -0.15, 0.15)
        stop = Stop(
            speed_mps=speed, grade=grade, disc_temperature_c=disc, friction=np.repeat(friction, per), **rows
        ).take(at)
        weak = weakest_deceleration_mps2(stop) < WEAKEST_DECELERATION_MPS2
        open_drives = open_drives[weak.reshape(-1, per).any(axis=1)]
    return Stop(speed_mps=speed, grade=grade, disc_temperature_c=disc, friction=np.repeat(friction, per), **rows)


def _speed_range() -> tuple[float, float]:
    return _SPEED_LOW_MPS, _SPEED_HIGH_MPS
