"""Readings that are not there, and readings that nobody has seen: what the model makes of either."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from stepkit.contract import Contract

from brakeline_validate.candidate import FLAG, MEDIAN, NOVELTY, UPPER, Candidate, Vector

_ROWS = 600
# A score from here on means: unlike anything seen.
NOVEL = 3.0
# Between the outermost reading of the holdout and the end of the contract's range: training has seen more than the
# holdout, but hardly so much more. Where less room than this share of the range is left there is nothing new to see.
_BEYOND_SEEN, _LEAST_ROOM = (0.7, 1.0), 0.15

Inputs = NDArray[np.float32]


def missing(model: Candidate, inputs: Inputs, rng: np.random.Generator) -> tuple[float, float, str]:
    """Answers with readings taken away from rows drawn from inputs (N, F).

    Returns the share of answers that are not finite, ordered and above 0, or are flagged though the whole row was not;
    how much shorter the bound gets on average (of log bounds) where one reading, a random half of them or all are
    gone, at worst; and what was gone.
    """
    wrong, shorter = [], {}
    for name, whole, poorer in _taken_away(model.contract, inputs, rng):
        before, after = model.ask(whole), model.ask(poorer)
        median, upper = after[MEDIAN], after[UPPER]
        possible = np.isfinite(median) & np.isfinite(upper) & (median > 0.0) & (upper >= median)
        # A row that was flagged may stay so: what cannot all be true is not mended by losing yet another reading.
        told = (after[FLAG] == 0.0) | ((before[FLAG] == 1.0) & (after[FLAG] == 1.0))
        wrong.append(float((~(possible & told)).mean()))
        known = (before[FLAG] == 0.0) & possible
        with np.errstate(divide="ignore", invalid="ignore"):
            shorter[name] = float(np.mean(np.log(before[UPPER][known] / upper[known]))) if known.any() else np.nan
    worst = max(shorter, key=lambda name: np.inf if np.isnan(shorter[name]) else shorter[name])
    return float(np.mean(wrong)), max(shorter[worst], 0.0), f"without {worst}"


def _taken_away(contract: Contract, inputs: Inputs, rng: np.random.Generator) -> Iterator[tuple[str, Inputs, Inputs]]:
    """Rows (R, F) as they were and with readings missing, by what is missing."""
    optional = [column for column, feature in enumerate(contract.features) if feature.missing_allowed]
    for column in optional:
        have = np.flatnonzero(~np.isnan(inputs[:, column]))
        if not have.size:
            continue
        whole = inputs[rng.choice(have, _ROWS)]
        poorer = whole.copy()
        poorer[:, column] = np.nan
        yield contract.features[column].role.replace("_", " "), whole, poorer
    whole = inputs[rng.integers(0, len(inputs), _ROWS)]
    some, none = whole.copy(), whole.copy()
    gone = rng.random((_ROWS, len(optional))) < 0.5
    some[:, optional] = np.where(gone, np.nan, some[:, optional])
    none[:, optional] = np.nan
    yield "a half of them", whole, some
    yield "any of them", whole, none


def novelty_missed(model: Candidate, inputs: Inputs, rng: np.random.Generator) -> tuple[float, str]:
    """Share of rows whose score stays below NOVEL although one reading lies far beyond all of inputs (N, F).

    And the readings of which that was so. Both ends of every range count where the contract leaves room there.
    """
    shares, deaf = [], []
    for column, feature in enumerate(model.contract.features):
        seen = inputs[~np.isnan(inputs[:, column]), column]
        for name, outermost, end in (("least", seen.min(initial=np.inf), feature.low),
                                     ("most", seen.max(initial=-np.inf), feature.high)):  # fmt: skip
            room = end - float(outermost)
            if not np.isfinite(room) or abs(room) < _LEAST_ROOM * (feature.high - feature.low):
                continue
            rows = inputs[rng.integers(0, len(inputs), _ROWS // 4)].copy()
            rows[:, column] = outermost + rng.uniform(*_BEYOND_SEEN, len(rows)) * room
            told = model.ask(rows, (NOVELTY,))[NOVELTY]
            shares.append(float((~(told >= NOVEL)).mean()))
            if shares[-1]:
                deaf.append(f"{name} {feature.role.replace('_', ' ')}")
    return (float(np.mean(shares)) if shares else float("nan")), ", ".join(deaf)


def needless_novelty(answers: dict[str, Vector]) -> float:
    """Share of answers to the holdout that score as unlike anything seen, or whose score is no number from 0 on."""
    told = answers[NOVELTY]
    return float((~((told >= 0.0) & (told < NOVEL))).mean())
