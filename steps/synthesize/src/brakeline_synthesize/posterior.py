"""What readings say about a moment: exact draws of everything latent, given the readings of one fault-free row.

Given surface and vehicle class all quantities are independent, and each has sensors of its own. So for each surface
the posterior of a quantity is a density on a line, prior times likelihood, kept on a grid of its own for each row;
the integrals of these are the evidence for the surface. Draws take the surface first and then every quantity.
Approximations: grid cells of a 20th of a reading's noise; a speed reading's evidence does not know of its latency.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from brakeline_synthesize import drives, surfaces, vehicles
from brakeline_synthesize.contract import CONTRACT
from brakeline_synthesize.physics import GRAVITY_MPS2, Array, Stop
from brakeline_synthesize.priors import Truncated, normal_cdf, normal_density
from brakeline_synthesize.scenario import Scenario
from brakeline_synthesize.sensors import SENSORS

CELLS = 257
_REACH_SD = 7.0
_SURFACES = len(surfaces.NAMES)


@dataclass(frozen=True)
class Line:
    """Posterior of one quantity for each row and surface, flat (R * 4,): cells from `low`, each `width` wide.

    `evidence` is the density of the quantity's readings; `atom` the share of the posterior that sits at 0 exactly.
    """

    low: Array
    width: Array
    shares: Array  # cumulative, (R * 4, CELLS)
    evidence: Array
    atom: Array

    def draw(self, rng: np.random.Generator, at: NDArray[np.intp]) -> Array:
        """A value for each entry of `at`, which are places in the flat arrays."""
        u = rng.random(at.size)
        flat = (self.shares + np.arange(self.shares.shape[0])[:, None]).ravel()
        cell = np.clip(np.searchsorted(flat, at + u, side="right") - at * CELLS, 0, CELLS - 1)
        value = self.low[at] + (cell + rng.random(at.size)) * self.width[at]
        return np.where(rng.random(at.size) < self.atom[at], 0.0, value)


def draw_stops(rng: np.random.Generator, scenario: Scenario, readings: dict[str, Array], draws: int) -> Stop:
    """`draws` stops that each row's readings may mean, row by row: fields of shape (R * draws,).

    `readings` are (R,) by role, NaN where missing.
    """
    rows = readings["speed"].size
    surface = np.tile(np.arange(_SURFACES), rows)
    kind = np.repeat(readings["vehicle_class"].astype(np.int64), _SURFACES)
    r = {role: np.repeat(values, _SURFACES) for role, values in readings.items()}
    lines = _lines(scenario, surface, kind, r)
    share = drives.shares(scenario.surfaces, surfaces.NAMES)[surface]
    for line in lines.values():
        share = share * line.evidence
    cumulative = np.cumsum(share.reshape(rows, _SURFACES), axis=1)
    u = rng.random((rows, draws)) * cumulative[:, -1:]
    found = (u[:, :, None] >= cumulative[:, None, :-1]).sum(axis=2)
    at = (np.arange(rows)[:, None] * _SURFACES + found).ravel()
    drawn = {name: line.draw(rng, at) for name, line in lines.items()}
    n = at.size
    acceleration = _acceleration(rng, r["acceleration"][at], drawn["grade"])
    drawn["speed"] = drawn["speed"] + SENSORS["speed"].latency_s * acceleration
    drawn["disc"] = drawn["air"] + _disc_above_air(rng, r["disc_temperature"][at] - drawn["air"])
    drawn["headwind_mps"] = drives.wind(scenario).draw(rng, n)
    return drives.stop_of(surface[at], kind[at], drawn | drives.unseen(rng, kind[at]))


def _lines(scenario: Scenario, surface: drives.Indices, kind: drives.Indices, r: dict[str, Array]) -> dict[str, Line]:
    tread = vehicles.of_each("new_tread_mm")[kind]
    return {
        "friction": _line(drives.friction(surface), r["friction"], "friction"),
        "mass_kg": _line(drives.mass(scenario, kind), r["mass"], "mass"),
        "pressure": _line(drives.pressure(kind), r["tyre_pressure"], "tyre_pressure"),
        "tread": _line(_Even(np.full(tread.shape, drives.WORN_OUT_MM), tread), r["tread_depth"], "tread_depth"),
        "grade": _line(
            drives.grade(scenario, surface), r["grade"], "grade", lambda x: _by_imu(x, r["acceleration"][:, None])
        ),
        "air": _line(
            drives.air(scenario, surface), r["air_temperature"], "air_temperature",
            lambda x: _by_disc(r["disc_temperature"][:, None] - x),
        ),
        "speed": _line(
            _Speeds(scenario, surface, kind), r["speed"], "speed", lambda x: _by_radar(x, r["range_rate"][:, None])
        ),
        "rain": _rain(surface, r["rain"]),
    }  # fmt: skip


@dataclass(frozen=True)
class _Even:
    """A uniform distribution, by row (N,)."""

    low: Array
    high: Array

    def by_row(self, x: Array) -> Array:
        return np.where((x >= self.low[:, None]) & (x <= self.high[:, None]), 1.0 / (self.high - self.low)[:, None], 0)


class _Speeds:
    """The mixture of the roads' speeds, by row (N,)."""

    def __init__(self, scenario: Scenario, surface: drives.Indices, kind: drives.Indices) -> None:
        roads = (np.full(surface.shape, number) for number in range(len(scenario.roads)))
        self._by_road = [drives.speed(scenario, road, surface, kind) for road in roads]
        self._shares = drives.road_shares(scenario)
        self.low = np.full(surface.shape, drives.SLOWEST_MPS)
        self.high = np.asarray(self._by_road[0].high)

    def by_row(self, x: Array) -> Array:
        return sum((share * road.by_row(x) for share, road in zip(self._shares, self._by_road, strict=True)), 0.0 * x)


def _line(
    prior: "Truncated | _Even | _Speeds",
    reading: Array,
    role: str,
    other_sensors: Callable[[Array], Array] = np.ones_like,
) -> Line:
    """Prior times the sensor's likelihood times what other sensors say, by row (N,)."""
    sensor, feature = SENSORS[role], CONTRACT.by_role(role)
    low, high = (
        np.broadcast_to(np.asarray(bound, dtype=np.float64), reading.shape) for bound in (prior.low, prior.high)
    )
    known = np.isfinite(reading)
    sd = np.hypot(sensor.noise_sd, sensor.bias_sd) + sensor.scale_sd * np.abs(np.where(known, reading, 0.0))
    reach = _REACH_SD * sd + sensor.step
    # A reading at the end of its range says only that the truth is there or beyond.
    whole = ~known | (reading <= feature.low) | (reading >= feature.high)
    first = np.where(whole, low, np.clip(reading - reach, low, high))
    last = np.where(whole, high, np.clip(reading + reach, low, high))
    empty = last <= first
    first, last = np.where(empty, low, first), np.where(empty, high, last)
    width = (last - first) / CELLS
    x = first[:, None] + (np.arange(CELLS) + 0.5) * width[:, None]
    noise = np.hypot(sensor.noise_sd, sensor.bias_sd) + sensor.scale_sd * np.abs(x)
    density = prior.by_row(x) * _likelihood(reading[:, None], x, noise, sensor.step, feature.low, feature.high)
    return _normalised(first, width, density * other_sensors(x), np.zeros(reading.shape))


def _likelihood(reading: Array, x: Array, noise: Array, step: float, low: float, high: float) -> Array:
    """Density, or for readings in steps or at an end of the range probability, of a reading given the truth x."""
    above, below = (reading + 0.5 * step - x) / noise, (reading - 0.5 * step - x) / noise
    inside = normal_cdf(above) - normal_cdf(below) if step else normal_density(above) / noise
    inside = np.where(reading <= low, normal_cdf(above), np.where(reading >= high, 1.0 - normal_cdf(below), inside))
    return np.where(np.isnan(reading), 1.0, inside)


def _rain(surface: drives.Indices, reading: Array) -> Line:
    """Rain has an atom at none, and an exponential tail."""
    sensor = SENSORS["rain"]
    mean, raining = surfaces.of_each("rain_mean_mmph")[surface], surfaces.of_each("raining_share")[surface]
    known = np.isfinite(reading)
    last = np.where(known, np.maximum(reading / 0.15, 4.0 * sensor.step), 25.0 * mean)
    first = np.where(known, reading / 2.5, 0.0)
    width = (last - first) / CELLS
    x = first[:, None] + (np.arange(CELLS) + 0.5) * width[:, None]
    seen = _likelihood(reading[:, None], x, sensor.noise_share * x, sensor.step, -np.inf, np.inf)
    density = raining[:, None] * np.exp(-x / mean[:, None]) / mean[:, None] * seen
    return _normalised(first, width, density, (1.0 - raining) * (~known | (reading == 0.0)))


def _normalised(low: Array, width: Array, density: Array, atom: Array) -> Line:
    mass = density * width[:, None]
    spread = mass.sum(axis=1)
    evidence = spread + atom
    safe = np.where(spread > 0.0, spread, 1.0)[:, None]
    return Line(low, width, np.cumsum(mass / safe, axis=1), evidence, atom / np.where(evidence > 0.0, evidence, 1.0))


def _by_imu(grade: Array, reading: Array) -> Array:
    sd = np.hypot(drives.ACCELERATION_SD_MPS2, _imu_sd())
    density = normal_density((reading - GRAVITY_MPS2 * grade / np.sqrt(1.0 + grade * grade)) / sd) / sd
    return np.where(np.isnan(reading), 1.0, density)


def _imu_sd() -> float:
    return sqrt(SENSORS["acceleration"].noise_sd ** 2 + SENSORS["acceleration"].bias_sd ** 2)


def _acceleration(rng: np.random.Generator, reading: Array, grade: Array) -> Array:
    prior, noise = drives.ACCELERATION_SD_MPS2**2, _imu_sd() ** 2
    known = np.isfinite(reading)
    rest = np.where(known, reading, 0.0) - GRAVITY_MPS2 * grade / np.sqrt(1.0 + grade * grade)
    mean = np.where(known, rest * prior / (prior + noise), 0.0)
    return rng.normal(mean, np.sqrt(np.where(known, prior * noise / (prior + noise), prior)))


def _by_radar(speed: Array, reading: Array) -> Array:
    """Density of the range rate: the object ahead stands, or moves at an even share of the own speed."""
    sd, closing = SENSORS["range_rate"].noise_sd, -reading
    standing = normal_density((closing - speed) / sd) / sd
    slow, fast = drives.LOWEST_CLOSING * speed, drives.HIGHEST_CLOSING * speed
    moving = (normal_cdf((closing - slow) / sd) - normal_cdf((closing - fast) / sd)) / (fast - slow)
    share = drives.STANDING_SHARE
    return np.where(np.isnan(reading), 1.0, share * standing + (1.0 - share) * moving)


def _disc_branches(above: Array) -> tuple[Array, Array, Array, Array, float]:
    """The two signs of |normal|, given a reading that is `above` the air: weights, means, and the common sd."""
    noise, sd, mean = SENSORS["disc_temperature"].noise_sd, drives.DISC_ABOVE_AIR_SD_K, drives.DISC_ABOVE_AIR_K
    total, kept = sqrt(noise**2 + sd**2), noise * sd / sqrt(noise**2 + sd**2)
    means = [kept**2 * (above / noise**2 + sign * mean / sd**2) for sign in (1.0, -1.0)]
    weights = [
        normal_density((above - sign * mean) / total) / total * normal_cdf(centre / kept)
        for sign, centre in zip((1.0, -1.0), means, strict=True)
    ]
    return weights[0], weights[1], means[0], means[1], kept


def _by_disc(above: Array) -> Array:
    plus, minus, *_ = _disc_branches(above)
    return np.where(np.isnan(above), 1.0, plus + minus)


def _disc_above_air(rng: np.random.Generator, above: Array) -> Array:
    known = np.isfinite(above)
    plus, minus, up, down, sd = _disc_branches(np.where(known, above, 0.0))
    mean = np.where(rng.random(above.size) * (plus + minus) < plus, up, down)
    # So far below 0 that rejection would not end, the tail is as good as its edge.
    value = Truncated(np.maximum(mean, -3.0 * sd), sd, 0.0, np.inf).draw(rng, above.size)
    free = np.abs(rng.normal(drives.DISC_ABOVE_AIR_K, drives.DISC_ABOVE_AIR_SD_K, above.size))
    return np.where(known, value, free)
