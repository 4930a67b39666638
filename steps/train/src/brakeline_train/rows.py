"""Rows to learn from: the model's inputs as one matrix, divided by drive so that no drive is on two sides."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray
from stepkit import diary, tables
from stepkit.contract import Contract
from stepkit.errors import ContractViolation

# Roles that describe the object ahead, not the stop: they serve the braking decision, not the learning.
GAP_ROLES = frozenset({"range", "range_rate", "box_height"})

_CALIBRATION_SHARE = 0.25
# More rows come no nearer to the noise floor (`bench model`), and a fit holds all its rows in memory.
MOST_ROWS = 4_000_000
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


def read(dataset: Path, most_rows: int = MOST_ROWS) -> tuple[Rows, Contract]:
    """Read a dataset, of a larger one some `most_rows` rows: whole drives, evenly chosen by their numbers.

    One file's rows are in memory beside what is kept. Raises UnreadableArtifact, ContractViolation.
    """
    contract = tables.read_contract(dataset)
    total = tables.count_rows(dataset)
    kept = [_some(tables.read_table(part)[0], contract, most_rows / max(total, 1)) for part in tables.parts_of(dataset)]
    rows = Rows(
        np.concatenate([part.inputs for part in kept]),
        np.concatenate([part.distance_m for part in kept]),
        np.concatenate([part.drive for part in kept]),
    )
    if rows.drive.size < total:
        diary.note("rows", kept=int(rows.drive.size), of=total)
    found = np.unique(rows.drive).size
    if found < _LEAST_DRIVES:
        raise ContractViolation(dataset, "drives", found, f"at least {_LEAST_DRIVES}, to divide them")
    return rows, contract


def _some(table: pl.DataFrame, contract: Contract, share: float) -> Rows:
    inputs = np.ascontiguousarray(table.select(contract.names).to_numpy().astype(np.float32, copy=False))
    distance = table[contract.target.name].to_numpy().astype(np.float64)
    rows = Rows(inputs, distance, table[contract.group].to_numpy())
    return rows if share >= 1.0 else rows.take(_scattered(rows.drive) < share)


def _scattered(drive: NDArray[np.int64]) -> NDArray[np.float64]:
    """A number from 0 to 1 for each drive, as if drawn, but always the same (a multiplicative hash)."""
    mixed = drive.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(32))) * np.uint64(0xD6E8FEB86659FD93)
    scattered: NDArray[np.float64] = (mixed >> np.uint64(11)).astype(np.float64) / 2.0**53
    return scattered


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
