"""What the model may be asked: the contract's ranges and what physics forbids as a flag, the unusual as a surprise."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from stepkit.contract import Contract

from brakeline_train.ensemble import Ensemble

_TAIL_SHARE = 0.001
_BEYOND_TAIL, _BEYOND_ALL = 1.0, 3.0


# Readings, by role, that cannot all be true at once, as bounds (above, up to); between them lies what may be noise.
IMPOSSIBLE: dict[str, dict[str, tuple[float, float]]] = {
    "grip in freezing rain or snowfall": {
        "friction": (0.75, np.inf),
        "air_temperature": (-np.inf, -2.5),
        "rain": (1.5, np.inf),
    },
    "downpour in deep frost": {"rain": (15.0, np.inf), "air_temperature": (-np.inf, -12.0)},
}


@dataclass(frozen=True)
class Seen:
    """What training saw of one input: its extremes and its outermost 0.1 % quantiles; nothing if all NaN."""

    least: float
    low: float
    high: float
    most: float


def seen_in(inputs: NDArray[np.float32]) -> list[Seen | None]:
    """The training envelope of each column of `inputs` (N, F)."""
    envelope: list[Seen | None] = []
    for column in inputs.T:
        known = np.sort(column[~np.isnan(column)])
        if known.size == 0:
            envelope.append(None)
            continue
        inner = int(known.size * _TAIL_SHARE)
        edges = (known[0], known[inner], known[-1 - inner], known[-1])
        envelope.append(Seen(*(float(edge) for edge in edges)))
    return envelope


def add_range_violations(ensemble: Ensemble, contract: Contract, target: int) -> None:
    """Count the inputs outside the contract: beyond low or high, or missing where none may be."""
    for column, feature in enumerate(contract.features):
        edges = (_below(feature.low), float(np.float32(feature.high)))
        ensemble.add_steps(column, edges, (1.0, 0.0, 1.0), 0.0 if feature.missing_allowed else 1.0, target)


def add_impossible(ensemble: Ensemble, contract: Contract, target: int) -> None:
    """Count the rules of IMPOSSIBLE that the readings break; a missing reading breaks none."""
    places = {feature.role: column for column, feature in enumerate(contract.features)}
    for rule in IMPOSSIBLE.values():
        bounds = [(places[role], float(low), float(high)) for role, (low, high) in rule.items()]
        ensemble.add_rule(bounds, 1.0, target)


def impossible(inputs: NDArray[np.float32], contract: Contract) -> NDArray[np.bool_]:
    """Which rows (N, F) break a rule of IMPOSSIBLE, shape (N,): what the graph's trees must find too."""
    places = {feature.role: column for column, feature in enumerate(contract.features)}
    broken = np.zeros(inputs.shape[0], dtype=bool)
    for rule in IMPOSSIBLE.values():
        parts = [
            (inputs[:, places[role]] > np.float32(low)) & (inputs[:, places[role]] <= np.float32(high))
            for role, (low, high) in rule.items()
        ]
        broken |= np.all(parts, axis=0)
    return broken


def add_surprise(ensemble: Ensemble, envelope: list[Seen | None], target: int) -> None:
    """Sum over inputs: 1 where a reading lies in the outermost 0.1 % of training, 3 beyond all of it."""
    steps = (_BEYOND_ALL, _BEYOND_TAIL, 0.0, _BEYOND_TAIL, _BEYOND_ALL)
    for column, seen in enumerate(envelope):
        if seen is None:
            # Never present in training: any reading at all is beyond what is known.
            ensemble.add_steps(column, (), (_BEYOND_ALL,), 0.0, target)
            continue
        edges = (_below(seen.least), _below(seen.low), seen.high, seen.most)
        ensemble.add_steps(column, edges, steps, 0.0, target)


def _below(value: float) -> float:
    """The greatest float32 below a value, so that the value itself still counts as inside."""
    return float(np.nextafter(np.float32(value), np.float32(-np.inf)))
