"""The bound keeps the growth it was told, exactly; and the place in scikit-learn that this hangs on is still there."""

import inspect

import numpy as np
import pytest
from brakeline_train import monotone
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.ensemble._hist_gradient_boosting import gradient_boosting


def _steps(booster: HistGradientBoostingRegressor, at: NDArray[np.float64], column: int) -> NDArray[np.float64]:
    """Differences of predictions as one column runs over its range, all others as in the rows given."""
    swept = np.linspace(-3.0, 3.0, 61)
    rows = np.repeat(at, swept.size, axis=0)
    rows[:, column] = np.tile(swept, at.shape[0])
    return np.diff(booster.predict(rows).reshape(at.shape[0], swept.size), axis=1)


def _fitted(keep: bool) -> tuple[HistGradientBoostingRegressor, NDArray[np.float64]]:
    rng = np.random.default_rng(5)
    inputs = rng.normal(size=(3_000, 3))
    wanted = inputs[:, 0] - 0.5 * inputs[:, 1] + np.sin(3.0 * inputs[:, 2]) + rng.gumbel(size=3_000)
    growth = [1, -1, 0]
    booster = HistGradientBoostingRegressor(
        loss="quantile", quantile=0.99, max_iter=40, min_samples_leaf=10, monotonic_cst=growth, random_state=0
    )
    if not keep:
        return booster.fit(inputs, wanted), inputs[:50]
    with monotone.kept(growth):
        return booster.fit(inputs, wanted), inputs[:50]


def test_no_step_goes_against_the_growth() -> None:
    """Up with the first column, down with the second, anywhere; the third is free and does both."""
    booster, rows = _fitted(keep=True)
    assert _steps(booster, rows, 0).min() >= -1e-12
    assert _steps(booster, rows, 1).max() <= 1e-12
    free = _steps(booster, rows, 2)
    assert free.min() < 0 < free.max()
    assert _steps(booster, rows, 0).max() > 0.1


def test_scikit_learn_alone_does_not_keep_it() -> None:
    """Were this to fail, scikit-learn would keep the growth itself, and `monotone` could go."""
    booster, rows = _fitted(keep=False)
    assert _steps(booster, rows, 0).min() < 0


def test_what_is_replaced_is_there_and_comes_back() -> None:
    """The internal function takes the grower by name, is replaced inside only, and returns after an error too."""
    original = getattr(gradient_boosting, monotone.INTERNAL)
    assert "grower" in inspect.signature(original).parameters
    with monotone.kept([0]):
        assert getattr(gradient_boosting, monotone.INTERNAL) is not original
    with pytest.raises(ZeroDivisionError), monotone.kept([0]):
        1 / 0  # noqa: B018
    assert getattr(gradient_boosting, monotone.INTERNAL) is original
