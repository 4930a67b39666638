"""Examine a model on a holdout: every figure that the gates judge and the dossier shows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from stepkit import artifacts, diary, tables
from stepkit.contract import Contract
from stepkit.verdict import MODEL_FILE

from brakeline_validate import (
    comparison,
    cost,
    coverage,
    failsafe,
    faults,
    gates,
    limit,
    metrics,
    outputs,
    physical,
    readings,
    seeds,
    slices,
    sweeps,
)
from brakeline_validate.candidate import FLAG, MEDIAN, NOVELTY, UPPER, Candidate, Vector
from brakeline_validate.faults import UnderFault
from brakeline_validate.gates import Figures, Judged
from brakeline_validate.intervals import Share
from brakeline_validate.limit import Beside, Floor
from brakeline_validate.loop import closed_loop, drive
from brakeline_validate.loop.closed_loop import Driven
from brakeline_validate.loop.scenario import Scenario
from brakeline_validate.metrics import Score

# Gates of one reading each, by its role.
_MONOTONE = {
    "speed": "shrinks with speed",
    "friction": "grows with friction",
    "grade": "shrinks downhill",
    "mass": "shrinks with load",
}
_SPREAD_ROWS = 10_000


@dataclass(frozen=True)
class Holdout:
    """Rows the model has never seen: inputs (N, F), distances [m], truths by name, numbers of drives, each (N,)."""

    sha256: str
    contract: Contract
    inputs: NDArray[np.float32]
    distance_m: NDArray[np.float64]
    truths: dict[str, NDArray[np.str_]]
    drive: NDArray[np.int64]

    @classmethod
    def read(cls, folder: Path) -> "Holdout":
        """Read and check a holdout. Raises UnreadableArtifact, ContractViolation."""
        table, contract = tables.read_table(folder)
        inputs = np.ascontiguousarray(table.select(contract.names).to_numpy().astype(np.float32, copy=False))
        truths = {name: table[name].to_numpy().astype(str) for name in contract.truths if name in table.columns}
        distance = table[contract.target.name].to_numpy().astype(np.float64)
        drive = table[contract.group].to_numpy()
        return cls(artifacts.sha256_of(folder), contract, inputs, distance, truths, drive)

    def first(self, rows: int) -> "Holdout":
        """Its first rows alone."""
        truths = {name: values[:rows] for name, values in self.truths.items()}
        return Holdout(
            self.sha256, self.contract, self.inputs[:rows], self.distance_m[:rows], truths, self.drive[:rows]
        )


@dataclass
class Findings:
    """What the examination found."""

    judged: list[Judged]
    overall: Score | None = None
    champion: Score | None = None
    observable: dict[str, Score] = field(default_factory=dict)
    by_truth: dict[str, Score] = field(default_factory=dict)
    beside_limit: dict[str, Beside] = field(default_factory=dict)
    under_fault: dict[str, UnderFault] = field(default_factory=dict)
    driven: Driven | None = None
    champion_driven: Driven | None = None
    seed: int = 0
    missed: dict[str, Share] = field(default_factory=dict)  # of each observable slice, with its interval

    @property
    def passed(self) -> bool:
        """Whether there are gates and all of them passed."""
        return bool(self.judged) and all(judged.passed for judged in self.judged)


def examine(
    model: Candidate,
    champion: Candidate | None,
    holdout: Holdout,
    floor: Path | None = None,
    faulty: Path | None = None,
    scenarios: Sequence[Scenario] = (),
) -> Findings:
    """Measure everything and judge it. A model for another contract fails without being asked.

    Without the folders of `floor` and `faulty`, or without `scenarios`, their gates have no figure, and fail.
    """
    if model.contract != holdout.contract:
        differences = sum(a != b for a, b in zip(model.contract.features, holdout.contract.features, strict=False))
        return Findings([Judged(gates.CONTRACT, float(max(differences, 1)), "the model's contract is another")])
    seed = seeds.seed_of(model.sha256, holdout.sha256)
    groups = len(list(drive.groups(scenarios)))
    with diary.progress("validate", 6 + groups * (2 if champion else 1)) as advance:
        answers = model.ask(holdout.inputs, (MEDIAN, UPPER, FLAG, NOVELTY))
        overall = metrics.score(holdout.distance_m, answers)
        observable = metrics.by_slice(holdout.distance_m, answers, slices.observable(holdout.inputs, holdout.contract))
        findings = Findings([], overall, None, observable, _by_truth(holdout, answers), seed=seed)
        advance()
        figures = _shown(holdout, answers, findings)
        figures.update(_artifact(model))
        advance()
        figures.update(_along_readings(model, holdout, seed))
        advance()
        figures.update(_at_the_edges(model, holdout, seed))
        advance()
        beside = comparison.compare(champion, holdout.contract, holdout.inputs, holdout.distance_m, answers)
        findings.champion = beside.champion
        figures.add("worse than champion", beside.worse, beside.note)
        figures.add("wider than champion", beside.wider, beside.note)
        advance()
        if floor:
            known = Floor.read(floor, holdout.distance_m)
            findings.beside_limit = limit.beside(known, holdout.distance_m, answers, holdout.truths["surface"])
            figures.update(_against_limit(findings.beside_limit["all"]))
        if faulty:
            findings.under_fault = faults.examine(model, faulty)
            beyond = faults.beyond(findings.under_fault)
            note = "; ".join([", ".join(beyond)] * bool(beyond) + faults.left_out(findings.under_fault))
            figures.add("faults beyond their limit", len(beyond), note)
        advance()
        if scenarios:
            findings.driven = closed_loop.drive_all(model, seed, scenarios=scenarios, advance=advance)
            if champion:
                findings.champion_driven = closed_loop.drive_all(champion, seed, scenarios=scenarios, advance=advance)
            figures.update(closed_loop.figures(findings.driven, findings.champion_driven))
    findings.judged = [Judged(gates.CONTRACT, 0.0), *gates.judge(figures.values, figures.notes)]
    return findings


def _shown(holdout: Holdout, answers: dict[str, Vector], findings: Findings) -> Figures:
    """What the measured stops show of bound and median."""
    assert findings.overall is not None
    measured = (holdout.distance_m, answers, holdout.drive)
    asked = (holdout.inputs, holdout.contract)
    figures = coverage.overall(findings.overall, *measured)
    findings.missed = coverage.missed_in(slices.observable(*asked), *measured)
    figures.update(coverage.in_slices(findings.observable, slices.observable(*asked), *measured))
    figures.update(coverage.in_pairs(slices.pairs(*asked), *measured))
    figures.add("impossible answers", physical.impossible_share(answers))
    figures.add("needless flags", failsafe.needless_flags(answers, holdout.truths.get("fault")))
    figures.add("needless novelty", readings.needless_novelty(answers))
    return figures


def _artifact(model: Candidate) -> Figures:
    """What the artifact itself shows, before anything is asked that was not foreseen."""
    figures, counted = Figures(), cost.count(model.folder / MODEL_FILE)
    figures.add("operators", len(counted.strangers), ", ".join(counted.strangers))
    figures.add("outputs lacking", *outputs.lacking(model))
    figures.add("parity", physical.parity(model))
    figures.add("nodes", counted.nodes)
    figures.add("comparisons", counted.comparisons)
    figures.add("size", counted.size_bytes)
    figures.add("artifact size", counted.artifact_bytes)
    return figures


def _along_readings(model: Candidate, holdout: Holdout, seed: int) -> Figures:
    """How the bound goes with the readings that physics orders."""
    figures, found = Figures(), []
    for role, gate in _MONOTONE.items():
        found.append(sweeps.sweep(model, holdout.inputs, role, seeds.generator(seed, f"sweep {role}")))
        figures.add(gate, found[-1].against)
    deepest = max(found, key=lambda swept: math.inf if math.isnan(swept.deepest) else swept.deepest)
    figures.add("deepest fall", deepest.deepest, deepest.where)
    deaf = [swept for swept in found if swept.is_deaf]
    figures.add("deaf readings", len(deaf), ", ".join(f"{swept.role}: {swept.response:.3g}" for swept in deaf))
    rows = sweeps.spread(holdout.contract, holdout.inputs, seeds.generator(seed, "spread"), _SPREAD_ROWS)
    figures.add("beats physics", physical.beats_physics(model, rows))
    return figures


def _at_the_edges(model: Candidate, holdout: Holdout, seed: int) -> Figures:
    """What the model makes of readings that are broken, inconsistent, missing or new, and of odd company."""
    figures, inputs, distance = Figures(), holdout.inputs, holdout.distance_m
    rng = {name: seeds.generator(seed, name) for name in ("unfit", "inconsistent", "missing", "novel", "outputs")}
    figures.add("fail-safe missed", failsafe.unsafe_answers(model, inputs, distance, rng["unfit"]))
    believed = failsafe.inconsistent_believed(model, inputs, distance, rng["inconsistent"])
    figures.add("inconsistent readings believed", *believed)
    unanswered, shorter, without = readings.missing(model, inputs, rng["missing"])
    figures.add("missing readings unanswered", unanswered)
    figures.add("missing readings shorten", shorter, without)
    figures.add("novelty missed", *readings.novelty_missed(model, inputs, rng["novel"]))
    figures.add("unsteady answers", *outputs.unsteady(model, inputs, rng["outputs"]))
    figures.add("deceleration off", outputs.deceleration_off(model, inputs, rng["outputs"]))
    figures.add("required deceleration off", outputs.required_off(model, inputs, rng["outputs"]))
    return figures


def _against_limit(overall: Beside) -> Figures:
    """NaN where the floor has fewer rows than show anything."""
    figures, few = Figures(), overall.rows < limit.LEAST_ROWS
    note = f"the floor has {overall.rows} rows, and {limit.LEAST_ROWS} are needed" if few else ""
    for gate, value in (
        ("behind the limit", 1.0 - overall.efficiency_high),
        ("behind the limit, relative", 1.0 - overall.relative_efficiency_high),
        ("better than possible", overall.efficiency_low - 1.0),
    ):
        figures.add(gate, float("nan") if few else max(value, 0.0), note)
    return figures


def _by_truth(holdout: Holdout, answers: dict[str, NDArray[np.float64]]) -> dict[str, Score]:
    every = (
        (f"{name}: {value}", holdout.truths[name] == value)
        for name in holdout.truths
        for value in sorted(set(holdout.truths[name]))
    )
    return metrics.by_slice(holdout.distance_m, {key: answers[key] for key in (MEDIAN, UPPER)}, every)
