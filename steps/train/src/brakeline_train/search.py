"""Search in rungs: a seeded list of hyper-parameters, all scored on few rows, the best of them on more and again.

Each shard of a rung scores its slice of the rung's list; no state, no database. Drives that `fit` holds back for
calibration take no part: a bound is only sound on rows that chose nothing.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
from scipy.stats import loguniform, randint
from sklearn.model_selection import ParameterSampler
from stepkit import diary
from stepkit.contract import Contract
from stepkit.errors import UsageError

from brakeline_train import quantiles
from brakeline_train.journal import Journal
from brakeline_train.rows import Fold, Rows, divide_by_drive
from brakeline_train.trials import Rung, Trial

# The first rung needs an order, not the last digit. The second must tell settings that are close: their scores differ
# by about as much as those of one setting from division to division, so it takes several.
FIRST = Rung("search", rows=20_000, divisions=1)
SECOND = Rung("refine", rows=60_000, divisions=3)
# What is best on few rows is too small for many: of a large dataset the second rung takes this share, up to a limit.
_SHARE_OF_ROWS, _MOST_ROWS = 1 / 3, 300_000

# A gate limits trees x depth to 12,000: the dearest corner here needs 8,400 on 150,000 rows.
_SPACE = {
    "max_iter": randint(120, 320),
    "max_leaf_nodes": randint(24, 97),
    "learning_rate": loguniform(0.04, 0.25),
    "min_samples_leaf": randint(15, 120),
    "l2_regularization": loguniform(1e-3, 30.0),
}

Setting = tuple[int, dict[str, Any]]


def parameter_list(trials: int, seed: int) -> list[Setting]:
    """The whole list by index, the defaults first; the same for every shard."""
    drawn = ParameterSampler(_SPACE, max(trials - 1, 0), random_state=seed)
    settings = [{name: _plain(value) for name, value in sorted(drawn_one.items())} for drawn_one in drawn]
    return list(enumerate([quantiles.DEFAULTS, *({**quantiles.DEFAULTS, **one} for one in settings)][:trials]))


def settings_of(trials: Sequence[Trial]) -> list[Setting]:
    """The settings of trials that go on to the next rung."""
    return [(trial.index, trial.parameters) for trial in trials]


def second_rung(settings: Sequence[Setting], rows: int) -> Rung:
    """How closely finalists are looked at, of so many rows. A lone one wins whatever its score: a glance is enough."""
    if len(settings) == 1:
        return replace(FIRST, name=SECOND.name)
    return replace(SECOND, rows=max(SECOND.rows, min(round(_SHARE_OF_ROWS * rows), _MOST_ROWS)))


def slice_of(settings: Sequence[Setting], shard: str) -> list[Setting]:
    """What shard `i/n` scores: `[i::n]` of the list."""
    index, _, count = shard.partition("/")
    if not (index.isdigit() and count.isdigit() and int(index) < int(count)):
        raise UsageError(f"--shard: found {shard!r}, allowed i/n with 0 <= i < n")
    return list(settings[int(index) :: int(count)])


def score(
    rows: Rows, contract: Contract, rung: Rung, settings: Sequence[Setting], seed: int, journal: Journal
) -> list[Trial]:
    """Score settings as closely as the rung says; those that the journal holds are not scored again."""
    known = {trial.index: trial for trial in (Trial(**entry) for entry in journal.found)}
    folds = divisions(rows, rung, seed)
    scored = []
    with diary.progress(rung.name, len(settings)) as advance:
        for number, parameters in settings:
            if number not in known:
                known[number] = _score_one(number, parameters, folds, contract, seed)
                journal.add(asdict(known[number]))
            scored.append(known[number])
            advance()
    return scored


def divisions(rows: Rows, rung: Rung, seed: int) -> list[Fold]:
    """The rung's divisions by drive, each of drives of its own choice; none has a drive that calibration will use."""
    learnable = divide_by_drive(rows, seed).fit
    seeds = [_seed_of_division(seed, rung, number) for number in range(rung.divisions)]
    return [divide_by_drive(_some_drives(learnable, rung.rows, own), own) for own in seeds]


def _score_one(number: int, parameters: dict[str, Any], folds: list[Fold], contract: Contract, seed: int) -> Trial:
    medians, uppers = [], []
    for fold in folds:
        wanted = quantiles.log_ratio(fold.held, contract)
        median, upper = quantiles.fit(fold.fit, contract, parameters, seed).log_ratios(fold.held.inputs)
        medians.append(quantiles.pinball_loss(wanted, median, 0.5))
        uppers.append(quantiles.pinball_loss(wanted, upper, quantiles.UPPER_LEVEL))
    # The upper level's loss is some tenth of the median's; both shall count.
    scores = [median + 10.0 * upper for median, upper in zip(medians, uppers, strict=True)]
    rows = max(fold.fit.drive.size + fold.held.drive.size for fold in folds)
    return Trial(number, parameters, rows, scores, medians, uppers)


def _some_drives(rows: Rows, enough_rows: int, seed: int) -> Rows:
    drives, counts = np.unique(rows.drive, return_counts=True)
    order = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(102,))).permutation(drives.size)
    enough = int(np.searchsorted(np.cumsum(counts[order]), enough_rows)) + 1
    return rows.take(np.isin(rows.drive, drives[order[: max(enough, 2)]]))


def _seed_of_division(seed: int, rung: Rung, number: int) -> int:
    return int(np.random.SeedSequence(seed, spawn_key=(103, rung.rows, number)).generate_state(1)[0])


def _plain(value: Any) -> int | float:
    return int(value) if isinstance(value, (int, np.integer)) else float(value)
