"""The table of trials that train leaves beside the model: how its settings were found, and what that gained."""

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepkit import artifacts
from stepkit.errors import UnreadableArtifact

TRIALS_FILE = "trials.json"
SCHEMA_VERSION = 1
# A long search fills no page: so many of a rung's best are shown, and always the defaults and what was chosen.
MOST_SHOWN = 20


@dataclass(frozen=True)
class Trial:
    """One setting with its mean score; `gain` is the share by which it beats the defaults on the same divisions."""

    rank: int
    index: int
    parameters: Mapping[str, Any]
    mean: float
    sd: float | None
    gain: float
    gain_sd: float | None
    chosen: bool

    @property
    def is_default(self) -> bool:
        """Whether these are the settings that the search began with."""
        return self.index == 0


@dataclass(frozen=True)
class Rung:
    """One round of the search, its trials by rank."""

    name: str
    rows: int
    divisions: int
    trials: list[Trial]

    @property
    def shown(self) -> list[Trial]:
        """The trials that a page has room for."""
        return [one for one in self.trials if one.rank <= MOST_SHOWN or one.is_default or one.chosen]

    @property
    def names(self) -> list[str]:
        """The names of the parameters."""
        return sorted({name for one in self.trials for name in one.parameters})

    @property
    def best(self) -> Trial:
        """The first by rank."""
        return self.trials[0]


def read(model: Path) -> list[Rung]:
    """The rounds of the search for a model, in their order; none where its maker left no table.

    Raises UnreadableArtifact.
    """
    file = model / TRIALS_FILE
    if not file.exists():
        return []
    content = artifacts.read_json(file)
    try:
        return _parse(content)
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        expected = f"table of trials of schema version {SCHEMA_VERSION}"
        raise UnreadableArtifact(file, expected, f"{type(error).__name__}: {error}") from error


def _parse(content: Mapping[str, Any]) -> list[Rung]:
    if content["schema_version"] != SCHEMA_VERSION:
        raise ValueError(f"schema version {content['schema_version']}")
    return [_rung(rung) for rung in content["rungs"]]


def _rung(rung: Mapping[str, Any]) -> Rung:
    (defaults,) = (_scores(one) for one in rung["trials"] if one["index"] == 0)
    trials = [_trial(one, defaults) for one in rung["trials"]]
    if [one.rank for one in trials] != list(range(1, len(trials) + 1)):
        raise ValueError(f"ranks of {rung['name']} are not 1 to {len(trials)}")
    rows = max(int(one["rows"]) for one in rung["trials"])
    return Rung(str(rung["name"]), rows, int(rung["divisions"]), trials)


def _trial(one: Mapping[str, Any], defaults: list[float]) -> Trial:
    scores = _scores(one)
    gains = [(before - after) / before for before, after in zip(defaults, scores, strict=True)]
    return Trial(
        rank=int(one["rank"]),
        index=int(one["index"]),
        parameters=dict(one["parameters"]),
        mean=statistics.fmean(scores),
        sd=_sd(scores),
        gain=statistics.fmean(gains),
        gain_sd=_sd(gains),
        chosen=one["chosen"] is True,
    )


def _scores(one: Mapping[str, Any]) -> list[float]:
    scores = [float(score) for score in one["scores"]]
    if not scores or not all(math.isfinite(score) and score > 0 for score in scores):
        raise ValueError(f"trial {one['index']} has no scores above 0")
    return scores


def _sd(values: list[float]) -> float | None:
    return statistics.stdev(values) if len(values) > 1 else None
