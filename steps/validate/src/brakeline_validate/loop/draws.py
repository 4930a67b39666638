"""What differs from run to run: vehicle, road and sensors, drawn within what training knows and beyond it.

The table of vehicles and all spreads are the gate's own engineering guesses [U]: they were not taken from the simulator
that made the training data. A quarter of the runs lies outside: each of them has one property that no training row has.
"""

from dataclasses import dataclass, fields
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from brakeline_validate.loop.plant import Array, Vehicle
from brakeline_validate.loop.rows import Rows
from brakeline_validate.loop.scenario import Fault, Load, Road, Scenario

OUTSIDE_SHARE = 0.25
FRICTION_MISSING = 0.25


class Beyond(IntEnum):
    """What lies outside of training in a run."""

    SLICK = 0
    LATE = 1
    SLOW = 2
    OVERLOADED = 3
    WEAK = 4
    CHANGED = 5  # the road gets slicker after some metres


@dataclass(frozen=True)
class Make:
    """A vehicle on the market; `number` is its class in the data contract."""

    number: int
    kerb_kg: float
    gross_kg: float
    front_load: float
    height_over_base: float
    axle_mass_kg: float
    capacity_mps2: float
    tyre: float  # [1] grip of its tyres
    delay_s: float
    lag_s: float
    drag_area_m2: float
    pressure_kpa: float
    share: float  # of the runs with cars


CARS = (
    Make(0, 1080.0, 1560.0, 0.61, 0.22, 18.0, 10.0, 1.00, 0.15, 0.13, 0.61, 230.0, 0.30),
    Make(1, 1500.0, 2050.0, 0.57, 0.21, 22.0, 10.4, 1.00, 0.15, 0.13, 0.64, 240.0, 0.40),
    Make(2, 1900.0, 2600.0, 0.54, 0.25, 30.0, 10.0, 1.00, 0.15, 0.13, 0.88, 260.0, 0.22),
    Make(3, 2100.0, 3450.0, 0.53, 0.27, 34.0, 8.9, 0.97, 0.16, 0.14, 1.30, 340.0, 0.08),
)
TRUCK = Make(4, 7400.0, 17500.0, 0.42, 0.22, 180.0, 6.4, 0.86, 0.34, 0.22, 5.4, 800.0, 1.0)

# By road: friction, its spread and bounds within training, its loss with speed [s/m], air [°C] and its spread, rain.
_FRICTION = {
    Road.DRY: (0.92, 0.06, 0.72, 1.10),
    Road.WET: (0.62, 0.09, 0.40, 0.85),
    Road.SNOW: (0.28, 0.05, 0.18, 0.42),
    Road.ICE: (0.13, 0.03, 0.085, 0.22),
}
_SLOPE_SPM = {Road.DRY: 0.0015, Road.WET: 0.0045, Road.SNOW: 0.003, Road.ICE: 0.002}
_AIR_C = {Road.DRY: (15.0, 7.0, 1.0, 38.0), Road.WET: (11.0, 5.0, 2.0, 30.0), Road.SNOW: (-4.0, 2.0, -12.0, 0.0),
          Road.ICE: (-3.0, 2.0, -10.0, 0.5)}  # fmt: skip
_RAIN_MMPH = {Road.DRY: 0.0, Road.WET: 3.0, Road.SNOW: 0.7, Road.ICE: 0.0}


@dataclass
class Sensors(Rows):
    """What N vehicles read of themselves and the weather, and how the other readings are off; arrays (N,)."""

    vehicle_class: Array
    speed_scale: Array
    speed_offset_mps: Array  # of a sensor that is stuck below the true speed
    friction: Array  # the estimate, NaN where there is none
    mass_kg: Array
    grade: Array
    disc_temperature_c: Array
    rain_mmph: Array
    air_temperature_c: Array
    tyre_pressure_kpa: Array
    range_bias_m: Array
    bend_bias: Array  # [1/m] error of the path's estimated curvature
    lateral_bias_m: Array


def draw(rng: np.random.Generator, scenario: Scenario) -> tuple[Vehicle, Sensors, NDArray[np.bool_]]:
    """Vehicles and sensors of a scenario's runs, and which of them lie outside of what training knows; shapes (N,)."""
    n = scenario.runs
    outside = np.arange(n) >= round((1.0 - OUTSIDE_SHARE) * n)
    makes = (TRUCK,) if scenario.truck else CARS
    chosen = rng.choice(len(makes), n, p=[make.share for make in makes])
    of = {field.name: np.array([getattr(make, field.name) for make in makes])[chosen] for field in fields(Make)}
    load = {Load.UNLADEN: (0.12, 0.16), Load.LADEN: (0.95, 1.0), Load.ANY: (0.05, 0.8)}[scenario.load]
    mass = of["kerb_kg"] + rng.uniform(*load, n) * (of["gross_kg"] - of["kerb_kg"])
    case, size = np.where(outside, rng.integers(0, 6, n), -1), rng.uniform(0.0, 1.0, n)
    friction = _within(rng, *_FRICTION[scenario.road], n)
    if scenario.road is not Road.ICE:
        friction = np.where(case == Beyond.SLICK, friction * (0.72 - 0.1 * size), friction)
    air = _within(rng, *_AIR_C[scenario.road], n)
    rain = _RAIN_MMPH[scenario.road] * rng.uniform(0.3, 2.0, n)
    worn, flat = rng.uniform(0.0, 1.0, n), np.clip(rng.normal(0.0, 0.06, n), -0.15, 0.3)
    loss = 0.0 if scenario.road is Road.DRY else 0.13
    grade = _within(rng, 0.0, 0.015, -0.03, 0.03, n)
    vehicle = Vehicle(
        mass_kg=mass,
        gross_mass_kg=of["gross_kg"],
        front_load=of["front_load"] + rng.uniform(-0.03, 0.03, n),
        height_over_base=of["height_over_base"] * rng.uniform(0.92, 1.08, n),
        axle_mass_kg=of["axle_mass_kg"] * rng.uniform(0.9, 1.1, n),
        front_brake=rng.uniform(0.64, 0.72, n),
        capacity_mps2=of["capacity_mps2"] * rng.uniform(0.97, 1.03, n),
        fade_share=_within(rng, 0.35, 0.05, 0.2, 0.5, n),
        delay_s=of["delay_s"] + _within(rng, 0.0, 0.03, -0.08, 0.12, n),
        lag_s=of["lag_s"] * rng.uniform(0.7, 1.5, n),
        drag_area_m2=of["drag_area_m2"] * rng.uniform(0.95, 1.05, n),
        rolling_resistance=rng.uniform(0.009, 0.015, n),
        slip_peak=rng.uniform(0.07, 0.18, n),
        friction=friction * of["tyre"] * (1.0 - loss * worn) * (1.0 - 0.1 * np.maximum(flat, 0.0)),
        friction_slope_spm=np.full(n, _SLOPE_SPM[scenario.road]),
        patch_after_m=np.where(rng.random(n) < 0.3, rng.uniform(2.0, 40.0, n), np.inf),
        patch_factor=rng.uniform(0.9, 1.1, n),
        grade=grade,
        headwind_mps=_within(rng, 0.0, 3.0, -9.0, 9.0, n),
        air_temperature_c=air,
        disc_temperature_c=air + rng.uniform(20.0, 220.0, n),
    )
    _put_beyond(vehicle, case, size)
    return vehicle, _sensors(rng, scenario, vehicle, of, friction, rain, flat), outside


def _put_beyond(car: Vehicle, case: NDArray[np.int64], size: Array) -> None:
    """Give each run outside one property beyond the training ranges; all of them make a stop longer."""

    def put(which: Beyond, values: Array, instead: Array) -> None:
        values[:] = np.where(case == which, instead, values)

    put(Beyond.LATE, car.delay_s, car.delay_s + 0.27 + 0.1 * size)
    put(Beyond.SLOW, car.lag_s, 3.2 * car.lag_s * (1.0 + 0.3 * size))
    put(Beyond.OVERLOADED, car.mass_kg, car.gross_mass_kg * (1.06 + 0.12 * size))
    put(Beyond.WEAK, car.capacity_mps2, car.capacity_mps2 * (0.72 - 0.08 * size))
    put(Beyond.CHANGED, car.patch_after_m, 2.0 + 10.0 * size)
    put(Beyond.CHANGED, car.patch_factor, 0.75 - 0.15 * size)


def _sensors(
    rng: np.random.Generator, scenario: Scenario, car: Vehicle, of: dict[str, Array], friction: Array, rain: Array,
    flat: Array,
) -> Sensors:  # fmt: skip
    n = scenario.runs
    stuck, biased = scenario.fault is Fault.SPEED_STUCK, scenario.fault is Fault.FRICTION_BIASED
    missing = (rng.random(n) < FRICTION_MISSING) & (not biased)
    return Sensors(
        vehicle_class=of["number"].astype(np.float64),
        speed_scale=rng.normal(1.0, 0.008, n),
        speed_offset_mps=np.where(stuck, rng.uniform(0.2, 0.45, n) * scenario.speed_mps, 0.0),
        friction=np.where(missing, np.nan, friction + rng.normal(0.0, 0.05, n) + 0.2 * biased),
        mass_kg=car.mass_kg * rng.normal(1.0, 0.05, n),
        grade=car.grade + rng.normal(0.0, 0.005, n),
        disc_temperature_c=car.disc_temperature_c + rng.normal(0.0, 25.0, n),
        rain_mmph=rain * rng.uniform(0.7, 1.3, n),
        air_temperature_c=car.air_temperature_c + rng.normal(0.0, 0.6, n),
        tyre_pressure_kpa=of["pressure_kpa"] * (1.0 - flat),
        range_bias_m=rng.normal(0.0, 0.1, n),
        bend_bias=rng.normal(0.0, 0.0004, n),
        lateral_bias_m=rng.normal(0.0, 0.1, n),
    )


def _within(rng: np.random.Generator, mean: float, sd: float, low: float, high: float, n: int) -> Array:
    """Normal values, those outside of the bounds put onto them."""
    return np.clip(rng.normal(mean, sd, n), low, high)
