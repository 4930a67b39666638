"""The noise floor: how well any model could do on rows of a holdout, given what its sensors tell.

Draws from the exact posterior of everything latent (`posterior.py`), pushed through the simulator, give the
distribution of the stopping distance given the readings. Its median has the least mean absolute error that any
function of the readings can have, its mean the least squared one, its 99 % quantile is the ideal bound.
Rows with a fault and recorded rows have no floor: their distribution is not known.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from stepkit import artifacts, diary, tables
from stepkit.errors import ContractViolation

from brakeline_synthesize import faults, posterior
from brakeline_synthesize import scenario as scenarios
from brakeline_synthesize.contract import CONTRACT
from brakeline_synthesize.generate import SCENARIO_KEY, cores
from brakeline_synthesize.physics import Array, stopping_distance_m
from brakeline_synthesize.scenario import Scenario

ROWS_FILE, SUMMARY_FILE = "rows.parquet", "floor.json"
UPPER_LEVEL = 0.99
_CHUNK_DRAWS = 200_000
_SET = 7  # beside the sets of `generate`, so that no seed is used twice


def write(holdout: Path, folder: Path, rows: int, draws: int, seed: int) -> dict[str, Any]:
    """Write the floor of some rows of a holdout and its summary; returns the summary.

    Raises UnreadableArtifact, ContractViolation.
    """
    table, contract = tables.read_table(holdout)
    if contract != CONTRACT:
        raise ContractViolation(holdout, "contract", f"version {contract.version}", f"version {CONTRACT.version}")
    scenario = _scenario_of(holdout)
    chosen = choose_rows(table, rows, seed)
    found = of_rows(table[chosen], scenario, draws, seed).with_columns(row=pl.Series(chosen))
    told = {"scenario": scenario.name, "draws": draws, "seed": seed, "by_surface": summarise(found)}
    folder.mkdir(parents=True)
    tables.write_parquet(folder / ROWS_FILE, found)
    artifacts.write_json(folder / SUMMARY_FILE, told)
    return told


def choose_rows(table: pl.DataFrame, rows: int, seed: int) -> np.ndarray:
    """Places of at most `rows` fault-free synthetic rows, one of each drive, sorted: a second tells little new.

    Raises ContractViolation if there are none.
    """
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_SET, 0)))
    fit = np.flatnonzero(((table["fault"] == faults.NONE) & (table["source"] == "synthetic")).to_numpy())
    if not fit.size:
        raise ContractViolation(Path("holdout"), "rows without a fault", 0, "at least 1")
    shuffled = rng.permutation(fit)
    _, first = np.unique(table[CONTRACT.group].to_numpy()[shuffled], return_index=True)
    return np.sort(shuffled[np.sort(first)[:rows]])


def of_rows(table: pl.DataFrame, scenario: Scenario, draws: int, seed: int) -> pl.DataFrame:
    """The floor of each row: median, mean and 99 % quantile of its distance, and where the truth lies among the draws.

    `expected_*` are the errors that the draws foretell; `rank` is the share of draws below the true distance.
    """
    readings = {entry.role: table[entry.name].to_numpy().astype(np.float64) for entry in CONTRACT.features}
    truth = table[CONTRACT.target.name].to_numpy().astype(np.float64)
    size = max(1, _CHUNK_DRAWS // draws)
    starts = range(0, truth.size, size)

    def chunk(start: int) -> Array:
        part = slice(start, start + size)
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(_SET, 1, start)))
        stops = posterior.draw_stops(rng, scenario, {role: values[part] for role, values in readings.items()}, draws)
        distance = stopping_distance_m(stops).reshape(-1, draws)
        middle, mean, upper = _middle_mean_upper(distance)
        error = np.abs(distance - middle[:, None]).mean(axis=1)
        below = (distance < truth[part, None]).mean(axis=1)
        return np.stack([middle, mean, upper, error, distance.var(axis=1), below])

    with diary.progress("floor", len(starts)) as advance, ThreadPoolExecutor(cores()) as pool:
        parts = []
        for part in pool.map(chunk, starts):
            parts.append(part)
            advance()
    names = ("median_m", "mean_m", "upper_m", "expected_absolute_error_m", "expected_squared_error_m2", "rank")
    columns = dict(zip(names, np.concatenate(parts, axis=1), strict=True))
    return pl.DataFrame({"surface": table["surface"], "distance_m": truth, **columns})


def summarise(found: pl.DataFrame) -> dict[str, dict[str, float]]:
    """Bayes-optimal errors over all rows and by surface, with standard errors; distances in metres."""
    parts = {"all": found, **{str(name): part for (name,), part in sorted(found.group_by("surface"))}}
    return {name: _errors(part) for name, part in parts.items()}


def _errors(part: pl.DataFrame) -> dict[str, float]:
    distance = part["distance_m"].to_numpy()
    absolute = np.abs(distance - part["median_m"].to_numpy())
    squared = (distance - part["mean_m"].to_numpy()) ** 2
    figures = {
        "mae_m": absolute.mean(),
        "mae_standard_error_m": absolute.std() / np.sqrt(distance.size),
        "expected_mae_m": part["expected_absolute_error_m"].to_numpy().mean(),
        "rmse_m": np.sqrt(squared.mean()),
        "expected_rmse_m": np.sqrt(part["expected_squared_error_m2"].to_numpy().mean()),
        "relative_error": (absolute / distance).mean(),
        "missed_share": (distance > part["upper_m"].to_numpy()).mean(),
        "width": (part["upper_m"].to_numpy() / part["median_m"].to_numpy()).mean(),
        "upper_m": part["upper_m"].to_numpy().mean(),
    }
    return {"rows": part.height, **{name: float(f"{value:.6g}") for name, value in figures.items()}}


def _middle_mean_upper(distance: Array) -> tuple[Array, Array, Array]:
    rank = min(int(np.ceil(UPPER_LEVEL * distance.shape[1])), distance.shape[1]) - 1
    half = distance.shape[1] // 2
    ordered = np.partition(distance, (half - 1, half, rank), axis=1)
    return 0.5 * (ordered[:, half - 1] + ordered[:, half]), distance.mean(axis=1), ordered[:, rank]


def _scenario_of(holdout: Path) -> Scenario:
    text = tables.read_metadata(tables.parts_of(holdout)[0]).get(SCENARIO_KEY)
    if text is None:
        raise ContractViolation(holdout, "schema metadata", "no scenario", SCENARIO_KEY)
    return scenarios.parse(holdout, text)
