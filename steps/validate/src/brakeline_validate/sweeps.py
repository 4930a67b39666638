"""Physics along one reading: what makes a stop harder never makes its bound shorter, and is not ignored either.

One reading at a time goes through its range in small steps while the others stay. Half the rows are the holdout's own;
for the other half speed, friction, grade and mass are drawn evenly from all that their vehicle class shows, so that a
corner few people drive in is asked about as often as a common one. Rows and the places of the steps are drawn anew for
each model: a dent smaller than a step is not between the same two steps twice.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from stepkit.contract import Contract

from brakeline_validate.candidate import FLAG, UPPER, Candidate, Vector

# Readings that physics orders, by role: 1 where more of it means a longer stop, -1 where it means a shorter one.
GROWS_WITH = {"speed": 1, "friction": -1, "grade": -1, "mass": 1}
# How much longer the bound gets at least over the range of a reading, as a mean of log ratios. Twenty honest models
# show in the same order 2.1 to 5.2, 1.7 to 2.0, 0.22 to 0.53 and 0.012 to 0.039 (a load matters only where the brakes,
# not the tyres, are the limit); one that learned from other rows' masses shows 0.006, by chance.
LEAST_RESPONSE = {"speed": 1.0, "friction": 0.6, "grade": 0.1, "mass": 0.009}

_ROWS, _STEPS = 1_200, 30
_INNER = (0.002, 0.998)  # quantiles between which a class's readings are drawn and swept
# A step against physics counts from this share of the value.
SLACK = 0.01

Inputs = NDArray[np.float32]


@dataclass(frozen=True)
class Swept:
    """What one sweep found: share of steps against physics, the deepest fall of any row, and the response."""

    role: str
    against: float
    deepest: float
    response: float
    where: str

    @property
    def is_deaf(self) -> bool:
        """Whether the bound hardly answers to the reading; also where that cannot be told."""
        return not self.response >= LEAST_RESPONSE[self.role]


def sweep(model: Candidate, inputs: Inputs, role: str, rng: np.random.Generator) -> Swept:
    """Sweep the reading of a role over rows drawn from inputs (N, F)."""
    rows = spread(model.contract, inputs, rng)
    low, high = _spans(model.contract, rows, inputs, role)
    places = (np.arange(_STEPS) + rng.random((len(rows), 1))) / _STEPS
    values = low[:, None] + places * (high - low)[:, None]
    # From the shortest stop to the longest, whatever the reading's sign.
    ordered = values if GROWS_WITH[role] > 0 else values[:, ::-1]
    return _judge(role, ordered, bounds(model, rows, role, ordered))


def spread(contract: Contract, inputs: Inputs, rng: np.random.Generator, count: int = _ROWS) -> Inputs:
    """Rows (count, F): half of them as drawn from inputs (N, F), the others with what GROWS_WITH names drawn evenly."""
    rows: Inputs = inputs[rng.integers(0, len(inputs), count)].copy()
    half = count // 2
    for role in GROWS_WITH:
        low, high = _spans(contract, rows[half:], inputs, role)
        # One draw from each of equal parts, in random order: even cover with few rows (Latin hypercube).
        places = (rng.permutation(count - half) + rng.random(count - half)) / (count - half)
        rows[half:, _column(contract, role)] = low + places * (high - low)
    return rows


def bounds(model: Candidate, inputs: Inputs, role: str, values: NDArray[np.float64]) -> Vector:
    """Bounds (R, V) of rows (R, F) at V values of one reading, each row's own (R, V).

    NaN where the flag is up: the worst case is no step of the model's own. An answer that is no number is no bound: 0.
    """
    repeated = np.repeat(inputs, values.shape[1], axis=0)
    repeated[:, _column(model.contract, role)] = values.ravel()
    answers = model.ask(repeated)
    upper = np.where(np.isfinite(answers[UPPER]), answers[UPPER], 0.0)
    return np.where(answers[FLAG] == 0.0, upper, np.nan).reshape(values.shape)


def _judge(role: str, values: NDArray[np.float64], bound: Vector) -> Swept:
    """Judge bounds (R, V) that should grow from left to right."""
    told = (~np.isnan(bound)).sum(axis=1) > 1
    if not told.any():
        return Swept(role, float("nan"), float("nan"), float("nan"), "every row is flagged")
    values, bound = values[told], bound[told]
    before, after = bound[:, :-1], bound[:, 1:]
    known = ~np.isnan(before) & ~np.isnan(after)
    against = float((after[known] < (1.0 - SLACK) * before[known]).mean())
    with np.errstate(divide="ignore", invalid="ignore"):
        highest = np.maximum.accumulate(np.where(np.isnan(bound), -np.inf, bound), axis=1)
        fall = np.where(np.isnan(bound), 0.0, 1.0 - bound / highest)
        places = np.arange(len(bound))
        first, last = (~np.isnan(bound)).argmax(axis=1), -1 - (~np.isnan(bound))[:, ::-1].argmax(axis=1)
        response = np.log(bound[places, last] / bound[places, first])
    row, step = np.unravel_index(int(np.argmax(fall)), fall.shape)
    return Swept(role, against, float(fall[row, step]), float(response.mean()), f"{role} at {values[row, step]:.3g}")


def _spans(contract: Contract, rows: Inputs, inputs: Inputs, role: str) -> tuple[Vector, Vector]:
    """For each row (R, F), the range that a reading has in rows of its vehicle class among inputs (N, F)."""
    column, kind = _column(contract, role), _column(contract, "vehicle_class")
    low, high = np.empty(len(rows)), np.empty(len(rows))
    for each in np.unique(rows[:, kind]):
        seen = inputs[inputs[:, kind] == each, column]
        seen = seen[~np.isnan(seen)] if not np.isnan(seen).all() else inputs[~np.isnan(inputs[:, column]), column]
        of_class = rows[:, kind] == each
        low[of_class], high[of_class] = np.quantile(seen, _INNER) if seen.size else (np.nan, np.nan)
    return low, high


def _column(contract: Contract, role: str) -> int:
    return contract.names.index(contract.by_role(role).name)
