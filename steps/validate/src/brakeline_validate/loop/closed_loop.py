"""The closed loop as the gate runs it: every scenario with the model and, on the same seeds, with the champion."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stepkit.contract import Contract
from stepkit.errors import UsageError

from brakeline_validate.candidate import FLAG, MEDIAN, UPPER, Candidate
from brakeline_validate.gates import Figures
from brakeline_validate.loop import drive, outcome
from brakeline_validate.loop.drive import Runs
from brakeline_validate.loop.negative import NEGATIVE
from brakeline_validate.loop.outcome import ONE_SIDED_Z, Outcome, Trace
from brakeline_validate.loop.policy import Answers, Policy, TwoStages
from brakeline_validate.loop.positive import POSITIVE
from brakeline_validate.loop.scenario import Scenario

SCENARIOS: tuple[Scenario, ...] = POSITIVE + NEGATIVE
# Threads beyond two would wait for the interpreter.
_MOST_THREADS = 2


@dataclass(frozen=True)
class Asked:
    """A candidate as the loop asks it."""

    candidate: Candidate

    @property
    def contract(self) -> Contract:
        """What its rows are."""
        return self.candidate.contract

    def decide(self, inputs: NDArray[np.float32]) -> Answers:
        """What it says of rows (N, F)."""
        said = self.candidate.ask(inputs)
        return Answers(said[MEDIAN], said[UPPER], said[FLAG] != 0.0)


@dataclass(frozen=True)
class Driven:
    """All scenarios with one model: outcomes in the table's order, and the runs that people want to see."""

    policy: str
    outcomes: list[Outcome]
    traces: list[Trace] = field(default_factory=list)

    def facts(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "policy": self.policy,
            "beyond": outcome.total(self.outcomes, "beyond", positive=True).facts(),
            "nuisance": outcome.total(self.outcomes, "nuisance", positive=False).facts(),
            "nuisance_per_1000_km": outcome.writable(outcome.nuisance_per_1000_km(self.outcomes)),
            "energy_left_outside": outcome.writable(outcome.energy_left(self.outcomes)),
            "scenarios": {each.scenario.name: each.facts() for each in self.outcomes},
        }


def chosen(only: str, runs: int) -> tuple[Scenario, ...]:
    """The scenarios whose name holds `only`, each with so many runs. Raises UsageError where there is none."""
    found = tuple(replace(one, runs=runs) for one in SCENARIOS if only in one.name)
    if not found:
        raise UsageError(f"--only: found {only!r}, allowed a part of a name that --list-scenarios prints", found=only)
    return found


def drive_all(
    model: Candidate,
    seed: int,
    policy: Callable[[int], Policy] = TwoStages,
    scenarios: Sequence[Scenario] = SCENARIOS,
    advance: Callable[[], None] = lambda: None,
) -> Driven:
    """Drive the scenarios; the same model, policy and seed give the same figures on any number of cores."""
    asked = Asked(model)

    def of_group(group: Sequence[Scenario]) -> list[Runs]:
        runs = drive.drive(group, asked, policy, seed)
        advance()
        return runs

    with ThreadPoolExecutor(min(_MOST_THREADS, len(os.sched_getaffinity(0)))) as pool:
        driven = [runs for group in pool.map(of_group, drive.groups(scenarios)) for runs in group]
    return Driven(policy(0).name, [outcome.outcome(runs) for runs in driven], outcome.telling(driven))


def figures(driven: Driven, champion: Driven | None) -> Figures:
    """What the gates judge."""
    found, outcomes = Figures(), driven.outcomes
    found.add("hits beyond the allowed", outcome.total(outcomes, "beyond", positive=True).upper)
    found.add("hits, worst scenario", *outcome.worst(outcomes, "beyond"))
    found.add("late warnings, worst scenario", *outcome.worst(outcomes, "unwarned"))
    found.add("energy left beyond training", outcome.energy_left(outcomes))
    found.add("needless braking", outcome.total(outcomes, "nuisance", positive=False).upper)
    found.add("needless braking, worst scenario", *outcome.worst(outcomes, "nuisance"))
    for gate, name, positive in (
        ("hits more than champion", "beyond", True),
        ("brakes for nothing more than champion", "nuisance", False),
    ):
        if champion is None:
            found.add(gate, 0.0, "no champion to drive")
        else:
            found.add(gate, _more(driven, champion, name, positive=positive))
    return found


def _more(driven: Driven, champion: Driven, name: str, *, positive: bool) -> float:
    """How much more often than the champion's, at the upper end of the difference's interval."""
    ours, theirs = (outcome.total(each.outcomes, name, positive=positive) for each in (driven, champion))
    if not ours.runs or ours.runs != theirs.runs:
        return float("nan")
    # As if the runs were drawn anew for each of them: they are the same, so the difference is surer than this says.
    spread = (ours.value * (1.0 - ours.value) + theirs.value * (1.0 - theirs.value)) / ours.runs
    return max(ours.value - theirs.value + ONE_SIDED_Z * float(np.sqrt(spread)), 0.0)
