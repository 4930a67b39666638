"""Costs of known growth, with and without noise: the fit finds what they were made of, and says where it bends."""

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.conftest import HOUSE

# Behind everything else: a bench is called as what it measures.
sys.path.append(str(HOUSE / "bench"))
import _fits

SIZES = np.repeat([1.0, 2.0, 4.0, 8.0], 3)


def noisy(costs: Any, seed: int, share: float = 0.03) -> Any:
    return costs * np.random.default_rng(seed).normal(1.0, share, costs.size)


def test_known_coefficients_are_found_exactly() -> None:
    """Without noise, fixed part, slope and exponent are those that the costs were made with."""
    found = _fits.fit(SIZES, 0.5 + 2.0 * SIZES)
    assert (found.fixed, found.slope) == pytest.approx((0.5, 2.0))
    assert (found.exponent, found.growth) == (1.0, _fits.Growth.LINEAR)
    assert found.residual < 1e-9 and found.at(100.0) == pytest.approx(200.5)


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """Of 200 noisy rounds some 95 % of intervals hold slope, fixed part and the cost at a thousand times the size."""
    held = []
    for seed in range(200):
        found = _fits.fit(SIZES, noisy(0.5 + 2.0 * SIZES, seed))
        low, high = found.between(8_000.0)
        held.append(
            (found.slope_low <= 2.0 <= found.slope_high, found.fixed_low <= 0.5 <= found.fixed_high,
             low <= 16_000.5 <= high, found.exponent_low <= 1.0 <= found.exponent_high)
        )  # fmt: skip
    assert np.all(np.abs(np.mean(held, axis=0) - 0.95) < 0.05)


@pytest.mark.parametrize(
    ("cost", "growth", "exponent"),
    [
        (lambda x: 0.5 + 2.0 * x**2, _fits.Growth.FASTER, 2.0),
        (lambda x: 1.0 + 3.0 * x**1.5, _fits.Growth.FASTER, 1.5),
        (lambda x: 0.1 + 2.0 * np.sqrt(x), _fits.Growth.SLOWER, 0.5),
        (lambda x: 0.5 + 2.0 * x, _fits.Growth.LINEAR, 1.0),
    ],
)
def test_what_bends_is_called_so(cost: Callable[[Any], Any], growth: _fits.Growth, exponent: float) -> None:
    """A square is not linear, with noise too, and the exponent's interval holds its own."""
    for seed in range(20):
        found = _fits.fit(SIZES, noisy(cost(SIZES), seed, 0.01))
        assert found.growth == growth
        assert found.exponent_low - 0.05 <= exponent <= found.exponent_high + 0.05


def test_what_does_not_grow_is_called_so() -> None:
    """A cost that is the same at every size has no slope worth a number."""
    assert _fits.fit(SIZES, noisy(np.full(SIZES.size, 3.0), 1, 0.01)).growth == _fits.Growth.FLAT


def test_too_much_noise_is_called_so() -> None:
    """Half of the cost by chance at four sizes once each: neither a line nor a square, and the least is not below 0."""
    costs = (0.5 + 2.0 * SIZES[::3]) * np.array([1.4, 0.6, 1.5, 0.9])
    found = _fits.fit(SIZES[::3], costs)
    assert found.growth == _fits.Growth.UNCLEAR and found.between(100.0)[0] >= 0.0


def test_a_straight_line_with_hardly_any_noise_stays_one() -> None:
    """A bend of a percent is found by narrow intervals, and is no bend to plan by."""
    found = _fits.fit(SIZES, 2.0 * SIZES + 0.01 * SIZES**2)
    assert found.exponent_low > 1.0 and found.growth == _fits.Growth.LINEAR


@pytest.mark.parametrize(
    ("sizes", "costs"),
    [([1, 2, 3], [1, 2, 3]), ([1, 1, 2, 2], [1, 1, 2, 2]), ([1, 2, 3, 4], [1, 2, 0, 4]), ([1, 2, 3, 4], [1, 2, 3]),
     ([1, 2, 3, 4], [1, 2, float("nan"), 4])],
)  # fmt: skip
def test_what_cannot_be_fitted_is_refused(sizes: list[float], costs: list[float]) -> None:
    """Too few measurements, too few sizes, or a cost that is none."""
    with pytest.raises(ValueError, match=r"needed|must be"):
        _fits.fit(sizes, costs)
