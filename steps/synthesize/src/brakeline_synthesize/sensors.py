"""What the vehicle measures of a moment: the truth, late, scaled, biased, noisy, in steps and with gaps.

    reading = step((truth - latency d(truth)/dt) (1 + scale) + bias + noise)

Scale and bias are a vehicle's own and last for the drive. Figures are engineering guesses [U]. Noise is of a form whose
likelihood is known, so that the noise floor can weigh it. Camera: pinhole rule h_px = f H / Z.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from brakeline_synthesize import faults
from brakeline_synthesize.contract import CONTRACT
from brakeline_synthesize.drives import SNAPSHOTS_PER_DRIVE, Snapshots
from brakeline_synthesize.faults import Chosen
from brakeline_synthesize.physics import GRAVITY_MPS2, Array

FOCAL_LENGTH_PX = 1200.0


@dataclass(frozen=True)
class Sensor:
    """How one sensor, named by its role in the contract, differs from the truth."""

    role: str
    noise_sd: float = 0.0  # of each reading, in the reading's unit
    noise_share: float = 0.0  # of each reading, as a share of the truth
    scale_sd: float = 0.0  # of the drive, as a share of the truth
    bias_sd: float = 0.0  # of the drive, in the reading's unit
    step: float = 0.0  # quantisation; 0 for none
    latency_s: float = 0.0
    absent: float = 0.0  # share of drives without the sensor
    dropped: float = 0.0  # share of readings that are lost


SENSORS = {
    sensor.role: sensor
    for sensor in (
        Sensor("speed", scale_sd=0.008, step=0.01, latency_s=0.02),
        Sensor("vehicle_class"),
        Sensor("friction", noise_sd=0.07, absent=0.06),
        Sensor("mass", scale_sd=0.05, absent=0.06, dropped=0.02),
        Sensor("grade", noise_sd=0.006, absent=0.06, dropped=0.02),
        Sensor("acceleration", noise_sd=0.05, bias_sd=0.03, absent=0.06, dropped=0.02),
        Sensor("disc_temperature", noise_sd=30.0, absent=0.06, dropped=0.02),
        Sensor("rain", noise_share=0.2, step=0.1, absent=0.06, dropped=0.02),
        Sensor("air_temperature", bias_sd=0.7, step=0.5, absent=0.06, dropped=0.02),
        Sensor("tyre_pressure", noise_sd=2.5, step=2.5, absent=0.06, dropped=0.02),
        Sensor("range", noise_sd=0.15, bias_sd=0.1, latency_s=0.05, dropped=0.02),
        Sensor("range_rate", noise_sd=0.1),
        Sensor("box_height", noise_sd=1.0, step=1.0, dropped=0.02),
        Sensor("tread_depth", noise_sd=0.6, step=0.1, absent=0.7, dropped=0.02),
    )
}


def truths(seen: Snapshots) -> dict[str, Array]:
    """What each sensor would read were it perfect, by role, arrays of shape (N,); NaN where nothing is ahead."""
    stop = seen.stop
    along = 1.0 / np.sqrt(1.0 + stop.grade * stop.grade)
    return {
        "speed": stop.speed_mps,
        "vehicle_class": seen.vehicle_class.astype(np.float64),
        "friction": stop.friction,
        "mass": stop.mass_kg,
        "grade": stop.grade,
        "acceleration": seen.acceleration_mps2 + GRAVITY_MPS2 * stop.grade * along,
        "disc_temperature": stop.disc_temperature_c,
        "rain": seen.rain_mmph,
        "air_temperature": seen.air_temperature_c,
        "tyre_pressure": seen.tyre_pressure_kpa,
        "range": seen.gap_m,
        "range_rate": np.where(np.isnan(seen.gap_m), np.nan, -seen.closing_speed_mps),
        "box_height": FOCAL_LENGTH_PX * seen.object_height_m / seen.gap_m,
        "tread_depth": seen.tread_mm,
    }


def observe(
    rng: np.random.Generator, seen: Snapshots, friction_missing: float, chosen: Chosen
) -> tuple[dict[str, Array], NDArray[np.int64]]:
    """Readings by the contract's feature names (N,), NaN for a missing one; and each row's fault, -1 for none."""
    n = seen.drive.size
    rates = {"speed": seen.acceleration_mps2, "range": -seen.closing_speed_mps}
    by_role: dict[str, Array] = {}
    for role, truth in truths(seen).items():
        sensor = SENSORS[role]
        late = truth - sensor.latency_s * rates[role] if role in rates else truth
        reading = late * (1.0 + _per_drive(rng, sensor.scale_sd, n)) + _per_drive(rng, sensor.bias_sd, n)
        reading = reading + _noise(rng, sensor, late)
        if sensor.step:
            reading = np.round(reading / sensor.step) * sensor.step
        dropped = friction_missing if role == "friction" else sensor.dropped
        lost = rng.random(n) < dropped
        absent = np.repeat(rng.random(n // SNAPSHOTS_PER_DRIVE) < sensor.absent, SNAPSHOTS_PER_DRIVE)
        by_role[role] = np.where(lost | absent, np.nan, reading)
    # One radar gives both: what it loses, it loses together.
    by_role["range_rate"] = np.where(np.isnan(by_role["range"]), np.nan, by_role["range_rate"])
    by_role, told = faults.inject(rng, by_role, chosen, SNAPSHOTS_PER_DRIVE)
    limited = {feature.name: np.clip(by_role[feature.role], feature.low, feature.high) for feature in CONTRACT.features}
    return limited, told


def _noise(rng: np.random.Generator, sensor: Sensor, truth: Array) -> Array | float:
    sd = sensor.noise_sd + sensor.noise_share * truth
    return rng.normal(0.0, 1.0, truth.size) * sd if sensor.noise_sd or sensor.noise_share else 0.0


def _per_drive(rng: np.random.Generator, sd: float, n: int) -> Array | float:
    return np.repeat(rng.normal(0.0, sd, n // SNAPSHOTS_PER_DRIVE), SNAPSHOTS_PER_DRIVE) if sd else 0.0
