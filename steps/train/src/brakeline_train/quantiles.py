"""The two learned quantiles: median and upper bound of log(distance / reference distance)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor
from stepkit.contract import Contract

from brakeline_train import reference
from brakeline_train.rows import Rows, learned_columns

UPPER_LEVEL = 0.99

DEFAULTS: dict[str, Any] = {
    "max_iter": 200,
    "max_leaf_nodes": 31,
    "learning_rate": 0.08,
    "min_samples_leaf": 60,
    "l2_regularization": 0.0,
}


@dataclass(frozen=True)
class QuantilePair:
    """Fitted boosters for the median and for the upper level, on the columns that may be learned from."""

    median: HistGradientBoostingRegressor
    upper: HistGradientBoostingRegressor
    columns: tuple[int, ...]

    def log_ratios(self, inputs: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Both predicted log ratios, shape (N,)."""
        chosen = inputs[:, list(self.columns)]
        return self.median.predict(chosen), self.upper.predict(chosen)


def fit(rows: Rows, contract: Contract, parameters: dict[str, Any], seed: int) -> QuantilePair:
    """Fit both quantiles. Bytes of the result depend on the arguments alone, not on threads."""
    columns = learned_columns(contract)
    chosen = rows.inputs[:, columns]
    wanted = log_ratio(rows, contract)
    median, upper = (
        HistGradientBoostingRegressor(
            loss="quantile", quantile=level, early_stopping=False, random_state=seed, **parameters
        ).fit(chosen, wanted)
        for level in (0.5, UPPER_LEVEL)
    )
    for booster in (median, upper):
        _round_thresholds_down(booster)
    return QuantilePair(median, upper, tuple(columns))


def log_ratio(rows: Rows, contract: Contract) -> NDArray[np.float64]:
    """What the trees learn: log(distance / reference distance), shape (N,)."""
    ratio: NDArray[np.float64] = np.log(rows.distance_m / reference_of(rows.inputs, contract).astype(np.float64))
    return ratio


def reference_of(inputs: NDArray[np.float32], contract: Contract) -> NDArray[np.float32]:
    """The textbook stop of each row [m], shape (N,)."""
    at = {feature.role: index for index, feature in enumerate(contract.features)}
    columns = (inputs[:, at[role]] for role in ("speed", "friction", "grade"))
    # A standing car has no ratio; the least speed stands in for it and the distance stays above 0.
    distance = reference.reference_distance_m(*columns)
    return np.maximum(distance, np.float32(1e-3))


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
