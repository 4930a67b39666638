"""What physics says of any stop, asked of the model: a set of checks that need no measured distance."""

from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from stepkit.errors import UnreadableArtifact

from brakeline_validate.candidate import FLAG, MEDIAN, UPPER, Candidate, Vector

PROBES_FILE = "probes.parquet"
_SWEPT_ROWS = 1_000
# Steps as wide as a change that a car can measure; a tree's own steps are smaller.
_SPEEDS_MPS = np.arange(4.0, 52.0, 2.0)
_FRICTION_STEPS = np.arange(-0.2, 0.21, 0.1)
# A step against physics counts from this share of the value.
_SLACK = 0.01

Inputs = NDArray[np.float32]


def parity(model: Candidate) -> float:
    """Worst relative difference between the graph and the estimators' own answers in the artifact's probe rows.

    Infinite where a probe row is not finite. Raises UnreadableArtifact where there are no probes.
    """
    file: Path = model.folder / PROBES_FILE
    try:
        probes = pl.read_parquet(file)
        inputs = probes.select(model.contract.names).to_numpy().astype(np.float32)
        expected = {name: probes[name].to_numpy().astype(np.float64) for name in (MEDIAN, UPPER)}
    except (OSError, pl.exceptions.PolarsError) as error:
        raise UnreadableArtifact(file, "table of probe rows", str(error).splitlines()[0]) from error
    if not inputs.size:
        raise UnreadableArtifact(file, "table of probe rows", "no rows")
    answers = model.ask(inputs)
    worst = max(float(np.max(np.abs(answers[name] - values) / values)) for name, values in expected.items())
    return worst if np.isfinite(worst) else float("inf")


def impossible_share(answers: dict[str, Vector]) -> float:
    """Share of answers that no stop can have: not finite, not above 0, or a bound below the median."""
    median, upper = answers[MEDIAN], answers[UPPER]
    possible = np.isfinite(median) & np.isfinite(upper) & (median > 0) & (upper >= median)
    return float(1.0 - possible.mean())


def shrinks_with_speed(model: Candidate, inputs: Inputs) -> float:
    """Share of speed steps of 2 m/s at which the bound gets shorter by more than 1 %."""
    bound = _sweep(model, inputs, "speed", _SPEEDS_MPS)
    return _share(bound[:, 1:] < (1.0 - _SLACK) * bound[:, :-1])


def grows_with_friction(model: Candidate, inputs: Inputs) -> float:
    """Share of friction steps of 0.1, up to 0.2 about each row's own reading, at which the bound gets > 1 % longer.

    About its own reading, since a warm dry row with the friction of ice is a case for the surprise score.
    """
    limits, column = model.contract.by_role("friction"), model.column("friction")
    reading = inputs[:, column]
    inside = (reading + _FRICTION_STEPS[0] > limits.low) & (reading + _FRICTION_STEPS[-1] < limits.high)
    rows = inputs[inside][:_SWEPT_ROWS]
    bound = _sweep(model, rows, "friction", rows[:, [column]] + _FRICTION_STEPS)
    return _share(bound[:, 1:] > (1.0 + _SLACK) * bound[:, :-1])


def unsafe_answers(model: Candidate, inputs: Inputs, distance_m: Vector) -> float:
    """Share of unfit rows that the fail-safe does not catch.

    Each feature in turn is put below, above and far beyond its range, made infinite, and taken away where it may
    not be missing. Caught is: flag raised, and a finite bound no shorter than any measured stop at that speed.
    """
    rows, wanted = inputs[:_SWEPT_ROWS], distance_m[:_SWEPT_ROWS]
    wrong = total = 0
    for column, feature in enumerate(model.contract.features):
        span = feature.high - feature.low
        values = [feature.low - 0.01 * span, feature.high + 0.01 * span, feature.high + 10 * span, -np.inf]
        values += [] if feature.missing_allowed else [np.nan]
        for value in values:
            broken = rows.copy()
            broken[:, column] = value
            answers = model.ask(broken)
            long_enough = np.isfinite(answers[UPPER]) & (answers[UPPER] >= wanted)
            caught = (answers[FLAG] == 1.0) & long_enough & (answers[MEDIAN] >= wanted)
            wrong += int((~caught).sum())
            total += rows.shape[0]
    return wrong / total


def needless_flags(answers: dict[str, Vector], fault: NDArray[np.str_] | None = None) -> float:
    """Share of rows within the contract that raise the flag nevertheless; rows with a fault (N,) may."""
    flagged = answers[FLAG] != 0.0
    return float(flagged.mean() if fault is None else flagged[~_is_fault(fault)].mean())


def _sweep(model: Candidate, inputs: Inputs, role: str, values: NDArray[np.float64]) -> Vector:
    """Bounds (R, V) of R rows at V values of one reading; `values` is (V,) or each row's own (R, V).

    NaN where the flag is up: the worst case is no step of the model's own.
    """
    rows = inputs[:_SWEPT_ROWS]
    wide = np.broadcast_to(values, (rows.shape[0], values.shape[-1]))
    repeated = np.repeat(rows, wide.shape[1], axis=0)
    repeated[:, model.column(role)] = wide.ravel()
    answers = model.ask(repeated)
    return np.where(answers[FLAG] == 0.0, answers[UPPER], np.nan).reshape(wide.shape)


def _is_fault(fault: NDArray[np.str_]) -> NDArray[np.bool_]:
    is_fault: NDArray[np.bool_] = (fault != "none") & (fault != "unknown")
    return is_fault


def _share(wrong: NDArray[np.bool_]) -> float:
    """Share of wrong steps; NaN, which no gate passes, where there was nothing to look at."""
    return float(wrong.mean()) if wrong.size else float("nan")
