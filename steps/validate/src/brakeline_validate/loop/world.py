"""What there is besides the car: the object ahead with its way along and across, the driver, and the road's bend."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from brakeline_validate.loop.plant import Array
from brakeline_validate.loop.rows import Rows
from brakeline_validate.loop.scenario import Change, Fault, Kind, Scenario
from brakeline_validate.loop.tracks import HALF_LANE_OF_CONTACT_M

RADAR_OUT_S = 1.0
_CHANGES = 3  # of an acceleration, at the most in a scenario


@dataclass
class World(Rows):
    """The object ahead and the driver of N runs; arrays (N,), profiles (N, K)."""

    target_mps: Array  # along the own way, below 0 oncoming
    gap_m: Array
    target_from_s: Array  # (N, K) begins of the target's accelerations
    target_mps2: Array  # (N, K)
    driver_from_s: Array  # (N, K)
    driver_mps2: Array  # (N, K)
    across_m: Array  # (N, 2) lateral place before and after the way across
    across_s: Array  # (N, 2) its begin and end
    lane_m: Array  # where in its lane each of them drives
    curvature: Array  # [1/m] of a bend
    bend_in_m: Array  # way to where it begins
    radar_out_s: Array  # begin of the second without radar, infinite where there is none
    ends_s: Array
    is_solid: NDArray[np.bool_]

    def driver_at(self, now_s: float) -> Array:
        """Acceleration of the driver's choice, (N,)."""
        return _acceleration(self.driver_from_s, self.driver_mps2, now_s)

    def radar_is_out(self, now_s: float) -> NDArray[np.bool_]:
        """Whose radar sees nothing at the moment, (N,)."""
        return (now_s >= self.radar_out_s) & (now_s < self.radar_out_s + RADAR_OUT_S)

    def lateral_m(self, now_s: float) -> Array:
        """Lateral place of the object from the path that the car foresees: straight on, until it is in the bend."""
        begin, end = self.across_s[:, 0], self.across_s[:, 1]
        share = np.clip((now_s - begin) / (end - begin), 0.0, 1.0)
        place = self.across_m[:, 0] + share * (self.across_m[:, 1] - self.across_m[:, 0]) + self.lane_m
        into = np.maximum(self.gap_m - np.maximum(self.bend_in_m, 0.0), 0.0)
        return place - np.where(self.bend_in_m > 0.0, 0.5 * self.curvature * into * into, 0.0)

    def touches(self, now_s: float) -> NDArray[np.bool_]:
        """Who hits the object, (N,)."""
        return (self.gap_m <= 0.0) & self.is_solid & (np.abs(self.lateral_m(now_s)) < HALF_LANE_OF_CONTACT_M)

    def advance(self, now_s: float, seconds: float, own_m: Array) -> None:
        """Move on by some time, in which the car went `own_m`."""
        faster = self.target_mps + _acceleration(self.target_from_s, self.target_mps2, now_s) * seconds
        # A braking target stands in the end; an oncoming one keeps its speed.
        faster = np.where(self.target_mps >= 0.0, np.maximum(faster, 0.0), faster)
        self.gap_m = self.gap_m + 0.5 * (self.target_mps + faster) * seconds - own_m
        self.target_mps = faster
        self.bend_in_m = self.bend_in_m - own_m


def draw(rng: np.random.Generator, scenario: Scenario) -> World:
    """A scenario's runs, each a little different."""
    n, side = scenario.runs, scenario.sideways
    target, driver = (_profile(rng, changes, n) for changes in (scenario.target, scenario.driver))
    begin = side.begin_s + rng.uniform(-0.2, 0.2, n)
    reached_s = scenario.gap_m / max(scenario.speed_mps - scenario.target_speed_mps, 1.0)
    out_s = reached_s - rng.uniform(2.2, 3.2, n)
    return World(
        target_mps=scenario.target_speed_mps * rng.uniform(0.98, 1.02, n),
        gap_m=scenario.gap_m * rng.uniform(0.98, 1.02, n),
        target_from_s=target[0],
        target_mps2=target[1],
        driver_from_s=driver[0],
        driver_mps2=driver[1],
        across_m=np.tile([side.from_m, side.to_m], (n, 1)),
        across_s=np.stack([begin, begin + side.end_s - side.begin_s], axis=1),
        lane_m=rng.normal(0.0, 0.15, n),
        curvature=np.full(n, 1.0 / scenario.bend_radius_m),
        bend_in_m=scenario.bend_after_m * rng.uniform(0.8, 1.2, n),
        radar_out_s=out_s if scenario.fault is Fault.RADAR_DROPOUT else np.full(n, np.inf),
        ends_s=np.full(n, scenario.duration_s),
        is_solid=np.full(n, scenario.kind is Kind.CAR),
    )


def _profile(rng: np.random.Generator, changes: tuple[Change, ...], n: int) -> tuple[Array, Array]:
    """Begins [s] and accelerations [m/s²] of each run's profile, (N, K): a little different in each."""
    begins, values = np.full((n, _CHANGES), np.inf), np.zeros((n, _CHANGES))
    shift, scale = rng.uniform(-0.1, 0.1, n), rng.uniform(0.95, 1.05, n)
    for place, change in enumerate(changes):
        begins[:, place] = change.at_s + shift
        values[:, place] = change.acceleration_mps2 * scale
    return begins, values


def _acceleration(begins_s: Array, values: Array, now_s: float) -> Array:
    """Acceleration at a moment, (N,): that of the last change that has begun."""
    found = np.zeros(begins_s.shape[0])
    for place in range(begins_s.shape[1]):
        found = np.where(begins_s[:, place] <= now_s, values[:, place], found)
    return found
