"""A model under each fault of the sensors: what it does to error and coverage, each held to a limit of its own."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from stepkit import tables

from brakeline_validate import metrics
from brakeline_validate.candidate import FLAG, Candidate, Vector
from brakeline_validate.metrics import Score

NONE = "none"
# Most of the stops that may be longer than their bound while the fault lasts. A model that sees one moment cannot know
# that a reading is wrong but possible: these say what is known and accepted, and that it may not get worse.
LIMITS = {
    "speed_stuck": 0.35,
    "speed_spikes": 0.55,
    "speed_bias_step": 0.09,
    "friction_stuck": 0.40,
    "friction_spikes": 0.22,
    "friction_bias_step": 0.13,
    "friction_drift": 0.05,
    "grade_bias_step": 0.06,
    "air_temperature_bias_step": 0.06,
    "rain_stuck": 0.05,
}
OTHER_LIMIT = 0.03
# Fewer rows cannot tell 3 % from 1 %.
LEAST_ROWS = 300


@dataclass(frozen=True)
class UnderFault:
    """Scores of the rows that have one fault, and the share of them that raised the flag."""

    score: Score
    flagged_share: float
    limit: float

    @property
    def is_beyond(self) -> bool:
        """Whether the bound was missed more often than the fault's limit allows, on enough rows to say so."""
        return self.score.rows >= LEAST_ROWS and self.score.missed_share > self.limit


def examine(model: Candidate, faulty: Path) -> dict[str, UnderFault]:
    """Score a model on faulty drives, by fault; `none` are their moments before it.

    Raises UnreadableArtifact, ContractViolation.
    """
    table, contract = tables.read_table(faulty)
    inputs = np.ascontiguousarray(table.select(contract.names).to_numpy().astype(np.float32, copy=False))
    distance = table[contract.target.name].to_numpy().astype(np.float64)
    fault = table["fault"].to_numpy().astype(str)
    answers = model.ask(inputs)
    return {name: _under(name, distance, answers, fault) for name in sorted(set(fault), key=lambda n: (n != NONE, n))}


def beyond(found: dict[str, UnderFault]) -> list[str]:
    """Faults under which the bound is missed more often than allowed."""
    return [name for name, under in found.items() if under.is_beyond]


def _under(name: str, distance_m: Vector, answers: dict[str, Vector], fault: np.ndarray) -> UnderFault:
    rows = fault == name
    score = metrics.score(distance_m, answers, rows)
    return UnderFault(score, float(answers[FLAG][rows].mean()), LIMITS.get(name, OTHER_LIMIT))
