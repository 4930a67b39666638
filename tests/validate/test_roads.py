"""A share on usual roads: worked by hand, the same whatever the mixture of surfaces, and never a way round a limit."""

import numpy as np
import pytest
from brakeline_synthesize import scenario
from brakeline_validate import intervals, roads


def rows(counts: dict[str, tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    """Hits and surfaces of rows, from hits and rows of each surface."""
    hits = [np.arange(of) < hit for hit, of in counts.values()]
    return np.concatenate(hits), np.repeat(list(counts), [of for _, of in counts.values()])


def test_usual_roads_are_those_of_the_default_scenario() -> None:
    """Limits are stated for the scenario that a run takes unless told otherwise."""
    assert scenario.load("default").surfaces == roads.USUAL


def test_each_surface_counts_as_much_as_it_usually_has() -> None:
    """A fifth missed on wet roads and all on icy ones: 0.22 / 5 + 0.05 = 0.094, however many rows are icy."""
    for icy in (40, 4_000):
        hits, surface = rows({"dry": (0, 100), "wet": (20, 100), "snow": (0, 100), "ice": (icy, icy)})
        found = roads.on_usual_roads(hits, surface, np.arange(hits.size))
        assert found.value == pytest.approx(0.094)
        assert found.low < found.value < found.high


def test_as_many_rows_as_usual_have_the_usual_interval() -> None:
    """650 dry, 220 wet, 80 snowy and 50 icy rows, a tenth missed on each: Wilson's, as if nothing were weighed."""
    hits, surface = rows({"dry": (65, 650), "wet": (22, 220), "snow": (8, 80), "ice": (5, 50)})
    found = roads.on_usual_roads(hits, surface, np.arange(hits.size))
    plain = intervals.share(hits, np.arange(hits.size))
    assert (found.value, found.low, found.high) == pytest.approx((plain.value, plain.low, plain.high), rel=1e-3)


def test_rows_of_a_drive_that_are_all_alike_count_once() -> None:
    """Five equal rows a drive tell no more than one."""
    hits, surface = rows({"dry": (10, 200), "wet": (20, 100)})
    drive = np.arange(hits.size)
    alone = roads.on_usual_roads(hits, surface, drive)
    alike = roads.on_usual_roads(np.repeat(hits, 5), np.repeat(surface, 5), np.repeat(drive, 5))
    assert (alike.low, alike.high) == pytest.approx((alone.low, alone.high), rel=1e-9)


def test_a_surface_of_few_rows_leaves_its_weight_to_the_others() -> None:
    """29 icy rows say nothing: a tenth missed on dry roads and a half on wet ones make (0.065 + 0.11) / 0.87."""
    hits, surface = rows({"dry": (10, 100), "wet": (50, 100), "ice": (29, 29)})
    assert roads.on_usual_roads(hits, surface, np.arange(hits.size)).value == pytest.approx(0.175 / 0.87)


@pytest.mark.parametrize(("icy", "left_out"), [(30, ("snow",)), (29, ("snow", "ice")), (0, ("snow", "ice"))])
def test_a_surface_that_is_left_out_is_told(icy: int, left_out: tuple[str, ...]) -> None:
    """By name, whether it has few rows or none; 30 are enough, and without a share nothing less is told."""
    for dry in (100, 0):
        hits, surface = rows({"dry": (0, dry), "ice": (icy, icy)})
        found = roads.on_usual_roads(hits, surface, np.arange(hits.size))
        assert found.left_out == (*(("dry",) if not dry else ()), "wet", *left_out)


def test_what_cannot_be_weighed_has_no_share() -> None:
    """NaN, which no limit passes: a surface without a weight, though of one row, or no surface with rows enough."""
    for counts in ({"dry": (0, 500), "gravel": (0, 1)}, {"dry": (0, 29), "wet": (0, 29)}, {"dry": (0, 0)}):
        hits, surface = rows(counts)
        found = roads.on_usual_roads(hits, surface, np.arange(hits.size))
        assert np.isnan([found.value, found.low, found.high]).all()


def test_none_and_all_missed_are_judged_as_they_are() -> None:
    """No spread between drives is no doubt: 0 stays 0, and 1 has no low end below it."""
    for hit, share in ((0, 0.0), (200, 1.0)):
        hits, surface = rows({"dry": (hit, 200), "ice": (hit, 200)})
        found = roads.on_usual_roads(hits, surface, np.arange(hits.size))
        assert found.low == found.value == pytest.approx(share)


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    """Drives of four with a share of their own, on the roads of winter: in 400 draws it misses in 2 to 9 %."""
    rng, missed = np.random.default_rng(1), 0
    shares = {"dry": (0.35, 0.02), "wet": (0.25, 0.3), "snow": (0.26, 0.3), "ice": (0.14, 0.4)}
    truth = sum(roads.USUAL[name] * share for name, (_, share) in shares.items())
    for _ in range(400):
        surface = np.repeat(list(shares), [round(320 * part) for part, _ in shares.values()])
        mean = np.array([shares[name][1] for name in surface])
        own = rng.beta(4.0 * mean, 4.0 * (1.0 - mean))
        hits = rng.random((surface.size, 4)) < own[:, None]
        found = roads.on_usual_roads(hits.ravel(), np.repeat(surface, 4), np.repeat(np.arange(surface.size), 4))
        missed += not found.low <= truth <= found.high
    assert 8 <= missed <= 36
