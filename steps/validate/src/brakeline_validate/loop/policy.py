"""The braking policy, stated here and nowhere else, and the others that it is compared with.

With s the gap, c the closing speed, d_q the model's way to standstill (median or bound), t_r the response time:

    a_q = v²/(2 (d_q - v t_r))                          the deceleration that a way means                     (1)
    least(a, t) = least gap if the target keeps on as it does, and the car brakes with a from t + t_r on      (2)

    warn:   least(a_bound, t_driver) < standoff                                                              (3)
    brake:  least(a_bound, 0) < standoff  and  least(share a_median, 0) < standoff                            (4)

The bound alone would brake absurdly early where little is known: on snow it is twice the median. So braking also waits
until a share of what the median promises is needed; until then there is the warning. Where the model raises its flag,
its worst case warns, and what packed snow gives stands in for the median.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from brakeline_validate.loop.plant import Array
from brakeline_validate.loop.tracks import Track

Flags = NDArray[np.bool_]

RESPONSE_S = 0.3  # dead time and half the rise of the brakes
DRIVER_RESPONSE_S = 1.3  # from the warning to the driver's foot: so the warning comes well before the braking
STANDOFF_M = 1.0
SHARE_OF_MEDIAN = 0.75
FALLBACK_DECELERATION_MPS2 = 2.5  # what packed snow gives
IN_PATH, IN_PATH_TO_WARN = 0.75, 0.5
AGREEMENT, AGREEMENT_ALONE = 0.7, 0.38  # both sensors; the camera alone
AGE_S, AGE_ALONE_S = 0.25, 0.8
CONFIRMED_CYCLES = 2
# What seems to be oncoming must have been in the path for so long: traffic in a bend crosses it for a moment.
ONCOMING_MPS, ONCOMING_IN_PATH_S = -3.0, 0.8
SPEED_GAIN, ACCELERATION_GAIN = 0.4, 0.1  # of the filter that follows the target
TARGET_NOISE_MPS2, HARDEST_TARGET_MPS2 = 0.4, 10.0
_LOOKS = 24  # moments at which eq. (2) looks


@dataclass(frozen=True)
class Answers:
    """What the model says of N vehicles; arrays (N,)."""

    median_m: Array
    upper_m: Array
    flagged: Flags


class Policy(Protocol):
    """Decides in each cycle, from tracks, the speed reading and the model's answers, which vehicles warn and brake."""

    name: str

    def decide(self, track: Track, speed_mps: Array, answers: Answers, cycle_s: float) -> tuple[Flags, Flags]:
        """Warn and brake, (N,) each."""
        ...

    def take(self, chosen: NDArray[np.intp]) -> "Policy":
        """The chosen vehicles' policy as it is now."""
        ...


class TwoStages:
    """Eq. (3) and (4). `bound_is_median` is what a pipeline without a bound would do."""

    def __init__(self, n: int, *, bound_is_median: bool = False) -> None:
        self.name = "median instead of bound" if bound_is_median else "two stages"
        self._bound_is_median = bound_is_median
        self._target_mps2, self._target_mps = np.zeros(n), np.full(n, np.nan)
        self._confirmed, self._in_path_s = np.zeros(n, dtype=np.int64), np.zeros(n)

    def take(self, chosen: NDArray[np.intp]) -> "TwoStages":
        """See `Policy.take`."""
        other = TwoStages(0, bound_is_median=self._bound_is_median)
        for name in ("_target_mps2", "_target_mps", "_confirmed", "_in_path_s"):
            setattr(other, name, getattr(self, name)[chosen])
        return other

    def decide(self, track: Track, speed_mps: Array, answers: Answers, cycle_s: float) -> tuple[Flags, Flags]:
        """See `Policy.decide`."""
        closing = -track.range_rate_mps
        # What comes nearer faster than the car drives is oncoming, or the speed reading is too low: the worse is taken.
        own = np.maximum(speed_mps, np.where(np.isfinite(closing), closing, 0.0))
        target_mps, target_mps2 = self._target(own - closing, cycle_s)
        bound, median = _deceleration(own, answers.upper_m), _deceleration(own, answers.median_m)
        median = np.where(answers.flagged, FALLBACK_DECELERATION_MPS2, median)
        if self._bound_is_median:
            bound, share = median, 1.0
        else:
            share = SHARE_OF_MEDIAN
        gap = track.range_m - STANDOFF_M

        def too_near(deceleration: Array, response_s: float) -> Flags:
            return least_gap_m(gap, own, target_mps, target_mps2, deceleration, response_s) < 0.0

        coming = np.isfinite(gap) & (closing > 0.5)
        warn = coming & (track.in_path >= IN_PATH_TO_WARN) & too_near(bound, RESPONSE_S + DRIVER_RESPONSE_S)
        together = (track.agreement >= AGREEMENT) & (track.age_s >= AGE_S)
        alone = (track.agreement >= AGREEMENT_ALONE) & (track.age_s >= AGE_ALONE_S)
        in_path = track.in_path >= IN_PATH
        self._in_path_s = np.where(in_path, self._in_path_s + cycle_s, 0.0)
        lasting = (speed_mps - closing > ONCOMING_MPS) | (self._in_path_s >= ONCOMING_IN_PATH_S)
        wanted = coming & in_path & lasting & (together | alone)
        wanted &= too_near(bound, RESPONSE_S) & too_near(share * median, RESPONSE_S)
        self._confirmed = np.where(wanted, self._confirmed + 1, 0)
        return warn, self._confirmed >= CONFIRMED_CYCLES

    def _target(self, target_mps: Array, cycle_s: float) -> tuple[Array, Array]:
        """Speed [m/s] and acceleration [m/s²] of the target by an alpha-beta filter; only its braking counts."""
        fresh = ~np.isfinite(self._target_mps)
        foreseen = np.where(fresh, target_mps, self._target_mps + self._target_mps2 * cycle_s)
        residual = np.where(np.isfinite(target_mps) & ~fresh, target_mps - foreseen, 0.0)
        self._target_mps = np.where(np.isfinite(target_mps), foreseen + SPEED_GAIN * residual, np.nan)
        self._target_mps2 = np.where(fresh, 0.0, self._target_mps2 + ACCELERATION_GAIN * residual / cycle_s)
        braking = np.where(self._target_mps2 < -TARGET_NOISE_MPS2, self._target_mps2, 0.0)
        return self._target_mps, np.maximum(braking, -HARDEST_TARGET_MPS2)


class TimeToCollision:
    """Brakes below a time to collision, as many simple systems do."""

    def __init__(self, n: int, brake_s: float = 1.6, warn_s: float = 2.6) -> None:
        self.name = "time to collision"
        self._brake_s, self._warn_s, self._n = brake_s, warn_s, n

    def take(self, chosen: NDArray[np.intp]) -> "TimeToCollision":
        """See `Policy.take`."""
        return TimeToCollision(chosen.size, self._brake_s, self._warn_s)

    def decide(self, track: Track, speed_mps: Array, answers: Answers, cycle_s: float) -> tuple[Flags, Flags]:
        """See `Policy.decide`."""
        time_s = track.range_m / np.maximum(-track.range_rate_mps, 0.1)
        believed = (track.in_path >= IN_PATH) & (track.age_s >= AGE_S) & (track.agreement >= AGREEMENT)
        return believed & (time_s < self._warn_s), believed & (time_s < self._brake_s)


class Always:
    """Brakes at whatever has a track, or never."""

    def __init__(self, n: int, *, brakes: bool = True) -> None:
        self.name = "always" if brakes else "never"
        self._brakes, self._n = brakes, n

    def take(self, chosen: NDArray[np.intp]) -> "Always":
        """See `Policy.take`."""
        return Always(chosen.size, brakes=self._brakes)

    def decide(self, track: Track, speed_mps: Array, answers: Answers, cycle_s: float) -> tuple[Flags, Flags]:
        """See `Policy.decide`."""
        there = np.isfinite(track.range_m) & self._brakes
        return there, there


def least_gap_m(
    gap_m: Array, own_mps: Array, target_mps: Array, target_mps2: Array, deceleration_mps2: Array, response_s: float
) -> Array:
    """Least gap [m] until the car stands, (N,): eq. (2), looked at from moment to moment."""
    braking_s = own_mps / np.maximum(deceleration_mps2, 1e-3)
    t = (response_s + braking_s)[:, None] * (np.arange(1, _LOOKS + 1) / _LOOKS)
    own = own_mps[:, None]
    since = np.maximum(t - response_s, 0.0)
    way = own * t - 0.5 * np.minimum(deceleration_mps2[:, None], 1e3) * since * since
    # A target that brakes stands in the end; one that is oncoming is taken as standing.
    ahead = np.maximum(target_mps, 0.0)[:, None]
    slowing = np.minimum(target_mps2, -1e-6)[:, None]
    driven = np.minimum(t, ahead / -slowing)
    least: Array = np.min(gap_m[:, None] + ahead * driven + 0.5 * slowing * driven * driven - way, axis=1)
    return least


def _deceleration(speed_mps: Array, way_m: Array) -> Array:
    """Eq. (1) [m/s²]; a way that leaves nothing to brake in counts as nothing but braking."""
    left = np.maximum(way_m - speed_mps * RESPONSE_S, 0.25 * way_m)
    deceleration: Array = speed_mps * speed_mps / (2.0 * np.maximum(left, 1e-3))
    return deceleration
