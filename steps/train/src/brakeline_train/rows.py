"""Rows to learn from: the model's inputs as one matrix, divided by drive so that no drive is on two sides."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from stepkit import tables
from stepkit.contract import Contract
from stepkit.errors import ContractViolation

# Roles that describe the object ahead, not the stop: they serve the braking decision, not the learning.
GAP_ROLES = frozenset({"range", "range_rate", "box_height"})

_CALIBRATION_SHARE = 0.25
_LEAST_DRIVES = 8


@dataclass(frozen=True)
class Rows:
    """N rows: inputs (N, F) in the contract's order, stopping distances [m] (N,), drive numbers (N,)."""

    inputs: NDArray[np.float32]
    distance_m: NDArray[np.float64]
    drive: NDArray[np.int64]

    def take(self, chosen: NDArray[np.bool_]) -> "Rows":
        """The chosen rows."""
        return Rows(self.inputs[chosen], self.distance_m[chosen], self.drive[chosen])


@dataclass(frozen=True)
class Fold:
    """Rows to fit on and rows to calibrate or score on."""

    fit: Rows
    held: Rows


def read(dataset: Path) -> tuple[Rows, Contract]:
    """Read a dataset. Raises UnreadableArtifact, ContractViolation."""
    table, contract = tables.read_table(dataset)
    inputs = table.select(contract.names).to_numpy().astype(np.float32, copy=False)
    distance = table[contract.target.name].to_numpy().astype(np.float64)
    rows = Rows(np.ascontiguousarray(inputs), distance, table[contract.group].to_numpy())
    found = np.unique(rows.drive).size
    if found < _LEAST_DRIVES:
        raise ContractViolation(dataset, "drives", found, f"at least {_LEAST_DRIVES}, to divide them")
    return rows, contract


def divide_by_drive(rows: Rows, seed: int, held_share: float = _CALIBRATION_SHARE) -> Fold:
    """Hold back a share of the drives, chosen by the seed."""
    drives = np.unique(rows.drive)
    held_count = min(max(1, round(held_share * drives.size)), drives.size - 1)
    held = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(101,))).permutation(drives)[:held_count]
    is_held = np.isin(rows.drive, held)
    return Fold(rows.take(~is_held), rows.take(is_held))


def learned_columns(contract: Contract) -> list[int]:
    """Columns of the input matrix that the trees may split on."""
    return [index for index, feature in enumerate(contract.features) if feature.role not in GAP_ROLES]
