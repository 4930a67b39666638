"""What goes with the two distances: the other outputs, and that the same question has the same answer."""

import numpy as np
from numpy.typing import NDArray

from brakeline_validate.candidate import DECELERATION, FLAG, OUTPUTS, REQUIRED, UPPER, Candidate, Vector

_ROWS, _ALONE, _LARGE = 2_000, 150, 6_000
# A gap below this is a contact; what is required of the brakes then is no number to compare.
_LEAST_GAP_M, _LEAST_SPEED_MPS = 0.5, 1.0

Inputs = NDArray[np.float32]


def deceleration_off(model: Candidate, inputs: Inputs, rng: np.random.Generator) -> float:
    """Worst relative difference of the deceleration from v²/(2 upper), over rows drawn from inputs (N, F)."""
    rows = inputs[rng.integers(0, len(inputs), _ROWS)]
    answers = model.ask(rows, (UPPER, DECELERATION, FLAG))
    speed = rows[:, model.column("speed")].astype(np.float64)
    judged = (answers[FLAG] == 0.0) & (speed >= _LEAST_SPEED_MPS)
    with np.errstate(divide="ignore", invalid="ignore"):
        return _worst(answers[DECELERATION][judged], (speed**2 / (2.0 * answers[UPPER]))[judged])


def required_off(model: Candidate, inputs: Inputs, rng: np.random.Generator) -> float:
    """Worst relative difference of the required deceleration from closing speed²/(2 gap), NaN without an object.

    Over rows drawn from inputs (N, F), most of them with gaps and closing speeds from all of the contract's ranges.
    """
    rows = inputs[rng.integers(0, len(inputs), _ROWS)].copy()
    gap, rate = model.column("range"), model.column("range_rate")
    drawn = slice(_ROWS // 4, None)
    limits = model.contract.features
    rows[drawn, gap] = rng.uniform(_LEAST_GAP_M, limits[gap].high, len(rows[drawn]))
    rows[drawn, rate] = rng.uniform(limits[rate].low, limits[rate].high, len(rows[drawn]))
    rows[-_ROWS // 4 :, gap] = np.nan
    wide = np.where(rows[:, gap] < _LEAST_GAP_M, np.nan, rows[:, gap].astype(np.float64))
    kept = ~(rows[:, gap] < _LEAST_GAP_M)
    closing = np.where(rows[:, rate] > 0.0, 0.0, rows[:, rate].astype(np.float64))
    return _worst(model.ask(rows, (REQUIRED,))[REQUIRED][kept], (closing**2 / (2.0 * wide))[kept])


def unsteady(model: Candidate, inputs: Inputs, rng: np.random.Generator) -> tuple[float, str]:
    """Worst relative difference between answers of every output to the same row, asked in other company.

    In one large batch, the same again, in another order, in small batches, alone, and among rows that are broken. And
    in which of these it was. Rows are drawn from inputs (N, F).
    """
    rows = inputs[rng.integers(0, len(inputs), _LARGE)]
    names, order = model.outputs, rng.permutation(len(rows))
    known = model.ask(rows, names, at_once=len(rows))
    among = rows.copy()
    broken = rng.random(len(rows)) < 0.5
    among[broken] = rng.choice(np.array([np.nan, np.inf, -1e6, 1e6], dtype=np.float32), among[broken].shape)
    few = rows[:_ALONE]
    asked = {
        "asked again": (model.ask(rows, names, at_once=len(rows)), np.arange(len(rows))),
        "in another order": (model.ask(rows[order], names, at_once=len(rows)), order),
        "in small batches": (model.ask(rows, names, at_once=int(rng.integers(200, 900))), np.arange(len(rows))),
        "among broken rows": (_some(model.ask(among, names, at_once=len(rows)), ~broken), np.flatnonzero(~broken)),
        "alone": (model.ask(few, names, at_once=1), np.arange(len(few))),
    }
    found = {
        where: max(_worst(answers[name], known[name][places]) for name in names)
        for where, (answers, places) in asked.items()
    }
    worst = max(found, key=lambda where: found[where])
    return found[worst], worst if found[worst] else ""


def lacking(model: Candidate) -> tuple[float, str]:
    """How many outputs the graph does not have as float32, one number for each row; and which."""
    missing = [name for name in OUTPUTS if name not in model.outputs]
    return float(len(missing)), ", ".join(missing)


def _some(answers: dict[str, Vector], rows: NDArray[np.bool_]) -> dict[str, Vector]:
    return {name: values[rows] for name, values in answers.items()}


def _worst(found: Vector, wanted: Vector) -> float:
    """Largest difference relative to what is wanted; infinite where only one of the two is a number."""
    if not found.size:
        return float("nan")
    both = np.isfinite(found) & np.isfinite(wanted)
    same = both | (np.isnan(found) & np.isnan(wanted)) | (found == wanted)
    if not same.all():
        return float("inf")
    scale = np.maximum(np.abs(wanted[both]), 1e-9)
    return float(np.max(np.abs(found[both] - wanted[both]) / scale, initial=0.0))
