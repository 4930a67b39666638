"""The fail-safe from outside: readings that break the contract, or cannot all be true, get the worst case and a flag.

Caught is a row whose flag is raised and whose answers, both of them, are finite and no shorter than the stop that was
measured there and than the bound that the model gave before the row was broken.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from stepkit.contract import Contract, Feature

from brakeline_validate.candidate import FLAG, MEDIAN, UPPER, Candidate, Vector

# Readings, by role, of which no noise makes these from the truth: ranges that cases are drawn from.
INCONSISTENT: dict[str, dict[str, tuple[float, float]]] = {
    "grip in freezing rain": {"friction": (0.85, 1.2), "air_temperature": (-8.0, -3.0), "rain": (2.0, 10.0)},
    "grip in a snowstorm": {"friction": (0.8, 1.1), "air_temperature": (-25.0, -5.0), "rain": (3.0, 12.0)},
    "cloudburst in deep frost": {"rain": (20.0, 110.0), "air_temperature": (-40.0, -14.0)},
}
_ROWS = 400

Inputs = NDArray[np.float32]


def unsafe_answers(model: Candidate, inputs: Inputs, distance_m: Vector, rng: np.random.Generator) -> float:
    """Share of unfit rows that the fail-safe does not catch, drawn from inputs (N, F).

    Each feature in turn is put an ulp and more beyond either end of its range, far beyond it, made infinite, and taken
    away where it may not be missing; the last of all rows have nothing left at all.
    """
    chosen = rng.choice(len(inputs), min(_ROWS, len(inputs)), replace=False)
    rows, measured = inputs[chosen], distance_m[chosen]
    wanted = np.maximum(measured, np.nan_to_num(model.ask(rows)[UPPER], nan=0.0, posinf=0.0))
    broken = list(_beyond(rows, model.contract, rng))
    nothing: Inputs = np.full_like(rows, np.nan)
    missed = [~_caught(model, each, wanted) for each in (*broken, nothing)]
    return float(np.mean(missed))


def inconsistent_believed(
    model: Candidate, inputs: Inputs, distance_m: Vector, rng: np.random.Generator
) -> tuple[float, str]:
    """The largest share of rows that a kind of inconsistent readings is believed on, and which kind."""
    found = {}
    for name, ranges in INCONSISTENT.items():
        chosen = rng.choice(len(inputs), min(_ROWS, len(inputs)), replace=False)
        rows = inputs[chosen].copy()
        for role, (low, high) in ranges.items():
            rows[:, model.column(role)] = rng.uniform(low, high, len(rows))
        found[name] = float((~_caught(model, rows, distance_m[chosen])).mean())
    worst = max(found, key=lambda name: found[name])
    return found[worst], worst if found[worst] else ""


def needless_flags(answers: dict[str, Vector], fault: NDArray[np.str_] | None = None) -> float:
    """Share of rows within the contract that raise the flag nevertheless; rows with a fault (N,) may."""
    flagged = answers[FLAG] != 0.0
    return float(flagged.mean() if fault is None else flagged[~_is_fault(fault)].mean())


def _beyond(rows: Inputs, contract: Contract, rng: np.random.Generator) -> Iterator[Inputs]:
    for column, feature in enumerate(contract.features):
        for value in _wrong_values(feature, rng):
            broken = rows.copy()
            broken[:, column] = value
            yield broken


def _wrong_values(feature: Feature, rng: np.random.Generator) -> list[float]:
    low, high = np.float32(feature.low), np.float32(feature.high)
    span, outside = feature.high - feature.low, np.float32(np.inf)
    values = [float(np.nextafter(low, -outside)), float(np.nextafter(high, outside))]
    values += [feature.low - rng.uniform(0.01, 1.0) * span, feature.high + rng.uniform(0.01, 1.0) * span]
    values += [feature.high + 10.0 * span, -np.inf, np.inf]
    return values if feature.missing_allowed else [*values, np.nan]


def _caught(model: Candidate, rows: Inputs, wanted: Vector) -> NDArray[np.bool_]:
    """Which rows (R, F) get a flag and answers no shorter than wanted (R,); written so that NaN is not."""
    answers = model.ask(rows)
    enough = np.isfinite(answers[UPPER]) & (answers[MEDIAN] >= wanted) & (answers[UPPER] >= answers[MEDIAN])
    caught: NDArray[np.bool_] = (answers[FLAG] == 1.0) & enough
    return caught


def _is_fault(fault: NDArray[np.str_]) -> NDArray[np.bool_]:
    is_fault: NDArray[np.bool_] = (fault != "none") & (fault != "unknown")
    return is_fault
