"""What the vehicle measures of a moment: the truth with noise, bias, quantisation and gaps.

Sensor figures are engineering guesses [U]: wheel speed 0.8 % scale and 0.01 m/s steps, mass 5 %, friction sd
0.07 and missing a quarter of the time, grade sd 0.006, disc sd 30 K, pressure sd 2.5 kPa, radar bias sd 0.1 m,
noise sd 0.15 m and 0.1 m/s, 2 % dropout. Camera: pinhole rule h_px = f H / Z with focal length f, height H.
"""

import numpy as np

from brakeline_synthesize.contract import CONTRACT
from brakeline_synthesize.drives import SNAPSHOTS_PER_DRIVE, Snapshots
from brakeline_synthesize.physics import GRAVITY_MPS2, Array

FOCAL_LENGTH_PX = 1200.0
_FRICTION_MISSING = 0.25
_GAP_DROPOUT = 0.02
# A vehicle without the sensor lacks it for the whole drive; one with it loses a reading now and then [U].
_ABSENT, _DROPPED = 0.06, 0.02


def observe(rng: np.random.Generator, seen: Snapshots) -> dict[str, Array]:
    """Readings by the contract's feature names, arrays of shape (N,); NaN is a missing reading."""
    stop, n = seen.stop, seen.drive.size

    def noise(sd: float) -> Array:
        return rng.normal(0.0, sd, n)

    def per_drive(sd: float) -> Array:
        return np.repeat(rng.normal(0.0, sd, n // SNAPSHOTS_PER_DRIVE), SNAPSHOTS_PER_DRIVE)

    radar_lost = np.isnan(seen.gap_m) | (rng.random(n) < _GAP_DROPOUT)
    camera_lost = np.isnan(seen.gap_m) | (rng.random(n) < _GAP_DROPOUT)
    by_role = {
        "speed": _step(stop.speed_mps * (1.0 + per_drive(0.008)), 0.01),
        "vehicle_class": seen.vehicle_class.astype(np.float64),
        "friction": _with_gaps(rng, stop.friction + noise(0.07), _FRICTION_MISSING),
        "mass": _with_gaps(rng, stop.mass_kg * (1.0 + per_drive(0.05)), _DROPPED),
        "grade": _with_gaps(rng, stop.grade + noise(0.006), _DROPPED),
        "acceleration": _with_gaps(rng, _imu(seen) + per_drive(0.03) + noise(0.05), _DROPPED),
        "disc_temperature": _with_gaps(rng, stop.disc_temperature_c + noise(30.0), _DROPPED),
        "rain": _with_gaps(rng, _step(np.maximum(seen.rain_mmph * (1.0 + noise(0.2)), 0.0), 0.1), _DROPPED),
        "air_temperature": _with_gaps(rng, _step(seen.air_temperature_c + per_drive(0.7), 0.5), _DROPPED),
        "tyre_pressure": _with_gaps(rng, _step(seen.tyre_pressure_kpa + noise(2.5), 2.5), _DROPPED),
        "range": np.where(radar_lost, np.nan, seen.gap_m + per_drive(0.1) + noise(0.15)),
        "range_rate": np.where(radar_lost, np.nan, -seen.closing_speed_mps + noise(0.1)),
        "box_height": np.where(
            camera_lost, np.nan, _step(FOCAL_LENGTH_PX * seen.object_height_m / seen.gap_m + noise(1.0), 1.0)
        ),
    }
    return {feature.name: np.clip(by_role[feature.role], feature.low, feature.high) for feature in CONTRACT.features}


def _imu(seen: Snapshots) -> Array:
    grade = seen.stop.grade
    return seen.acceleration_mps2 + GRAVITY_MPS2 * grade / np.sqrt(1.0 + grade * grade)


def _with_gaps(rng: np.random.Generator, reading: Array, dropped: float) -> Array:
    absent = np.repeat(rng.random(reading.size // SNAPSHOTS_PER_DRIVE) < _ABSENT, SNAPSHOTS_PER_DRIVE)
    return np.where(absent | (rng.random(reading.size) < dropped), np.nan, reading)


def _step(reading: Array, size: float) -> Array:
    return np.round(reading / size) * size
