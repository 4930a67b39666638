"""The catalogue of sensor faults, and what each does to the readings of a drive from its onset on.

Sizes are engineering guesses [U], large enough to matter and small enough to stay inside a sensor's own range check.
Speed has no dropout here: a row without speed breaks the contract, and the model answers it with the worst case.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from brakeline_synthesize.priors import Array

NONE = "none"
_LATEST_ONSET = 2
_SPIKE_SHARE = 0.5


@dataclass(frozen=True)
class Fault:
    """One way for one sensor, named by its role in the contract, to be wrong.

    `size` is the step of a bias, the growth of a drift from moment to moment, the height of spikes, or the value that
    a stuck sensor shows (NaN: what it read at onset); `relative` ones are shares of the reading.
    """

    role: str
    kind: str
    size: float = float("nan")
    relative: bool = False

    @property
    def name(self) -> str:
        """Its name in scenarios, data and dossier."""
        return f"{self.role}_{self.kind}"


CATALOGUE = (
    Fault("speed", "stuck"),
    Fault("speed", "drift", 0.01, relative=True),
    Fault("speed", "bias_step", 0.06, relative=True),
    Fault("speed", "spikes", 0.3, relative=True),
    Fault("friction", "dropout"),
    Fault("friction", "stuck", 0.9),
    Fault("friction", "drift", 0.03),
    Fault("friction", "bias_step", 0.2),
    Fault("friction", "spikes", 0.4),
    Fault("mass", "stuck", 1000.0),
    Fault("mass", "bias_step", 0.2, relative=True),
    Fault("grade", "dropout"),
    Fault("grade", "bias_step", 0.04),
    Fault("acceleration", "spikes", 3.0),
    Fault("disc_temperature", "stuck", 60.0),
    Fault("disc_temperature", "drift", 30.0),
    Fault("rain", "dropout"),
    Fault("rain", "stuck", 0.0),
    Fault("air_temperature", "bias_step", 6.0),
    Fault("tyre_pressure", "drift", 8.0),
    Fault("tread_depth", "bias_step", 2.0),
    Fault("range", "dropout"),
    Fault("range", "spikes", 20.0),
    Fault("range_rate", "bias_step", 3.0),
    Fault("box_height", "dropout"),
)
NAMES = tuple(fault.name for fault in CATALOGUE)


@dataclass(frozen=True)
class Chosen:
    """The fault of each of D drives: its place in the catalogue or -1, the moment of its onset and its sign."""

    index: NDArray[np.int64]
    onset: NDArray[np.int64]
    sign: Array


def choose(rng: np.random.Generator, drives: int, shares: Mapping[str, float]) -> Chosen:
    """Draw each drive's fault, by the shares of drives that have each."""
    edges = np.cumsum([shares.get(name, 0.0) for name in NAMES])
    found = np.searchsorted(edges, rng.random(drives), side="right")
    return _chosen(rng, np.where(found < len(NAMES), found, -1))


def one_after_another(rng: np.random.Generator, first_drive: int, drives: int) -> Chosen:
    """Give every drive a fault, the catalogue over and over, so that all have equally many rows."""
    return _chosen(rng, (first_drive + np.arange(drives)) % len(CATALOGUE))


def inject(
    rng: np.random.Generator, readings: dict[str, Array], chosen: Chosen, moments: int
) -> tuple[dict[str, Array], NDArray[np.int64]]:
    """Readings by role (N,) with the faults in them, and each row's fault as a place in the catalogue or -1.

    Rows of a drive follow each other, `moments` of them.
    """
    spiked = rng.random(chosen.index.size * moments) < _SPIKE_SHARE
    broken = {role: values.copy() for role, values in readings.items()}
    told = np.full(chosen.index.size * moments, -1, dtype=np.int64)
    for number, fault in enumerate(CATALOGUE):
        drives = np.flatnonzero(chosen.index == number)
        if not drives.size:
            continue
        rows = drives[:, None] * moments + np.arange(moments)
        age = np.arange(moments) - chosen.onset[drives, None]
        hit = (age >= 0) & (spiked[rows] if fault.kind == "spikes" else True)
        values = readings[fault.role][rows]
        values = np.where(hit, _wrong(fault, values, age, chosen, drives), values)
        broken[fault.role][rows.ravel()] = values.ravel()
        told[rows[hit]] = number
    return broken, told


def _wrong(fault: Fault, values: Array, age: NDArray[np.int64], chosen: Chosen, drives: NDArray[np.intp]) -> Array:
    if fault.kind == "dropout":
        return np.full_like(values, np.nan)
    if fault.kind == "stuck":
        held = values[np.arange(drives.size), chosen.onset[drives]] if np.isnan(fault.size) else fault.size
        return np.broadcast_to(np.reshape(held, (-1, 1)), values.shape)
    growth = age + 1.0 if fault.kind == "drift" else 1.0
    change = chosen.sign[drives, None] * fault.size * growth
    return values * (1.0 + change) if fault.relative else values + change


def _chosen(rng: np.random.Generator, index: NDArray[np.int64]) -> Chosen:
    onset = rng.integers(1, _LATEST_ONSET, index.size, endpoint=True)
    return Chosen(index, onset, np.where(rng.random(index.size) < 0.5, -1.0, 1.0))
