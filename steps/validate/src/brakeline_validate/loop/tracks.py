"""The track interface: all that a policy sees of the world, and how radar and camera come to it, noise included.

It is the same in positive and negative runs. Nothing here tells a ghost from a car but what two sensors make of it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from brakeline_validate.loop.draws import Sensors
from brakeline_validate.loop.plant import Array
from brakeline_validate.loop.scenario import Kind

Flags = NDArray[np.bool_]

RANGE_SD_M, RANGE_RATE_SD_MPS, LATENCY_S = 0.15, 0.1, 0.05
CAMERA_RANGE_SHARE, CAMERA_RATE_SD_MPS = 0.03, 0.6  # without radar, the box in the image tells the range
LATERAL_SD_M, LATERAL_SD_SHARE = 0.12, 0.004  # of the range
LATERAL_FILTER, RATE_FILTER, AGREEMENT_FILTER = 0.35, 0.15, 0.15  # weight of a new reading in each cycle
LOST_AFTER_S = 0.3
HALF_LANE_OF_CONTACT_M = 1.75  # half of both vehicles' widths: nearer than that, they touch
LOOK_AHEAD_S = 1.2  # for so long a lateral rate is believed
OBJECT_HEIGHT_M, FOCAL_LENGTH_PX = 1.5, 1200.0

# What each kind of object is to radar and camera: share of cycles in which it is seen.
_SEEN_BY_RADAR = {Kind.CAR: 0.97, Kind.PLATE: 0.97, Kind.RADAR_GHOST: 0.5, Kind.CAMERA_GHOST: 0.02}
_SEEN_BY_CAMERA = {Kind.CAR: 0.97, Kind.PLATE: 0.03, Kind.RADAR_GHOST: 0.01, Kind.CAMERA_GHOST: 0.9}


@dataclass(frozen=True)
class Track:
    """One object ahead for each of N vehicles; arrays (N,), NaN where there is none."""

    range_m: Array
    range_rate_mps: Array
    lateral_m: Array  # from the middle of the own path as it is foreseen
    lateral_rate_mps: Array
    in_path: Array  # [1] probability that it is in the own path when it is reached
    age_s: Array
    agreement: Array  # [1] of radar and camera over the last cycles: 1 both, 1/2 the camera alone, 0 the radar alone
    box_height_px: Array


class Tracker:
    """Turns what is there into tracks, cycle by cycle. Its state is what it has seen so far."""

    def __init__(self, kinds: list[Kind], sensors: Sensors) -> None:
        n = len(kinds)
        self._by_radar = np.array([_SEEN_BY_RADAR[kind] for kind in kinds])
        self._by_camera = np.array([_SEEN_BY_CAMERA[kind] for kind in kinds])
        self._sensors = sensors
        self._age_s, self._unseen_s = np.zeros(n), np.full(n, np.inf)
        self._lateral_m, self._lateral_rate = np.full(n, np.nan), np.zeros(n)
        self._agreement = np.zeros(n)

    def take(self, chosen: NDArray[np.intp]) -> "Tracker":
        """The chosen vehicles' tracker as it is now."""
        other = object.__new__(Tracker)
        other._sensors = self._sensors.take(chosen)
        for name in ("_by_radar", "_by_camera", "_age_s", "_unseen_s", "_lateral_m", "_lateral_rate", "_agreement"):
            setattr(other, name, getattr(self, name)[chosen])
        return other

    def see(
        self, gap_m: Array, closing_mps: Array, lateral_m: Array, radar_is_out: Flags, luck: Array, noise: Array,
        cycle_s: float,
    ) -> Track:  # fmt: skip
        """The track of a moment. `luck` (2, N) is uniform, `noise` (4, N) standard normal; the rest is true, (N,)."""
        there = np.isfinite(gap_m)
        radar = there & (luck[0] < self._by_radar) & ~radar_is_out
        camera = there & (luck[1] < self._by_camera)
        seen = radar | camera
        self._unseen_s = np.where(seen, 0.0, self._unseen_s + cycle_s)
        held = self._unseen_s < LOST_AFTER_S
        self._age_s = np.where(held, self._age_s + cycle_s, 0.0)
        evidence = np.where(radar & camera, 1.0, np.where(camera, 0.5, 0.0))
        moved = self._agreement + AGREEMENT_FILTER * (evidence - self._agreement)
        self._agreement = np.where(held, np.where(seen, moved, self._agreement), 0.0)

        late_m = gap_m + LATENCY_S * closing_mps
        by_radar, by_camera = RANGE_SD_M * noise[0], CAMERA_RANGE_SHARE * gap_m * noise[0]
        distance = late_m + np.where(radar, self._sensors.range_bias_m + by_radar, by_camera)
        rate = -closing_mps + np.where(radar, RANGE_RATE_SD_MPS, CAMERA_RATE_SD_MPS) * noise[1]
        across = self._across(gap_m, lateral_m, noise[2], cycle_s, held)
        return Track(
            range_m=np.where(held, np.maximum(distance, 0.0), np.nan),
            range_rate_mps=np.where(held, rate, np.nan),
            lateral_m=np.where(held, across, np.nan),
            lateral_rate_mps=np.where(held, self._lateral_rate, np.nan),
            in_path=np.where(held, self._in_path(gap_m, closing_mps), 0.0),
            age_s=self._age_s.copy(),
            agreement=self._agreement.copy(),
            box_height_px=np.where(
                held & camera, FOCAL_LENGTH_PX * OBJECT_HEIGHT_M / np.maximum(gap_m, 1.0) + noise[3], np.nan
            ),
        )

    def _across(self, gap_m: Array, lateral_m: Array, noise: Array, cycle_s: float, held: Flags) -> Array:
        """Filtered lateral offset: the path's curvature is estimated too, and its error grows with the range."""
        sd = LATERAL_SD_M + LATERAL_SD_SHARE * gap_m
        read = lateral_m + self._sensors.lateral_bias_m + 0.5 * self._sensors.bend_bias * gap_m * gap_m + sd * noise
        known = np.isfinite(self._lateral_m) & held
        before = np.where(known, self._lateral_m, read)
        after = before + self._lateral_rate * cycle_s
        after = after + LATERAL_FILTER * (read - after)
        rate = self._lateral_rate + RATE_FILTER * ((after - before) / cycle_s - self._lateral_rate)
        self._lateral_rate = np.where(known, rate, 0.0)
        self._lateral_m = np.where(held, after, np.nan)
        return after

    def _in_path(self, gap_m: Array, closing_mps: Array) -> Array:
        """Probability of contact by the lateral offset foreseen, from a ramp as wide as the offset is uncertain."""
        reached_s = gap_m / np.maximum(closing_mps, 0.1)
        foreseen = self._lateral_m + self._lateral_rate * np.minimum(reached_s, LOOK_AHEAD_S)
        width = 0.5 + 2.0 * LATERAL_SD_SHARE * gap_m
        probability: Array = np.clip(0.5 + (HALF_LANE_OF_CONTACT_M - np.abs(foreseen)) / (2.0 * width), 0.0, 1.0)
        return np.where(np.isfinite(probability), probability, 0.0)
