"""The interval of a share: worked by hand, and held to what chance really does with rows that come in drives."""

import numpy as np
import pytest
from brakeline_validate import intervals, seeds


def test_independent_rows_have_wilsons_interval() -> None:
    """10 of 100 rows, each its own drive: 5.5 to 17.4 %, as in published tables of Wilson's interval."""
    found = intervals.share(np.arange(100) < 10, np.arange(100))
    assert found.value == pytest.approx(0.1)
    assert (found.low, found.high) == pytest.approx((0.0552, 0.1744), abs=1e-4)


def test_rows_that_are_all_alike_count_once() -> None:
    """100 drives of five equal rows tell as much as 100 rows."""
    hits = np.arange(100) < 10
    alike = intervals.share(np.repeat(hits, 5), np.repeat(np.arange(100), 5))
    alone = intervals.share(hits, np.arange(100))
    assert (alike.low, alike.high) == pytest.approx((alone.low, alone.high), rel=1e-9)


def test_none_seen_is_not_none_possible() -> None:
    """Without a single hit in 100 drives up to 3.7 % remain possible, and 500 equal rows do not lower that."""
    nothing = intervals.share(np.zeros(500, dtype=bool), np.repeat(np.arange(100), 5))
    assert nothing.low == 0.0
    assert nothing.high == pytest.approx(0.037, abs=1e-3)


def test_no_rows_have_no_share() -> None:
    """NaN, which no gate passes."""
    found = intervals.share(np.zeros(0, dtype=bool), np.zeros(0, dtype=np.int64))
    assert np.isnan([found.value, found.low, found.high]).all()


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    """Drives with shares of their own (1 % on average): in 400 draws the 95 % interval misses in 2 to 9 %."""
    rng, missed = np.random.default_rng(0), 0
    for _ in range(400):
        own = rng.beta(0.05, 4.95, 2_000)
        hits = rng.random((2_000, 5)) < own[:, None]
        found = intervals.share(hits.ravel(), np.repeat(np.arange(2_000), 5))
        missed += not found.low <= 0.01 <= found.high
    assert 0.02 <= missed / 400 <= 0.09


def test_another_model_or_holdout_has_another_seed() -> None:
    """The seed hangs on both hashes, is the same each time, and fits into 48 bits."""
    known = seeds.seed_of("a" * 64, "b" * 64)
    assert known == seeds.seed_of("a" * 64, "b" * 64)
    assert len({known, seeds.seed_of("c" * 64, "b" * 64), seeds.seed_of("a" * 64, "c" * 64)}) == 3
    assert 0 <= known < 2**48


def test_each_purpose_draws_its_own_numbers() -> None:
    """Two checks of one verdict do not meet the same rows; one check meets them again."""
    one, again, other = (seeds.generator(7, name).integers(0, 10**6, 8) for name in ("sweep", "sweep", "missing"))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
