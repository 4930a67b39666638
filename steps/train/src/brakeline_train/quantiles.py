"""The two learned quantiles: median and upper bound of log(distance / reference distance)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor
from stepkit.contract import Contract

from brakeline_train import monotone, reference
from brakeline_train.rows import Rows, learned_columns

UPPER_LEVEL = 0.99

# The median's settings. They come near to the noise floor without a search (`bench model`).
DEFAULTS: dict[str, Any] = {
    "max_iter": 200,
    "max_leaf_nodes": 63,
    "learning_rate": 0.12,
    "min_samples_leaf": 40,
    "l2_regularization": 0.0,
}
# One row in a hundred lies beyond the upper level: its leaves need more rows, and there can be fewer of them.
_UPPER_LEAVES_SHARE, _UPPER_ROWS_FACTOR, _UPPER_RATE_FACTOR = 0.5, 8, 0.8
# How the bound may depend on a reading, by role: what makes a stop harder never makes its bound shorter. So a wrong
# guess at the road from a driver's speed is excluded too. It costs 2 % of width; the median is free.
_BOUND_GROWS_WITH = {
    "speed": 1,
    "friction": -1,
    "grade": -1,
    "mass": 1,
    "disc_temperature": 1,
    "tyre_pressure": -1,
    "tread_depth": -1,
}


@dataclass(frozen=True)
class QuantilePair:
    """Fitted boosters for the median and for the upper level, on the columns that may be learned from.

    The upper one learns with respect to a reference of its own; outside, both are log ratios to the same reference.
    """

    median: HistGradientBoostingRegressor
    upper: HistGradientBoostingRegressor
    columns: tuple[int, ...]
    speed_column: int

    def log_ratios(self, inputs: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Both predicted log ratios, shape (N,)."""
        chosen = inputs[:, list(self.columns)]
        return self.median.predict(chosen), self.upper.predict(chosen) + _upper_shift(inputs[:, self.speed_column])


def fit(rows: Rows, contract: Contract, parameters: dict[str, Any], seed: int) -> QuantilePair:
    """Fit both quantiles. Bytes of the result depend on the arguments alone, not on threads."""
    columns = learned_columns(contract)
    chosen = rows.inputs[:, columns]
    wanted, speed = log_ratio(rows, contract), contract.names.index(contract.by_role("speed").name)
    growth = [_BOUND_GROWS_WITH.get(contract.features[column].role, 0) for column in columns]
    median = _booster(0.5, seed, parameters).fit(chosen, wanted)
    upper = _booster(UPPER_LEVEL, seed, upper_parameters(parameters) | {"monotonic_cst": growth})
    with monotone.kept(growth):
        upper.fit(chosen, wanted - _upper_shift(rows.inputs[:, speed]))
    for booster in (median, upper):
        _round_thresholds_down(booster)
    return QuantilePair(median, upper, tuple(columns), speed)


def upper_parameters(parameters: dict[str, Any]) -> dict[str, Any]:
    """The upper level's settings, which follow from the median's: fewer and larger leaves, smaller steps."""
    return parameters | {
        "max_leaf_nodes": max(4, round(_UPPER_LEAVES_SHARE * parameters["max_leaf_nodes"])),
        "min_samples_leaf": _UPPER_ROWS_FACTOR * parameters["min_samples_leaf"],
        "learning_rate": _UPPER_RATE_FACTOR * parameters["learning_rate"],
    }


def log_ratio(rows: Rows, contract: Contract) -> NDArray[np.float64]:
    """What the trees learn: log(distance / reference distance), shape (N,)."""
    ratio: NDArray[np.float64] = np.log(rows.distance_m / reference_of(rows.inputs, contract).astype(np.float64))
    return ratio


def reference_of(inputs: NDArray[np.float32], contract: Contract) -> NDArray[np.float32]:
    """The reference stop of each row [m], shape (N,)."""
    return reference.reference_distance_m(inputs[:, contract.names.index(contract.by_role("speed").name)])


def _booster(level: float, seed: int, settings: dict[str, Any]) -> HistGradientBoostingRegressor:
    return HistGradientBoostingRegressor(
        loss="quantile", quantile=level, early_stopping=False, random_state=seed, **settings
    )


def _upper_shift(speed_mps: NDArray[np.float32]) -> NDArray[np.float64]:
    """Log of the bound's own reference over the common one, shape (N,)."""
    own, common = reference.upper_reference_distance_m(speed_mps), reference.reference_distance_m(speed_mps)
    return np.log(own.astype(np.float64) / common.astype(np.float64))


def pinball_loss(wanted: NDArray[np.float64], predicted: NDArray[np.float64], level: float) -> float:
    """Mean quantile loss of predictions at a level; what quantile regression minimises."""
    over = wanted - predicted
    return float(np.mean(np.where(over > 0, level * over, (level - 1.0) * over)))


def _round_thresholds_down(booster: HistGradientBoostingRegressor) -> None:
    """Replace each float64 threshold by the greatest float32 not above it.

    The inputs are float32, so no comparison changes; but ONNX keeps thresholds as float32, and rounding to
    nearest there would send a row between the two values down the other branch.
    """
    for (predictor,) in booster._predictors:
        exact = predictor.nodes["num_threshold"]
        near = exact.astype(np.float32)
        down = np.nextafter(near, np.float32(-np.inf))
        predictor.nodes["num_threshold"] = np.where(near.astype(np.float64) > exact, down, near)
