"""The scenario table, and that it can fail: who never brakes, always brakes, or brakes by less than the model says."""

from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np
import pytest
from brakeline_validate.candidate import Candidate
from brakeline_validate.loop import closed_loop, drive, outcome
from brakeline_validate.loop.closed_loop import SCENARIOS, Asked, Driven
from brakeline_validate.loop.drive import Runs
from brakeline_validate.loop.negative import NEGATIVE
from brakeline_validate.loop.outcome import Rate
from brakeline_validate.loop.policy import Always, Policy, TimeToCollision, TwoStages
from brakeline_validate.loop.positive import POSITIVE
from brakeline_validate.loop.scenario import KMPH, Kind, Limits, Road, Scenario

from tests.conftest import Chain

SEED = 20
# Few rows that are unlike each other, with fewer runs: enough to see a policy that is wrong everywhere.
FEW = tuple(
    replace(one, runs=80)
    for one in SCENARIOS
    if one.name in {
        "UN R152: standing, 40 km/h, laden", "FMVSS 127: standing, 80 km/h", "FMVSS 127: braking 0.5 g, 50 km/h, 12 m",
        "own: standing, 60 km/h, wet", "own: standing, 60 km/h, snow", "cut-out: the lead leaves the lane",
        "the driver stops behind a queue, dry", "the driver stops behind a queue, snow", "steel plate on the road",
    }
)  # fmt: skip


@pytest.fixture(scope="module")
def model(good: Chain) -> Candidate:
    return Candidate.load(good.model)


def driven(model: Candidate, policy: Callable[[int], Policy], scenarios: tuple[Scenario, ...] = FEW) -> Driven:
    return closed_loop.drive_all(model, SEED, policy, scenarios)


def test_the_table_is_complete_and_its_names_are_its_keys() -> None:
    """Both sets are there, every row has a check, names are unique, and nothing is both wanted and unwanted."""
    assert len(POSITIVE) > 40
    assert len(NEGATIVE) > 12
    assert len({one.name for one in SCENARIOS}) == len(SCENARIOS)
    assert {one.after for one in POSITIVE} == {"UN R152", "FMVSS 127", "Euro NCAP C2C", "own"}
    for one in SCENARIOS:
        assert (one.limits.impact is None) != (one.limits.nuisance is None), one.name
        assert one.is_positive == (one in POSITIVE), one.name
    assert all(one.per_1000_km > 0 for one in NEGATIVE)


def test_the_allowed_impact_speeds_are_the_published_ones() -> None:
    """UN R152, standing target: at 42 km/h 10 laden and 0 unladen, at 60 km/h 35; no row allows more than its speed."""
    allowed = {one.name: one.allowed_impact_mps / KMPH for one in POSITIVE}
    assert allowed["UN R152: standing, 40 km/h, laden"] == 0
    assert allowed["UN R152: standing, 42 km/h, laden"] == pytest.approx(10)
    assert allowed["UN R152: standing, 42 km/h, unladen"] == 0
    assert allowed["UN R152: standing, 60 km/h, unladen"] == pytest.approx(35)
    assert all(one.allowed_impact_mps < one.speed_mps for one in POSITIVE)


def test_a_typo_in_a_row_is_an_error_and_no_default() -> None:
    """Rows are dataclasses: what they do not know they do not take."""
    with pytest.raises(TypeError):
        Scenario("x", "own", 10.0, 50.0, Limits(), tagret_speed_mps=3.0)  # type: ignore[call-arg]
    assert {entry.name for entry in fields(Limits)} == {"impact", "nuisance", "unwarned"}


def test_the_honest_model_stays_within_every_limit(model: Candidate) -> None:
    """Two stages with the good model: no gate of the loop fails on these rows."""
    found = closed_loop.figures(driven(model, TwoStages, tuple(replace(one, runs=240) for one in FEW)), None)
    assert found.values["hits, worst scenario"] <= 1.0, found
    assert found.values["needless braking, worst scenario"] <= 1.0, found
    assert found.values["late warnings, worst scenario"] <= 1.0, found


def test_who_never_brakes_fails_the_positive_set(model: Candidate) -> None:
    """Every run hits, and nothing is braked for needlessly; not being warned is no excuse either."""
    found = closed_loop.figures(driven(model, lambda n: Always(n, brakes=False)), None).values
    assert found["hits beyond the allowed"] > 0.999
    assert found["energy left beyond training"] == 1.0
    assert found["needless braking, worst scenario"] <= 1.0
    assert not found["late warnings, worst scenario"] <= 1.0


def test_who_always_brakes_fails_the_negative_set(model: Candidate) -> None:
    """Nothing is hit, everything is braked for."""
    found = closed_loop.figures(driven(model, Always), None).values
    assert found["hits, worst scenario"] <= 1.0
    assert found["needless braking"] > 0.999


def test_who_brakes_by_the_median_hits(model: Candidate) -> None:
    """The bound matters: without it about every second standing car is hit."""
    found = driven(model, lambda n: TwoStages(n, bound_is_median=True))
    by_name = {each.scenario.name: each for each in found.outcomes}
    assert by_name["FMVSS 127: standing, 80 km/h"].beyond.value > 0.3
    assert not closed_loop.figures(found, None).values["hits beyond the allowed"] <= 0.015


@pytest.mark.parametrize(
    ("brake_s", "fails"), [(1.6, "hits, worst scenario"), (2.6, "needless braking, worst scenario")]
)
def test_a_time_to_collision_is_too_late_or_too_early(model: Candidate, brake_s: float, fails: str) -> None:
    """One threshold for all roads: late enough for a queue it hits in the wet, early enough it brakes for nothing."""
    found = closed_loop.figures(driven(model, lambda n: TimeToCollision(n, brake_s, brake_s + 1.0)), None).values
    assert not found[fails] <= 1.0


def test_a_scenario_does_not_depend_on_what_is_driven_beside_it(model: Candidate) -> None:
    """Alone or among others, its runs are the same to the bit; the same seed repeats them, another does not."""
    alone, among = FEW[3], FEW
    asked = Asked(model)
    (single,) = drive.drive([alone], asked, TwoStages, SEED)
    other = next(runs for runs in drive.drive(among, asked, TwoStages, SEED) if runs.scenario == alone)
    cycles = single.speed_mps.shape[1]
    for entry in fields(Runs):
        mine, theirs = getattr(single, entry.name), getattr(other, entry.name)
        if isinstance(mine, np.ndarray):
            assert np.array_equal(mine, theirs[:, :cycles] if theirs.ndim == 2 else theirs, equal_nan=True), entry.name
    (elsewhere,) = drive.drive([alone], asked, TwoStages, SEED + 1)
    assert not np.array_equal(single.least_gap_m, elsewhere.least_gap_m)


def test_beyond_training_is_harder_than_within(model: Candidate) -> None:
    """A quarter of the runs has what no training row has, and keeps less of a gap."""
    (runs,) = drive.drive([replace(FEW[0], runs=400)], Asked(model), TwoStages, SEED)
    assert runs.outside.mean() == 0.25
    assert np.median(runs.least_gap_m[runs.outside]) < np.median(runs.least_gap_m[~runs.outside])


def test_a_champions_regression_shows() -> None:
    """More hits on the same runs than the champion is a figure above 0; where nothing was driven it is no number."""
    rows = Scenario("x", "own", 10.0, 50.0, Limits(impact=0.1)), Scenario("y", "own", 10.0, 50.0, Limits(nuisance=0.1))

    def with_hits(hits: int) -> Driven:
        rate = Rate(hits, 1000)
        return Driven(
            "any", [outcome.Outcome(row, rate, rate, rate, rate, rate, 0.0, 0.0, 1.0, 1.0, 1.0) for row in rows]
        )

    worse = closed_loop.figures(with_hits(30), with_hits(5)).values
    assert worse["hits more than champion"] > 0.025
    assert closed_loop.figures(with_hits(5), with_hits(30)).values["hits more than champion"] == 0.0
    assert np.isnan(closed_loop.figures(Driven("any", []), with_hits(5)).values["hits more than champion"])


def test_no_runs_are_no_evidence() -> None:
    """A rate of no runs is not a number, and the worst scenario does not forget it."""
    assert np.isnan(Rate(0, 0).upper)
    assert Rate(0, 240).upper == pytest.approx(0.0111, abs=0.0002)
    empty = closed_loop.figures(Driven("any", []), None).values
    assert not any(value <= 1.0 for name, value in empty.items() if "champion" not in name)


def test_every_kind_of_object_and_road_is_driven() -> None:
    """The table leaves out no kind that the sensors tell apart, and no road."""
    assert {one.kind for one in SCENARIOS} == set(Kind)
    assert {one.road for one in SCENARIOS} == set(Road)


def test_the_telling_runs_are_those_that_people_ask_for(model: Candidate) -> None:
    """Of a policy that brakes by the median there is a hardest contact, a closest shave; each trace ends as told."""
    found = driven(model, lambda n: TwoStages(n, bound_is_median=True))
    titles = {trace.title: trace for trace in found.traces}
    hardest = titles["Hardest contact within training"]
    assert hardest.impact_mps == max(each.fastest_impact_mps for each in found.outcomes)
    last = np.flatnonzero(np.isfinite(hardest.gap_m))[-1]
    assert hardest.gap_m[last] < hardest.speed_mps[last] * drive.CYCLE_S + 0.5
    assert titles["Closest shave"].impact_mps == 0.0
