"""The track interface: noisy, late, the same for friend and foe, and enough to tell them apart."""

import numpy as np
import pytest
from brakeline_validate.loop import draws
from brakeline_validate.loop.scenario import Kind, Limits, Scenario
from brakeline_validate.loop.tracks import LOST_AFTER_S, Track, Tracker

CYCLE_S = 0.05
N = 400


def seen(kind: Kind, seconds: float, lateral_m: float = 0.0, radar_out: bool = False) -> list[Track]:
    """Tracks of an object that stands 60 m ahead and comes nearer at 20 m/s."""
    rng = np.random.default_rng(3)
    _, sensors, _ = draws.draw(rng, Scenario("any", "own", 20.0, 60.0, Limits(), runs=N))
    tracker, tracks = Tracker([kind] * N, sensors), []
    for cycle in range(round(seconds / CYCLE_S)):
        gap = np.full(N, 60.0 - 20.0 * cycle * CYCLE_S)
        tracks.append(
            tracker.see(gap, np.full(N, 20.0), np.full(N, lateral_m), np.full(N, radar_out), rng.random((2, N)),
                        rng.standard_normal((7, N)), CYCLE_S)
        )  # fmt: skip
    return tracks


def test_a_car_is_seen_by_both_sensors_where_it_is() -> None:
    """After a second: range late by 50 ms, rate right, in the path, old enough, agreed upon."""
    last = seen(Kind.CAR, 1.0)[-1]
    assert np.nanmean(last.range_m) == pytest.approx(60.0 - 20.0 * 0.95 + 20.0 * 0.05, abs=0.1)
    assert np.nanmean(last.range_rate_mps) == pytest.approx(-20.0, abs=0.05)
    assert np.mean(last.in_path >= 0.75) > 0.9
    assert np.mean(last.age_s) == pytest.approx(1.0, abs=0.05)
    assert np.mean(last.agreement >= 0.7) > 0.95


@pytest.mark.parametrize("kind", [Kind.PLATE, Kind.RADAR_GHOST])
def test_what_only_the_radar_sees_is_never_agreed_upon(kind: Kind) -> None:
    """A steel plate and a ghost echo have tracks, and no camera that confirms them."""
    last = seen(kind, 2.0)[-1]
    assert np.isfinite(last.range_m).mean() > 0.5
    assert np.mean(last.agreement >= 0.38) < 0.02


def test_the_camera_alone_measures_worse() -> None:
    """Without radar the range is there, several times as uncertain, and the agreement is a half."""
    both, alone = seen(Kind.CAR, 1.5)[-1], seen(Kind.CAR, 1.5, radar_out=True)[-1]
    assert np.nanstd(alone.range_m) > 3.0 * np.nanstd(both.range_m)
    assert np.nanstd(alone.range_rate_mps) > 3.0 * np.nanstd(both.range_rate_mps)
    assert np.median(alone.agreement) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(("lateral_m", "expected"), [(0.0, 1.0), (1.0, 1.0), (3.5, 0.0), (-3.5, 0.0)])
def test_the_next_lane_is_not_the_path(lateral_m: float, expected: float) -> None:
    """In the own lane the probability is near 1, a lane beside it near 0; sides do not matter."""
    assert np.median(seen(Kind.CAR, 1.5, lateral_m)[-1].in_path) == pytest.approx(expected, abs=0.1)


def test_a_lost_object_is_forgotten_and_begins_anew() -> None:
    """What nobody sees any more has no track after a moment, and its age starts again."""
    rng = np.random.default_rng(3)
    _, sensors, _ = draws.draw(rng, Scenario("any", "own", 20.0, 60.0, Limits(), runs=N))
    tracker = Tracker([Kind.CAR] * N, sensors)

    def look(luck: float) -> Track:
        nothing, luck_of = np.zeros(N), np.full((2, N), luck)
        return tracker.see(nothing + 50.0, nothing + 10.0, nothing, nothing > 0.0, luck_of, np.zeros((7, N)), CYCLE_S)

    for _ in range(10):
        held = look(0.0)
    assert np.all(held.age_s == pytest.approx(0.5))
    for _ in range(round(LOST_AFTER_S / CYCLE_S) + 1):
        gone = look(1.0)
    assert np.isnan(gone.range_m).all()
    assert np.all(gone.in_path == 0.0)
    assert np.all(look(0.0).age_s == CYCLE_S)


def test_a_smaller_fleet_sees_what_it_saw_before() -> None:
    """Dropping vehicles leaves the others' tracks as they were."""
    rng = np.random.default_rng(5)
    _, sensors, _ = draws.draw(rng, Scenario("any", "own", 20.0, 60.0, Limits(), runs=N))
    whole = Tracker([Kind.CAR] * N, sensors)
    draws_of = [(rng.random((2, N)), rng.standard_normal((7, N))) for _ in range(8)]
    gap, across, out = np.full(N, 40.0), np.linspace(-3.0, 3.0, N), np.zeros(N, dtype=bool)
    for luck, noise in draws_of[:4]:
        whole.see(gap, 0.4 * gap, across, out, luck, noise, CYCLE_S)
    some = np.arange(0, N, 3)
    part = whole.take(some)
    for luck, noise in draws_of[4:]:
        of_all = whole.see(gap, 0.4 * gap, across, out, luck, noise, CYCLE_S)
        of_some = part.see(gap[some], 0.4 * gap[some], across[some], out[some], luck[:, some], noise[:, some], CYCLE_S)
    for name in ("range_m", "lateral_m", "in_path", "agreement", "age_s"):
        assert np.array_equal(getattr(of_all, name)[some], getattr(of_some, name), equal_nan=True)
