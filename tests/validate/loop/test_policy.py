"""The braking policy: its arithmetic by hand, its two stages, and what it does when it knows little."""

import numpy as np
import pytest
from brakeline_validate.loop import policy
from brakeline_validate.loop.policy import Answers, TwoStages
from brakeline_validate.loop.tracks import Track

CYCLE_S = 0.05


def one(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float64)


def track(range_m: float, rate_mps: float, **instead: float) -> Track:
    """A car in the path, seen by both sensors for a second, unless said otherwise."""
    usual = {"lateral_m": 0.0, "lateral_rate_mps": 0.0, "in_path": 1.0, "age_s": 1.0, "agreement": 0.95,
             "box_height_px": 40.0} | instead  # fmt: skip
    return Track(one(range_m), one(rate_mps), **{name: one(value) for name, value in usual.items()})


def decided(seen: Track, median_m: float, upper_m: float, speed_mps: float = 20.0, flagged: bool = False,
            cycles: int = 3) -> tuple[bool, bool]:  # fmt: skip
    """Warn and brake after some equal cycles."""
    chosen, answers = TwoStages(1), Answers(one(median_m), one(upper_m), np.array([flagged]))
    for _ in range(cycles):
        warn, brake = chosen.decide(seen, one(speed_mps), answers, CYCLE_S)
    return bool(warn[0]), bool(brake[0])


def test_the_least_gap_before_a_standing_target_is_by_hand() -> None:
    """20 m/s, 0.3 s, then 8 m/s²: 6 + 25 = 31 m; of 40 m, 9 are left."""
    left = policy.least_gap_m(one(40.0), one(20.0), one(0.0), one(0.0), one(8.0), 0.3)
    assert left == pytest.approx([9.0], abs=1e-9)


def test_the_least_gap_behind_a_moving_target_is_where_speeds_meet() -> None:
    """20 m/s behind 10 m/s, 0.3 s, then 5 m/s²: 3 m, then 10²/(2·5) = 10 m; of 20 m, 7 are left."""
    left = policy.least_gap_m(one(20.0), one(20.0), one(10.0), one(0.0), one(5.0), 0.3)
    assert left == pytest.approx([7.0], abs=0.05)


def test_the_least_gap_behind_a_braking_target_counts_its_whole_way() -> None:
    """Both at 20 m/s, it with 4 m/s² (50 m), the car with 8 after 0.3 s (31 m), 10 m apart: they are nearest early on.

    After t the gap is 10 - 2 t² until 0.3 s, and then the car brakes harder: its least is 10 - 0.18 - 1.2 + ... by
    the parabola -2 t² + 4 (t - 0.3)², lowest at t = 0.6: 10 - 0.72 + 0.36 = 9.64.
    """
    left = policy.least_gap_m(one(10.0), one(20.0), one(20.0), one(-4.0), one(8.0), 0.3)
    assert left == pytest.approx([9.64], abs=0.03)


def test_a_way_means_a_deceleration() -> None:
    """31 m from 20 m/s with 0.3 s of response are 8 m/s²."""
    assert policy._deceleration(one(20.0), one(31.0)) == pytest.approx([8.0])


def test_it_warns_before_it_brakes_and_brakes_in_time() -> None:
    """At 20 m/s with a bound of 36 m and a median of 31: far off nothing, then the warning, then the brakes."""
    assert decided(track(100.0, -20.0), 31.0, 36.0) == (False, False)
    assert decided(track(60.0, -20.0), 31.0, 36.0) == (True, False)
    assert decided(track(36.5, -20.0), 31.0, 36.0) == (True, True)


def test_a_wide_bound_warns_early_and_brakes_by_the_median() -> None:
    """On snow with a bound of twice the median, the bound alone would brake at 160 m; braking waits for its share."""
    assert decided(track(150.0, -20.0), 80.0, 160.0) == (True, False)
    assert decided(track(112.0, -20.0), 80.0, 160.0) == (True, False)
    assert decided(track(100.0, -20.0), 80.0, 160.0) == (True, True)


def test_a_raised_flag_warns_by_the_worst_case_and_brakes_as_on_snow() -> None:
    """The worst case is kilometres long: it warns at once, and braking begins where packed snow would need it."""
    assert decided(track(190.0, -20.0), 1000.0, 1000.0, flagged=True) == (True, False)
    assert decided(track(100.0, -20.0), 1000.0, 1000.0, flagged=True) == (True, True)


@pytest.mark.parametrize(
    "doubt",
    [{"in_path": 0.4}, {"age_s": 0.1}, {"agreement": 0.05}, {"agreement": 0.5, "age_s": 0.4}],
    ids=["beside the path", "just appeared", "radar alone", "camera alone, new"],
)
def test_what_is_doubtful_is_not_braked_for(doubt: dict[str, float]) -> None:
    """Each doubt alone keeps the brakes off at a gap where a sure car would be braked for."""
    assert decided(track(30.0, -20.0), 31.0, 36.0)[1]
    assert not decided(track(30.0, -20.0, **doubt), 31.0, 36.0)[1]


def test_one_cycle_is_no_confirmation() -> None:
    """A single bad reading does not brake."""
    assert not decided(track(30.0, -20.0), 31.0, 36.0, cycles=1)[1]
    assert decided(track(30.0, -20.0), 31.0, 36.0, cycles=2)[1]


def test_nobody_brakes_without_an_answer_or_a_track() -> None:
    """NaN from the model or the tracker is no reason to brake; the model is asked about all that is near."""
    assert decided(track(30.0, -20.0), float("nan"), float("nan")) == (False, False)
    assert decided(track(float("nan"), float("nan")), 31.0, 36.0) == (False, False)


def test_what_seems_to_be_oncoming_must_stay_in_the_path() -> None:
    """Closing at 20 m/s with 8 m/s on the clock: oncoming for a moment is ignored, for a second it is braked for."""
    near = track(30.0, -20.0)
    assert not decided(near, 31.0, 36.0, speed_mps=8.0, cycles=10)[1]
    assert decided(near, 31.0, 36.0, speed_mps=8.0, cycles=20)[1]


def test_the_targets_braking_is_seen_in_its_speed() -> None:
    """A lead that brakes with 5 m/s² is known to within 0.5 m/s² after half a second."""
    chosen = TwoStages(1)
    for cycle in range(12):
        found = chosen._target(one(20.0 - 5.0 * cycle * CYCLE_S), CYCLE_S)
    assert found[1] == pytest.approx([-5.0], abs=0.5)
