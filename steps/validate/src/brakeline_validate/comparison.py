"""The model beside the live one, on the same rows, also where that was made for an older version of the contract."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from stepkit.contract import Contract, differences

from brakeline_validate import metrics
from brakeline_validate.candidate import Candidate, Vector
from brakeline_validate.metrics import Score

# Rows come in drives of some ten alike: the mean error of fewer says more of the few than of the models.
LEAST_ROWS = 1_500

Inputs = NDArray[np.float32]


@dataclass(frozen=True)
class Comparison:
    """Both models' scores on the rows that both can be asked about, if there are any, and what to know of it."""

    note: str
    model: Score | None = None
    champion: Score | None = None

    @property
    def worse(self) -> float:
        """How much larger the model's relative error is than the champion's; 0 where there is no champion to ask."""
        if self.model is None or self.champion is None:
            return 0.0
        return max(self.model.relative_error / self.champion.relative_error - 1.0, 0.0)

    @property
    def wider(self) -> float:
        """How much wider the model's bound is, as a share of the median, than the champion's; 0 as above."""
        if self.model is None or self.champion is None:
            return 0.0
        return max(self.model.width / self.champion.width - 1.0, 0.0)


def compare(
    champion: Candidate | None, contract: Contract, inputs: Inputs, distance_m: Vector, answers: dict[str, Vector]
) -> Comparison:
    """Score the model's answers (N,) and the champion's for rows (N, F) of a contract.

    A champion for an older version is asked with the columns it knows, on the rows that lie in its own ranges.
    """
    if champion is None:
        return Comparison("no champion yet")
    if champion.contract == contract:
        of_champion = metrics.score(distance_m, champion.ask(inputs))
        return Comparison("", metrics.score(distance_m, answers), of_champion)
    versions = f"champion of contract {champion.contract.version}, holdout of {contract.version}"
    if broken := differences(champion.contract, contract):
        return Comparison(f"not compared: {versions}, which is no evolution of it: {'; '.join(broken)}")
    known = inputs[:, [contract.names.index(name) for name in champion.contract.names]]
    rows = _fit(known, champion.contract)
    shared = f"{int(rows.sum())} of {rows.size} rows that lie in the older ranges"
    if rows.sum() < LEAST_ROWS:
        return Comparison(f"not compared: {versions}, and the {shared} are fewer than {LEAST_ROWS}")
    told = champion.ask(np.ascontiguousarray(known[rows]))
    note = f"{versions}; both judged on the {shared}"
    return Comparison(note, metrics.score(distance_m, answers, rows), metrics.score(distance_m[rows], told))


def _fit(inputs: Inputs, contract: Contract) -> NDArray[np.bool_]:
    """Which rows (N, F) keep a contract."""
    fits = np.ones(inputs.shape[0], dtype=bool)
    for column, feature in zip(inputs.T, contract.features, strict=True):
        inside = (column >= np.float32(feature.low)) & (column <= np.float32(feature.high))
        fits &= inside | np.isnan(column) if feature.missing_allowed else inside
    return fits
