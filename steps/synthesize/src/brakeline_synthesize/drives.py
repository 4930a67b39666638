"""Drives: one vehicle, one road, one weather, seen at several moments. What no sensor tells is latent.

Each quantity's distribution is named by a function here, given surface and vehicle class, and the noise floor weighs
by the same functions. Given these two, the quantities are independent: that is what makes the floor exact.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from brakeline_synthesize import surfaces, vehicles
from brakeline_synthesize.physics import Array, Stop
from brakeline_synthesize.priors import Truncated
from brakeline_synthesize.scenario import Scenario

SNAPSHOTS_PER_DRIVE = 5

SLOWEST_MPS = 1.0
WORN_OUT_MM = 1.6
ACCELERATION_SD_MPS2 = 0.5
OBJECT_AHEAD_SHARE, STANDING_SHARE = 0.7, 0.3
LOWEST_CLOSING, HIGHEST_CLOSING = -0.1, 0.5  # of the own speed, where the object does not stand
# How far discs are above the air: |normal(mean, sd)| [U]
DISC_ABOVE_AIR_K, DISC_ABOVE_AIR_SD_K = 120.0, 110.0

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Snapshots:
    """N moments of driving: the stop that would follow, and what explains the sensors. Arrays of shape (N,)."""

    stop: Stop
    drive: Indices
    surface: Indices
    vehicle_class: Indices
    rain_mmph: Array
    air_temperature_c: Array
    tyre_pressure_kpa: Array
    tread_mm: Array
    acceleration_mps2: Array
    gap_m: Array  # NaN where nothing is ahead
    closing_speed_mps: Array
    object_height_m: Array


def sample(rng: np.random.Generator, scenario: Scenario, first_drive: int, drives: int) -> Snapshots:
    """Draw `drives` whole drives, numbered from `first_drive`; SNAPSHOTS_PER_DRIVE rows each, grouped."""
    n, per = drives, SNAPSHOTS_PER_DRIVE
    total = n * per
    surface = rng.choice(len(surfaces.NAMES), n, p=shares(scenario.surfaces, surfaces.NAMES))
    kind = rng.choice(len(vehicles.NAMES), n, p=shares(scenario.vehicles, vehicles.NAMES))
    road = rng.choice(len(scenario.roads), n, p=road_shares(scenario))
    rain = np.where(
        rng.random(n) < surfaces.of_each("raining_share")[surface],
        rng.exponential(surfaces.of_each("rain_mean_mmph")[surface]),
        0.0,
    )
    drawn = {
        "friction": friction(surface).draw(rng, n),
        "mass_kg": mass(scenario, kind).draw(rng, n),
        "air": air(scenario, surface).draw(rng, n),
        "pressure": pressure(kind).draw(rng, n),
        "tread": rng.uniform(WORN_OUT_MM, vehicles.of_each("new_tread_mm")[kind]),
        "headwind_mps": wind(scenario).draw(rng, n),
    } | unseen(rng, kind)
    rows = {name: np.repeat(values, per) for name, values in (drawn | {"rain": rain}).items()}
    surface, kind, road = (np.repeat(index, per) for index in (surface, kind, road))
    speed_mps = speed(scenario, road, surface, kind).draw(rng, total)
    disc = rows["air"] + np.abs(rng.normal(DISC_ABOVE_AIR_K, DISC_ABOVE_AIR_SD_K, total))
    ahead = rng.random(total) < OBJECT_AHEAD_SHARE
    moving = rng.uniform(LOWEST_CLOSING, HIGHEST_CLOSING, total)
    return Snapshots(
        stop=stop_of(
            surface, kind, {**rows, "speed": speed_mps, "grade": grade(scenario, surface).draw(rng, total),
                            "disc": disc},
        ),
        drive=np.repeat(np.arange(first_drive, first_drive + n, dtype=np.int64), per),
        surface=surface,
        vehicle_class=kind,
        rain_mmph=rows["rain"],
        air_temperature_c=rows["air"],
        tyre_pressure_kpa=rows["pressure"],
        tread_mm=rows["tread"],
        acceleration_mps2=rng.normal(0.0, ACCELERATION_SD_MPS2, total),
        gap_m=np.where(ahead, np.clip(rng.lognormal(np.log(35.0), 0.7, total), 2.0, 250.0), np.nan),
        closing_speed_mps=speed_mps * np.where(rng.random(total) < STANDING_SHARE, 1.0, moving),
        object_height_m=np.clip(rng.normal(1.55, 0.15, total), 1.1, 3.5),
    )  # fmt: skip


def stop_of(surface: Indices, kind: Indices, drawn: dict[str, Array]) -> Stop:
    """The stop that follows from what was drawn; arrays broadcast to (N,). Keys as `sample` and `unseen` name them."""
    of_surface, of_class = _columns(surface, surfaces.of_each), _columns(kind, vehicles.of_each)
    new_tread, nominal = of_class("new_tread_mm"), of_class("pressure_kpa")
    worn = (new_tread - drawn["tread"]) / (new_tread - WORN_OUT_MM)
    flat = np.clip(1.0 - drawn["pressure"] / nominal, 0.0, 0.4)
    film = np.minimum(drawn["rain"], surfaces.MOST_FILM_MMPH) * of_surface("film_slope")
    return Stop(
        speed_mps=drawn["speed"],
        grade=drawn["grade"],
        headwind_mps=drawn["headwind_mps"],
        disc_temperature_c=drawn["disc"],
        friction=drawn["friction"],
        # Worn tyres lose grip where there is something to push aside, under-inflated ones everywhere [U].
        friction_slope_spm=of_surface("slope_spm") + film * (0.5 + worn),
        grip_share=(1.0 - of_surface("tread_loss") * worn) * (1.0 - 0.1 * flat) * of_class("tyre_share"),
        abs_efficiency=drawn["abs_efficiency"],
        dead_time_s=drawn["dead_time_s"],
        ramp_time_s=drawn["ramp_time_s"],
        mass_kg=drawn["mass_kg"],
        gross_mass_kg=of_class("gross_kg"),
        capacity_mps2=of_class("capacity_mps2"),
        fade_share=drawn["fade_share"],
        rolling_resistance=drawn["rolling_resistance"],
        drag_area_m2=drawn["drag_share"] * of_class("drag_area_m2"),
        air_temperature_c=drawn["air"],
    )


def unseen(rng: np.random.Generator, kind: Indices) -> dict[str, Array]:
    """What no sensor tells, given the vehicle class (N,): draws of shape (N,) [U]."""
    n, of_class = kind.size, _columns(kind, vehicles.of_each)
    spread = np.clip(rng.lognormal(0.0, 0.25, n), 0.35, 3.0)
    return {
        "abs_efficiency": Truncated(of_class("abs_efficiency"), 0.03, 0.8, 1.0).draw(rng, n),
        "dead_time_s": of_class("dead_time_s") + Truncated(0.0, 0.04, -0.12, 0.25).draw(rng, n),
        "ramp_time_s": of_class("ramp_time_s") * spread,
        "fade_share": Truncated(0.35, 0.05, 0.15, 0.55).draw(rng, n),
        "rolling_resistance": Truncated(0.012, 0.0015, 0.008, 0.018).draw(rng, n),
        "drag_share": rng.uniform(0.95, 1.05, n),
    }


def friction(surface: Indices) -> Truncated:
    """Friction by surface (N,)."""
    each = [entry.friction for entry in surfaces.SURFACES]
    return Truncated(*(np.array([getattr(t, part) for t in each])[surface] for part in ("mean", "sd", "low", "high")))


def mass(scenario: Scenario, kind: Indices) -> Truncated:
    """Mass [kg] by class (N,): kerb mass and a share of the payload, spread by what is carried and fitted."""
    kerb, gross = vehicles.of_each("kerb_kg")[kind], vehicles.of_each("gross_kg")[kind]
    room = gross - kerb
    return Truncated(kerb + scenario.load.mean * room, scenario.load.sd * room, 0.93 * kerb, gross)


def air(scenario: Scenario, surface: Indices) -> Truncated:
    """Air temperature [°C] by surface (N,)."""
    mean = np.array([getattr(scenario.air_c, name) for name in surfaces.NAMES])[surface]
    return Truncated(mean, *(surfaces.of_each(part)[surface] for part in ("air_sd_k", "air_low_c", "air_high_c")))


def pressure(kind: Indices) -> Truncated:
    """Tyre pressure [kPa] by class (N,)."""
    nominal = vehicles.of_each("pressure_kpa")[kind]
    return Truncated(nominal, 0.065 * nominal, 0.6 * nominal, 1.25 * nominal)


def grade(scenario: Scenario, surface: Indices) -> Truncated:
    """Rise over run by surface (N,)."""
    steepest = np.array([entry.steepest_downhill for entry in surfaces.SURFACES])[surface]
    return Truncated(0.0, scenario.grade_sd, -steepest, surfaces.STEEPEST_UPHILL)


def speed(scenario: Scenario, road: Indices, surface: Indices, kind: Indices) -> Truncated:
    """Speed [m/s] by road, surface and class (N,)."""
    roads = list(scenario.roads.values())
    share = surfaces.of_each("speed_share")[surface] * vehicles.of_each("speed_share")[kind]
    fastest = vehicles.of_each("fastest_mps")[kind] * surfaces.of_each("speed_share")[surface]
    mean = np.array([entry.speed_mps for entry in roads])[road] * share
    sd = np.array([entry.sd_mps for entry in roads])[road] * share
    return Truncated(mean, sd, SLOWEST_MPS, fastest)


def wind(scenario: Scenario) -> Truncated:
    """Wind from ahead [m/s]."""
    return Truncated(0.0, scenario.wind_sd_mps, -10.0, 10.0)


def shares(given: dict[str, float], names: tuple[str, ...]) -> Array:
    """Shares in the order of the names; 0 for what is not given."""
    return np.array([given.get(name, 0.0) for name in names])


def road_shares(scenario: Scenario) -> Array:
    """Shares of the scenario's roads in its own order."""
    return np.array([road.share for road in scenario.roads.values()])


def _columns(index: Indices, of_each: Callable[[str], np.ndarray]) -> Callable[[str], Array]:
    return lambda field: of_each(field)[index]
