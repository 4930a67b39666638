"""A model beside the noise floor: on the floor's rows of the holdout, how near the model comes to the best possible."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from stepkit.errors import ContractViolation, UnreadableArtifact

from brakeline_validate.candidate import MEDIAN, UPPER, Vector
from brakeline_validate.metrics import significant

ROWS_FILE = "rows.parquet"
_COLUMNS = ("row", "distance_m", "median_m", "upper_m")
_RESAMPLES, _INTERVAL = 400, (0.025, 0.975)
# Of fewer rows the interval is so wide that it holds 1 whatever the model.
LEAST_ROWS = 500


@dataclass(frozen=True)
class Beside:
    """Model and limit on the same rows. Efficiency is the limit's mean absolute error over the model's.

    The relative one is of errors as shares of the distance, in which a short stop counts as much as a long one.
    """

    rows: int
    limit_mae_m: float
    model_mae_m: float
    efficiency: float
    efficiency_low: float  # 95 % interval, rows drawn anew
    efficiency_high: float
    relative_efficiency: float
    relative_efficiency_high: float  # of its 95 % interval
    limit_missed_share: float
    model_missed_share: float
    width_ratio: float  # mean of the model's bound over the ideal bound

    def facts(self) -> dict[str, float]:
        """As JSON, rounded to what is meant."""
        return {name: significant(value) for name, value in asdict(self).items()}


@dataclass(frozen=True)
class Floor:
    """The floor's rows: places in the holdout, each once, the best possible median and bound [m], shape (K,)."""

    row: NDArray[np.int64]
    median_m: Vector
    upper_m: Vector

    @classmethod
    def read(cls, folder: Path, distance_m: Vector) -> "Floor":
        """Read a floor and hold it to the holdout's distances. Raises UnreadableArtifact, ContractViolation."""
        file = folder / ROWS_FILE
        try:
            table = pl.read_parquet(file, columns=list(_COLUMNS))
        except (OSError, pl.exceptions.PolarsError) as error:
            raise UnreadableArtifact(file, "floor's table", str(error).splitlines()[0]) from error
        row = table["row"].to_numpy().astype(np.int64)
        if not row.size or row.min() < 0 or row.max() >= distance_m.size:
            raise ContractViolation(file, "column row", f"{row.size} rows", f"places in 0 to {distance_m.size - 1}")
        if not np.array_equal(table["distance_m"].to_numpy(), distance_m[row]):
            raise ContractViolation(file, "column distance_m", "other distances", "those of the holdout")
        # A place that is there twice tells no more than once.
        first = np.sort(np.unique(row, return_index=True)[1])
        return cls(row[first], table["median_m"].to_numpy()[first], table["upper_m"].to_numpy()[first])


def beside(
    floor: Floor, distance_m: Vector, answers: dict[str, Vector], surface: NDArray[np.str_]
) -> dict[str, Beside]:
    """The model beside the limit over all of the floor's rows and by surface; all arrays but the floor's are (N,)."""
    at = floor.row
    model = {name: values[at] for name, values in answers.items()}
    of_row = surface[at]
    parts = {"all": np.ones(at.size, dtype=bool)} | {str(name): of_row == name for name in np.unique(of_row)}
    return {name: _beside(floor, distance_m[at], model, part) for name, part in parts.items()}


def _beside(floor: Floor, distance_m: Vector, model: dict[str, Vector], part: NDArray[np.bool_]) -> Beside:
    truth, upper, ideal = distance_m[part], model[UPPER][part], floor.upper_m[part]
    limit_error, model_error = np.abs(truth - floor.median_m[part]), np.abs(truth - model[MEDIAN][part])
    low, high = _interval(limit_error, model_error)
    limit_share, model_share = limit_error / truth, model_error / truth
    return Beside(
        rows=int(part.sum()),
        limit_mae_m=float(limit_error.mean()),
        model_mae_m=float(model_error.mean()),
        efficiency=float(limit_error.mean() / model_error.mean()),
        efficiency_low=low,
        efficiency_high=high,
        relative_efficiency=float(limit_share.mean() / model_share.mean()),
        relative_efficiency_high=_interval(limit_share, model_share)[1],
        limit_missed_share=float((truth > ideal).mean()),
        model_missed_share=float((truth > upper).mean()),
        width_ratio=float((upper / ideal).mean()),
    )


def _interval(limit_error: Vector, model_error: Vector) -> tuple[float, float]:
    """Bootstrap interval of the ratio of means, rows resampled in pairs; the same rows give the same interval."""
    rng = np.random.default_rng(limit_error.size)
    draws = rng.integers(0, limit_error.size, (_RESAMPLES, limit_error.size))
    low, high = np.quantile(limit_error[draws].mean(axis=1) / model_error[draws].mean(axis=1), _INTERVAL)
    return float(low), float(high)


def facts(found: dict[str, Beside]) -> dict[str, Any]:
    """As JSON."""
    return {name: entry.facts() for name, entry in found.items()}
