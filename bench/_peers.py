"""How rows would be made without care: one at a time in a Python loop, and all at once in textbook numpy.

Both follow the equations of `brakeline_synthesize.physics` and the tables of surfaces, vehicles and sensors, written
anew, so that a benchmark compares ways of computing and its test compares results. Rows are independent here.
"""

import math
import random
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
from brakeline_synthesize import drives, physics, surfaces, vehicles
from brakeline_synthesize.contract import CONTRACT
from brakeline_synthesize.priors import Truncated
from brakeline_synthesize.scenario import Scenario
from brakeline_synthesize.sensors import FOCAL_LENGTH_PX, SENSORS

_NODES, _WEIGHTS = (values.tolist() for values in np.polynomial.legendre.leggauss(12))
_G = physics.GRAVITY_MPS2


def row_by_row(scenario: Scenario, rows: int, seed: int, file: Path) -> None:
    """A loop over rows with the standard library's random numbers, then one Parquet file."""
    rng = random.Random(seed)
    pl.DataFrame([_row(rng, scenario) for _ in range(rows)]).write_parquet(file, compression="zstd")


def _row(rng: random.Random, scenario: Scenario) -> dict[str, float]:
    surface = surfaces.SURFACES[_pick(rng, [scenario.surfaces.get(name, 0.0) for name in surfaces.NAMES])]
    kind = vehicles.CLASSES[_pick(rng, [scenario.vehicles.get(name, 0.0) for name in vehicles.NAMES])]
    roads = list(scenario.roads.values())
    road = roads[_pick(rng, [entry.share for entry in roads])]
    rain = rng.expovariate(1.0 / surface.rain_mean_mmph) if rng.random() < surface.raining_share else 0.0
    room, share = kind.gross_kg - kind.kerb_kg, surface.speed_share * kind.speed_share
    fastest = kind.fastest_mps * surface.speed_share
    air = _between(rng, getattr(scenario.air_c, surface.name), surface.air_sd_k, surface.air_low_c, surface.air_high_c)
    nominal = kind.pressure_kpa
    drawn = {
        "speed": _between(rng, road.speed_mps * share, road.sd_mps * share, drives.SLOWEST_MPS, fastest),
        "friction": _drawn(rng, surface.friction),
        "mass": _between(
            rng, kind.kerb_kg + scenario.load.mean * room, scenario.load.sd * room, 0.93 * kind.kerb_kg, kind.gross_kg
        ),
        "air": air,
        "pressure": _between(rng, nominal, 0.065 * nominal, 0.6 * nominal, 1.25 * nominal),
        "tread": rng.uniform(drives.WORN_OUT_MM, kind.new_tread_mm),
        "wind": _between(rng, 0.0, scenario.wind_sd_mps, -10.0, 10.0),
        "grade": _between(rng, 0.0, scenario.grade_sd, -surface.steepest_downhill, surfaces.STEEPEST_UPHILL),
        "disc": air + abs(rng.gauss(drives.DISC_ABOVE_AIR_K, drives.DISC_ABOVE_AIR_SD_K)),
        "rain": rain,
    }
    seen = _stop(rng, surface, kind, drawn)
    ahead = rng.random() < drives.OBJECT_AHEAD_SHARE
    gap = min(max(rng.lognormvariate(math.log(35.0), 0.7), 2.0), 250.0) if ahead else math.nan
    moving = rng.uniform(drives.LOWEST_CLOSING, drives.HIGHEST_CLOSING)
    closing = seen.speed_mps * (1.0 if rng.random() < drives.STANDING_SHARE else moving)
    height = min(max(rng.gauss(1.55, 0.15), 1.1), 3.5)
    pushed = rng.gauss(0.0, drives.ACCELERATION_SD_MPS2)
    truths = {
        "speed": seen.speed_mps,
        "vehicle_class": float(vehicles.CLASSES.index(kind)),
        "friction": drawn["friction"],
        "mass": drawn["mass"],
        "grade": drawn["grade"],
        "acceleration": pushed + _G * drawn["grade"] / math.sqrt(1.0 + drawn["grade"] ** 2),
        "disc_temperature": drawn["disc"],
        "rain": rain,
        "air_temperature": air,
        "tyre_pressure": drawn["pressure"],
        "range": gap,
        "range_rate": -closing if ahead else math.nan,
        "box_height": FOCAL_LENGTH_PX * height / gap,
        "tread_depth": drawn["tread"],
    }
    rates = {"speed": pushed, "range": -closing}
    row = {entry.name: _reading(rng, entry, truths[entry.role], rates, scenario) for entry in CONTRACT.features}
    return row | {CONTRACT.target.name: distance_m(seen)}


def _stop(
    rng: random.Random, surface: surfaces.Surface, kind: vehicles.VehicleClass, drawn: dict[str, float]
) -> SimpleNamespace:
    worn = (kind.new_tread_mm - drawn["tread"]) / (kind.new_tread_mm - drives.WORN_OUT_MM)
    flat = min(max(1.0 - drawn["pressure"] / kind.pressure_kpa, 0.0), 0.4)
    film = min(drawn["rain"], surfaces.MOST_FILM_MMPH) * surface.film_slope
    return SimpleNamespace(
        speed_mps=drawn["speed"],
        grade=drawn["grade"],
        headwind_mps=drawn["wind"],
        disc_temperature_c=drawn["disc"],
        friction=drawn["friction"],
        friction_slope_spm=surface.slope_spm + film * (0.5 + worn),
        grip_share=(1.0 - surface.tread_loss * worn) * (1.0 - 0.1 * flat) * kind.tyre_share,
        abs_efficiency=_between(rng, kind.abs_efficiency, 0.03, 0.8, 1.0),
        dead_time_s=kind.dead_time_s + _between(rng, 0.0, 0.04, -0.12, 0.25),
        ramp_time_s=kind.ramp_time_s * min(max(rng.lognormvariate(0.0, 0.25), 0.35), 3.0),
        mass_kg=drawn["mass"],
        gross_mass_kg=kind.gross_kg,
        capacity_mps2=kind.capacity_mps2,
        fade_share=_between(rng, 0.35, 0.05, 0.15, 0.55),
        rolling_resistance=_between(rng, 0.012, 0.0015, 0.008, 0.018),
        drag_area_m2=rng.uniform(0.95, 1.05) * kind.drag_area_m2,
        air_temperature_c=drawn["air"],
    )


def distance_m(stop: SimpleNamespace) -> float:
    """The three phases for one stop, in scalars."""
    v0, reach, tau = stop.speed_mps, stop.dead_time_s, stop.ramp_time_s
    drift = _resistance(stop, v0)
    v1 = max(v0 - drift * reach, 0.0)
    dead = 0.5 * (v0 + v1) * reach
    full, drift = _braking(stop, v1), _resistance(stop, v1)
    v2 = v1 - drift * tau - 0.5 * full * tau
    if v2 > 0.0:
        ramp = v1 * tau - 0.5 * drift * tau**2 - full * tau**2 / 6.0
    else:
        end = min(tau * (math.sqrt(max(drift**2 + 2.0 * full * v1 / tau, 0.0)) - drift) / full, tau)
        return float(dead + v1 * end - 0.5 * drift * end**2 - full * end**3 / (6.0 * tau))
    total = 0.0
    for node, weight in zip(_NODES, _WEIGHTS, strict=True):
        v = 0.5 * v2 * (1.0 + node)
        total += weight * v / (_braking(stop, v) + _resistance(stop, v))
    return float(dead + ramp + 0.5 * v2 * total)


def _braking(stop: SimpleNamespace, v: float) -> float:
    share = max(1.0 - stop.friction_slope_spm * v, physics.FRICTION_FLOOR_SHARE)
    along = 1.0 / math.sqrt(1.0 + stop.grade**2)
    hot = min(max((stop.disc_temperature_c - physics.FADE_START_C) / physics.FADE_SPAN_K, 0.0), 1.0)
    by_brake = stop.capacity_mps2 * (1.0 - stop.fade_share * hot) * stop.gross_mass_kg / stop.mass_kg
    return float(min(stop.friction * share * stop.grip_share * stop.abs_efficiency * _G * along, by_brake))


def _resistance(stop: SimpleNamespace, v: float) -> float:
    along, air = 1.0 / math.sqrt(1.0 + stop.grade**2), v + stop.headwind_mps
    kelvin = physics.ZERO_CELSIUS_K + stop.air_temperature_c
    density = physics.AIR_DENSITY_KGPM3 * physics.DENSITY_AT_K / kelvin
    drag = 0.5 * density * stop.drag_area_m2 / stop.mass_kg * air * abs(air)
    return float(_G * along * (stop.grade + stop.rolling_resistance) + drag)


def _reading(rng: random.Random, entry: Any, truth: float, rates: dict[str, float], scenario: Scenario) -> float:
    sensor = SENSORS[entry.role]
    lost = scenario.friction_missing if entry.role == "friction" else sensor.dropped
    if math.isnan(truth) or rng.random() < lost or rng.random() < sensor.absent:
        return math.nan
    late = truth - sensor.latency_s * rates.get(entry.role, 0.0)
    noise = rng.gauss(0.0, 1.0) * (sensor.noise_sd + sensor.noise_share * late)
    reading = late * (1.0 + rng.gauss(0.0, sensor.scale_sd)) + rng.gauss(0.0, sensor.bias_sd) + noise
    if sensor.step:
        reading = round(reading / sensor.step) * sensor.step
    return float(min(max(reading, entry.low), entry.high))


def _pick(rng: random.Random, shares: list[float]) -> int:
    return rng.choices(range(len(shares)), shares)[0]


def _drawn(rng: random.Random, given: Truncated) -> float:
    return _between(rng, *(float(np.float64(part)) for part in (given.mean, given.sd, given.low, given.high)))


def _between(rng: random.Random, mean: float, sd: float, low: float, high: float) -> float:
    while not low <= (value := rng.gauss(mean, sd)) <= high:
        pass
    return value


def all_at_once(scenario: Scenario, rows: int, seed: int, file: Path) -> None:
    """One pass of numpy over all rows, as float64, then one Parquet file."""
    rng = np.random.default_rng(seed)
    seen = drives.sample(rng, scenario, 0, rows // drives.SNAPSHOTS_PER_DRIVE)
    columns = _readings(rng, seen, scenario) | {CONTRACT.target.name: textbook_distance_m(seen.stop)}
    pl.DataFrame(columns).write_parquet(file, compression="zstd")


def _readings(rng: np.random.Generator, seen: drives.Snapshots, scenario: Scenario) -> dict[str, np.ndarray]:
    stop, n = seen.stop, seen.drive.size
    truths: dict[str, np.ndarray] = {
        "speed": stop.speed_mps,
        "vehicle_class": seen.vehicle_class.astype(float),
        "friction": stop.friction,
        "mass": stop.mass_kg,
        "grade": stop.grade,
        "acceleration": seen.acceleration_mps2 + _G * stop.grade / np.sqrt(1.0 + stop.grade**2),
        "disc_temperature": stop.disc_temperature_c,
        "rain": seen.rain_mmph,
        "air_temperature": seen.air_temperature_c,
        "tyre_pressure": seen.tyre_pressure_kpa,
        "range": seen.gap_m,
        "range_rate": np.where(np.isnan(seen.gap_m), np.nan, -seen.closing_speed_mps),
        "box_height": FOCAL_LENGTH_PX * seen.object_height_m / seen.gap_m,
        "tread_depth": seen.tread_mm,
    }
    rates = {"speed": seen.acceleration_mps2, "range": -seen.closing_speed_mps}
    found = {}
    for entry in CONTRACT.features:
        sensor = SENSORS[entry.role]
        late = truths[entry.role] - sensor.latency_s * rates.get(entry.role, np.zeros(n))
        reading = late * (1.0 + rng.normal(0.0, sensor.scale_sd, n)) + rng.normal(0.0, sensor.bias_sd, n)
        reading += rng.normal(0.0, 1.0, n) * (sensor.noise_sd + sensor.noise_share * late)
        if sensor.step:
            reading = np.round(reading / sensor.step) * sensor.step
        lost = rng.random(n) < (scenario.friction_missing if entry.role == "friction" else sensor.dropped)
        reading[lost | (rng.random(n) < sensor.absent)] = np.nan
        found[entry.name] = np.clip(reading, entry.low, entry.high)
    return found


def textbook_distance_m(stop: physics.Stop) -> np.ndarray:
    """The three phases over all rows, the last one as one sum over a matrix of rows and nodes."""
    v0, reach, tau = stop.speed_mps, stop.dead_time_s, stop.ramp_time_s
    v1 = np.maximum(v0 - _all_resistance(stop, v0) * reach, 0.0)
    full, drift = _all_braking(stop, v1), _all_resistance(stop, v1)
    v2 = v1 - drift * tau - 0.5 * full * tau
    whole = v1 * tau - 0.5 * drift * tau**2 - full * tau**2 / 6.0
    end = np.minimum(tau * (np.sqrt(np.maximum(drift**2 + 2.0 * full * v1 / tau, 0.0)) - drift) / full, tau)
    short = v1 * end - 0.5 * drift * end**2 - full * end**3 / (6.0 * tau)
    ramp = np.where(v2 > 0.0, whole, short)
    v2 = np.maximum(v2, 0.0)
    v = 0.5 * v2[:, None] * (1.0 + np.array(_NODES))
    net = _wide(_all_braking, stop, v) + _wide(_all_resistance, stop, v)
    total: np.ndarray = 0.5 * (v0 + v1) * reach + ramp + 0.5 * v2 * ((v / net) @ np.array(_WEIGHTS))
    return np.asarray(total)


def _wide(way: Callable[[Any, np.ndarray], np.ndarray], stop: physics.Stop, v: np.ndarray) -> np.ndarray:
    return way(physics.Stop(**{name: values[:, None] for name, values in vars(stop).items()}), v)


def _all_braking(stop: physics.Stop, v: np.ndarray) -> np.ndarray:
    share = np.maximum(1.0 - stop.friction_slope_spm * v, physics.FRICTION_FLOOR_SHARE)
    hot = np.clip((stop.disc_temperature_c - physics.FADE_START_C) / physics.FADE_SPAN_K, 0.0, 1.0)
    by_brake = stop.capacity_mps2 * (1.0 - stop.fade_share * hot) * stop.gross_mass_kg / stop.mass_kg
    along = 1.0 / np.sqrt(1.0 + stop.grade**2)
    result: np.ndarray = np.minimum(
        stop.friction * share * stop.grip_share * stop.abs_efficiency * _G * along, by_brake
    )
    return result


def _all_resistance(stop: physics.Stop, v: np.ndarray) -> np.ndarray:
    air = v + stop.headwind_mps
    kelvin = physics.ZERO_CELSIUS_K + stop.air_temperature_c
    drag = 0.5 * physics.AIR_DENSITY_KGPM3 * physics.DENSITY_AT_K / kelvin * stop.drag_area_m2 / stop.mass_kg
    result: np.ndarray = _G / np.sqrt(1.0 + stop.grade**2) * (
        stop.grade + stop.rolling_resistance
    ) + drag * air * np.abs(air)
    return result
