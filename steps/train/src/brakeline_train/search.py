"""Search: a seeded list of hyper-parameters, of which each shard scores its slice; no state, no database."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import loguniform, randint
from sklearn.model_selection import ParameterSampler
from stepkit import artifacts, diary
from stepkit.contract import Contract
from stepkit.errors import ContractViolation, UsageError

from brakeline_train import quantiles
from brakeline_train.rows import Rows, divide_by_drive

# Scoring needs an order, not the last digit: so many rows suffice to tell good settings from bad ones.
SCORING_ROWS = 40_000

_SPACE = {
    "max_iter": randint(120, 320),
    "max_leaf_nodes": randint(12, 48),
    "learning_rate": loguniform(0.03, 0.2),
    "min_samples_leaf": randint(20, 200),
    "l2_regularization": loguniform(1e-3, 30.0),
}


@dataclass(frozen=True)
class Trial:
    """One setting and its score: the sum of both pinball losses of the log ratio, lower is better."""

    index: int
    parameters: dict[str, Any]
    score: float
    median_loss: float
    upper_loss: float


def parameter_list(trials: int, seed: int) -> list[dict[str, Any]]:
    """The whole list, the defaults first; the same for every shard."""
    drawn = ParameterSampler(_SPACE, max(trials - 1, 0), random_state=seed)
    return [quantiles.DEFAULTS, *({name: _plain(value) for name, value in sorted(p.items())} for p in drawn)][:trials]


def run(rows: Rows, contract: Contract, trials: int, seed: int, shard: str) -> list[Trial]:
    """Score this shard's slice `[i::n]` of the list on one division of the data by drive."""
    index, count = _parse_shard(shard)
    chosen = list(enumerate(parameter_list(trials, seed)))[index::count]
    fold = divide_by_drive(_some_drives(rows, seed), seed)
    wanted = quantiles.log_ratio(fold.held, contract)
    scored = []
    with diary.progress("search", len(chosen)) as advance:
        for number, parameters in chosen:
            pair = quantiles.fit(fold.fit, contract, parameters, seed)
            median, upper = pair.log_ratios(fold.held.inputs)
            median_loss = quantiles.pinball_loss(wanted, median, 0.5)
            upper_loss = quantiles.pinball_loss(wanted, upper, quantiles.UPPER_LEVEL)
            # The upper level's loss is some tenth of the median's; both shall count.
            scored.append(Trial(number, parameters, median_loss + 10.0 * upper_loss, median_loss, upper_loss))
            advance()
    return scored


def write(results: Path, scored: list[Trial], trials: int) -> None:
    """Write a shard's results."""
    artifacts.write_json(results, {"trials": trials, "scored": [asdict(trial) for trial in scored]})


def best_of(shards: list[Path]) -> tuple[Trial, list[Trial]]:
    """The best trial and all of them in order. Raises ContractViolation when a trial is missing or doubled."""
    found: list[Trial] = []
    wanted = 0
    for shard in shards:
        content = artifacts.read_json(shard)
        try:
            wanted = content["trials"]
            found += [Trial(**trial) for trial in content["scored"]]
        except (KeyError, TypeError) as error:
            raise ContractViolation(shard, "trials", f"not of this step: {error}", "results of `search`") from error
    found.sort(key=lambda trial: trial.index)
    if [trial.index for trial in found] != list(range(wanted)) or not found:
        raise ContractViolation(
            shards[0], "trials", [trial.index for trial in found], f"each of 0 to {wanted - 1} once"
        )
    return min(found, key=lambda trial: (trial.score, trial.index)), found


def _some_drives(rows: Rows, seed: int) -> Rows:
    drives, counts = np.unique(rows.drive, return_counts=True)
    order = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(102,))).permutation(drives.size)
    enough = int(np.searchsorted(np.cumsum(counts[order]), SCORING_ROWS)) + 1
    return rows.take(np.isin(rows.drive, drives[order[: max(enough, 2)]]))


def _parse_shard(shard: str) -> tuple[int, int]:
    index, _, count = shard.partition("/")
    if not (index.isdigit() and count.isdigit() and int(index) < int(count)):
        raise UsageError(f"--shard: found {shard!r}, allowed i/n with 0 <= i < n")
    return int(index), int(count)


def _plain(value: Any) -> int | float:
    return int(value) if isinstance(value, (int, np.integer)) else float(value)
