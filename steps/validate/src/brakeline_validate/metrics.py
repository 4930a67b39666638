"""How good the answers are on the holdout: errors, coverage of the bound, its width; overall and by slice."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from brakeline_validate.candidate import MEDIAN, UPPER, Vector

# A bound this much too short would be an accident and no tail event.
FAR_BEYOND_BOUND = 1.3


@dataclass(frozen=True)
class Score:
    """Figures of one slice. `missed_share` is the share of stops that were longer than their bound."""

    rows: int
    mae_m: float
    relative_error: float
    missed_share: float
    far_missed_share: float
    width: float

    def facts(self) -> dict[str, float]:
        """As JSON, rounded to what is meant."""
        return {name: significant(value) for name, value in asdict(self).items()}


def score(distance_m: Vector, answers: dict[str, Vector], rows: NDArray[np.bool_] | None = None) -> Score:
    """Score answers against measured distances, all of shape (N,). NaN where there are no rows."""
    chosen = np.ones(distance_m.shape, dtype=bool) if rows is None else rows
    count = int(chosen.sum())
    if count == 0:
        return Score(0, *[float("nan")] * 5)
    d, median, upper = distance_m[chosen], answers[MEDIAN][chosen], answers[UPPER][chosen]
    error = np.abs(median - d)
    return Score(
        rows=count,
        mae_m=float(error.mean()),
        relative_error=float((error / d).mean()),
        # Written so that a NaN bound is a missed one.
        missed_share=float(1.0 - (d <= upper).mean()),
        far_missed_share=float(1.0 - (d <= FAR_BEYOND_BOUND * upper).mean()),
        width=float(np.median(upper / median)),
    )


def by_slice(
    distance_m: Vector, answers: dict[str, Vector], slices: Iterable[tuple[str, NDArray[np.bool_]]]
) -> dict[str, Score]:
    """A score for each slice."""
    return {name: score(distance_m, answers, rows) for name, rows in slices}


def significant(value: float, digits: int = 6) -> float:
    """Round to significant digits: what a verdict states must not hang on a last bit of arithmetic."""
    return value if isinstance(value, int) else float(f"{value:.{digits}g}")
