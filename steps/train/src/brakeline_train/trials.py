"""The record of a search: trials and their scores, as shards write them, as the next rung reads them, and in the end.

A rung's results carry the whole record of the rung before along, so that nothing is lost on the way to the model.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from stepkit import artifacts
from stepkit.errors import ContractViolation

TRIALS_FILE = "trials.json"
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Rung:
    """How closely trials are looked at: on some `rows`, over so many `divisions` of the data by drive."""

    name: str
    rows: int
    divisions: int


@dataclass(frozen=True)
class Trial:
    """One setting, the rows that it was scored with, and its losses for each division; lower is better."""

    index: int
    parameters: dict[str, Any]
    rows: int
    scores: list[float]
    median_losses: list[float]
    upper_losses: list[float]

    def __post_init__(self) -> None:
        lists = (self.scores, self.median_losses, self.upper_losses)
        numbers = [value for values in lists for value in values]
        if not (isinstance(self.index, int) and isinstance(self.rows, int) and isinstance(self.parameters, dict)):
            raise TypeError(f"trial {self.index!r} is none")
        if not self.scores or not all(isinstance(value, float) and math.isfinite(value) for value in numbers):
            raise TypeError(f"trial {self.index}: scores are no finite numbers")

    @property
    def mean(self) -> float:
        """Mean score over the divisions."""
        return statistics.fmean(self.scores)

    @property
    def sd(self) -> float | None:
        """Standard deviation of the scores; None with a single division."""
        return _sd(self.scores)


@dataclass(frozen=True)
class Table:
    """One rung's record: the seed, the indices of all its trials, those scored, and the rung before."""

    rung: Rung
    seed: int
    wanted: list[int]
    scored: list[Trial]
    earlier: "Table | None" = None

    @property
    def ranked(self) -> list[Trial]:
        """The trials, the best first."""
        return sorted(self.scored, key=lambda trial: (trial.mean, trial.index))

    @property
    def best(self) -> Trial:
        """The trial with the best mean score; of equals, the first."""
        return self.ranked[0]

    @property
    def defaults(self) -> Trial:
        """The trial that the search began with."""
        return next(trial for trial in self.scored if trial.index == 0)

    @property
    def best_score(self) -> float | None:
        """The best mean score so far; None where nothing is scored."""
        return self.best.mean if self.scored else None

    @property
    def drawn(self) -> int:
        """How many settings the search began with."""
        return self.earlier.drawn if self.earlier else len(self.wanted)

    def finalists(self, count: int) -> list[Trial]:
        """The best `count` trials and always the defaults, in the order of their indices."""
        chosen = {trial.index: trial for trial in [*self.ranked[:count], self.defaults]}
        return [chosen[index] for index in sorted(chosen)]


def write(results: Path, part: Table) -> None:
    """Write what one shard scored, as a folder: where it comes from is told beside it."""
    results.mkdir(parents=True, exist_ok=True)
    artifacts.write_json(results / TRIALS_FILE, asdict(part))


def gather(shards: Sequence[Path], seed: int | None = None) -> Table:
    """The whole rung from all of its shards, in any order, trials by index; of this seed, where one is given.

    The seed decides which drives calibrate: trials of another would have been chosen on them. Raises
    UnreadableArtifact; ContractViolation where a trial is missing or doubled, or shards are of different calls.
    """
    parts = [_read(shard) for shard in shards]
    found = sorted((trial for part in parts for trial in part.scored), key=lambda trial: trial.index)
    whole = replace(parts[0], scored=found)
    for shard, part in zip(shards, parts, strict=True):
        if replace(part, scored=found) != whole:
            raise ContractViolation(shard, "trials", "another search than the first shard's", "shards of one search")
    indices = [trial.index for trial in found]
    if indices != whole.wanted or 0 not in indices:
        raise ContractViolation(shards[0], "trials", indices, f"each of {whole.wanted} once")
    if seed is not None and whole.seed != seed:
        raise ContractViolation(shards[0], "seed", whole.seed, f"{seed}, the --seed of this call")
    return whole


def report(table: Table) -> dict[str, Any]:
    """The whole record for people: every rung with ranks, and the best beside the defaults on the same divisions."""
    best, defaults = table.best, table.defaults
    gains = [before - after for before, after in zip(defaults.scores, best.scores, strict=True)]
    return {
        "schema_version": SCHEMA_VERSION,
        "seed": table.seed,
        "rungs": [*([_told(table.earlier, table.wanted)] if table.earlier else []), _told(table, [best.index])],
        "summary": {
            "best": _line(best),
            "defaults": _line(defaults),
            "gain": statistics.fmean(gains),
            "gain_sd": _sd(gains),
        },
    }


def _read(shard: Path) -> Table:
    content = artifacts.read_json(shard / TRIALS_FILE)
    try:
        table = _parse(content)
    except (KeyError, TypeError, ValueError) as error:
        allowed = "results of `search` or `refine`"
        raise ContractViolation(shard, "trials", f"not of this step: {error}", allowed) from error
    return table


def _parse(content: Any) -> Table:
    rung, scored = Rung(**content["rung"]), [Trial(**trial) for trial in content["scored"]]
    if any(len(trial.scores) != rung.divisions for trial in scored):
        raise ValueError(f"not every trial has {rung.divisions} scores")
    earlier = _parse(content["earlier"]) if content["earlier"] is not None else None
    return Table(rung, content["seed"], list(content["wanted"]), scored, earlier)


def _told(table: Table, chosen: list[int]) -> dict[str, Any]:
    """A rung with its trials by rank; `chosen` went on, to the next rung or into the model."""
    told = [
        {
            **_line(trial),
            "rank": rank,
            "rows": trial.rows,
            "scores": trial.scores,
            "median_losses": trial.median_losses,
            "upper_losses": trial.upper_losses,
            "chosen": trial.index in chosen,
        }
        for rank, trial in enumerate(table.ranked, start=1)
    ]
    return {"name": table.rung.name, "divisions": table.rung.divisions, "trials": told}


def _line(trial: Trial) -> dict[str, Any]:
    return {"index": trial.index, "parameters": trial.parameters, "mean": trial.mean, "sd": trial.sd}


def _sd(values: Sequence[float]) -> float | None:
    return statistics.stdev(values) if len(values) > 1 else None
