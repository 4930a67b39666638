"""What must hold of any answer: it is the fitted model's own, possible, and no shorter than physics allows."""

import json
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from stepkit.errors import UnreadableArtifact

from brakeline_validate.candidate import FLAG, MEDIAN, UPPER, Candidate, Vector

PROBES_FILE, GOLDEN_KEY = "probes.parquet", "brakeline.golden"
# Fewer probes than these would leave most leaves of the trees untouched.
LEAST_PROBES = 5_000
GRAVITY_MPS2 = 9.80665  # CODATA standard gravity
# No road has more grip than this above its reading (three standard deviations of the estimate), or than any tyre has.
_UNREAD_FRICTION, _MOST_FRICTION = 0.2, 1.3
# Rolling resistance and air help to stop; so much of g is more than they do [U].
_RESISTANCE = 0.02
_STEEPEST = 0.25

Inputs = NDArray[np.float32]


def parity(model: Candidate) -> float:
    """Worst relative difference of the graph from the estimators' answers in the probe rows, and from its golden ones.

    Infinite where an answer or an estimator's is not finite, or where there are too few probes. Raises
    UnreadableArtifact where there are none, or no golden request.
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
    if len(np.unique(inputs, axis=0, equal_nan=True)) < LEAST_PROBES:
        return float("inf")
    answers = model.ask(inputs)
    with np.errstate(divide="ignore", invalid="ignore"):
        off = [np.abs(answers[name] - values) / np.abs(values) for name, values in expected.items()]
    # One maximum over all, which keeps a NaN: Python's max() may drop it.
    worst = float(np.max(np.concatenate([*off, _golden_off(model)])))
    return worst if np.isfinite(worst) else float("inf")


def impossible_share(answers: dict[str, Vector]) -> float:
    """Share of answers that no stop can have: not finite, not above 0, or a bound below the median."""
    median, upper = answers[MEDIAN], answers[UPPER]
    possible = np.isfinite(median) & np.isfinite(upper) & (median > 0) & (upper >= median)
    return float(1.0 - possible.mean())


def beats_physics(model: Candidate, inputs: Inputs) -> float:
    """Largest ratio of the shortest stop that physics allows to the bound, over rows (R, F); above 1 is impossible.

    The shortest stop is v²/(2 g (mu + grade)) with more grip than was read, no response time, and resistance to help.
    """
    answers = model.ask(inputs)
    speed, friction, grade = (
        inputs[:, model.column(role)].astype(np.float64) for role in ("speed", "friction", "grade")
    )
    grip = np.minimum(np.nan_to_num(friction, nan=_MOST_FRICTION) + _UNREAD_FRICTION, _MOST_FRICTION)
    rise = np.nan_to_num(grade, nan=_STEEPEST)
    shortest = speed**2 / (2.0 * GRAVITY_MPS2 * np.maximum(grip + np.maximum(rise, 0.0) + _RESISTANCE, _RESISTANCE))
    ratio = (shortest / answers[UPPER])[answers[FLAG] == 0.0]
    worst = float(np.max(ratio)) if ratio.size else float("nan")
    return worst if np.all(ratio >= 0.0) else float("nan")


def _golden_off(model: Candidate) -> Vector:
    """Relative differences from the golden request that travels in the graph; infinite where that asks nothing.

    Missing numbers are null there, and NaN here.
    """
    try:
        golden = json.loads(model.session.get_modelmeta().custom_metadata_map[GOLDEN_KEY])
        columns = [golden["inputs"][name] for name in model.contract.names]
        wanted = {name: np.array(golden["outputs"][name], dtype=np.float64) for name in (MEDIAN, UPPER, FLAG)}
        inputs = np.array(columns, dtype=np.float64).T.astype(np.float32)
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableArtifact(model.folder, "golden request", f"{type(error).__name__}: {error}") from error
    found = model.ask(inputs)
    off = [np.abs(found[name] - values) / np.maximum(np.abs(values), 1.0) for name, values in wanted.items()]
    return np.concatenate(off) if inputs.size else np.array([np.inf])
