"""Examine a model on a holdout: every figure that the gates judge and the dossier shows."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stepkit import artifacts, diary, tables
from stepkit.contract import Contract
from stepkit.verdict import MODEL_FILE, SCHEMA_VERSION

from brakeline_validate import GATE_VERSION, comparison, cost, faults, gates, limit, metrics, physical, slices
from brakeline_validate.attempts import Attempts
from brakeline_validate.candidate import MEDIAN, UPPER, Candidate
from brakeline_validate.faults import UnderFault
from brakeline_validate.gates import Judged
from brakeline_validate.limit import Beside, Floor
from brakeline_validate.metrics import Score

# Rows come in drives of some ten alike: a share of 1 in 100 cannot be told from fewer rows than this.
LEAST_SLICE_ROWS = 1_500
LEAST_ROWS = 20_000


@dataclass(frozen=True)
class Holdout:
    """Rows the model has never seen: inputs (N, F), distances [m] (N,), truths by name (N,)."""

    sha256: str
    contract: Contract
    inputs: NDArray[np.float32]
    distance_m: NDArray[np.float64]
    truths: dict[str, NDArray[np.str_]]

    @classmethod
    def read(cls, folder: Path) -> "Holdout":
        """Read and check a holdout. Raises UnreadableArtifact, ContractViolation."""
        table, contract = tables.read_table(folder)
        inputs = np.ascontiguousarray(table.select(contract.names).to_numpy().astype(np.float32, copy=False))
        truths = {name: table[name].to_numpy().astype(str) for name in contract.truths if name in table.columns}
        distance = table[contract.target.name].to_numpy().astype(np.float64)
        return cls(artifacts.sha256_of(folder), contract, inputs, distance, truths)


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
    attempts: Attempts | None = None

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
) -> Findings:
    """Measure everything and judge it. A model for another contract fails without being asked.

    Without the folders of `floor` and `faulty` their gates have no figure, and fail.
    """
    if model.contract != holdout.contract:
        differences = sum(a != b for a, b in zip(model.contract.features, holdout.contract.features, strict=False))
        return Findings([Judged(gates.CONTRACT, float(max(differences, 1)), "the model's contract is another")])
    with diary.progress("validate", 6) as advance:
        answers = model.ask(holdout.inputs)
        overall = metrics.score(holdout.distance_m, answers)
        observable = metrics.by_slice(holdout.distance_m, answers, slices.observable(holdout.inputs, holdout.contract))
        advance()
        values, notes = _accuracy(overall, observable)
        values |= {
            "parity": physical.parity(model),
            "impossible answers": physical.impossible_share(answers),
            "needless flags": physical.needless_flags(answers, holdout.truths.get("fault")),
        }
        advance()
        values["shrinks with speed"] = physical.shrinks_with_speed(model, holdout.inputs)
        values["grows with friction"] = physical.grows_with_friction(model, holdout.inputs)
        advance()
        values["fail-safe missed"] = physical.unsafe_answers(model, holdout.inputs, holdout.distance_m)
        counted = cost.count(model.folder / MODEL_FILE)
        values |= {"nodes": counted.nodes, "comparisons": counted.comparisons, "size": counted.size_bytes}
        advance()
        beside = comparison.compare(champion, holdout.contract, holdout.inputs, holdout.distance_m, answers)
        values["worse than champion"], notes["worse than champion"] = beside.worse, beside.note
        advance()
        findings = Findings([], overall, beside.champion, observable, _by_truth(holdout, answers))
        if floor:
            known = Floor.read(floor, holdout.distance_m)
            findings.beside_limit = limit.beside(known, holdout.distance_m, answers, holdout.truths["surface"])
            values |= _against_limit(findings.beside_limit["all"])
        if faulty:
            findings.under_fault = faults.examine(model, faulty)
            beyond = faults.beyond(findings.under_fault)
            values["faults beyond their limit"], notes["faults beyond their limit"] = len(beyond), ", ".join(beyond)
        advance()
    findings.judged = [Judged(gates.CONTRACT, 0.0), *gates.judge(values, notes)]
    return findings


def verdict(findings: Findings, model: Candidate, champion: Candidate | None, holdout: Holdout) -> dict[str, Any]:
    """The verdict as JSON: the same model, champion, attempts, holdout and gate version give the same bytes."""
    return {
        "schema_version": SCHEMA_VERSION,
        "gate_version": GATE_VERSION,
        "passed": findings.passed,
        "model_sha256": model.sha256,
        "champion_sha256": champion.sha256 if champion else None,
        "holdout_sha256": holdout.sha256,
        "contract_version": holdout.contract.version,
        "training": dict(model.training),
        "attempts": findings.attempts.facts() if findings.attempts else None,
        "gates": [judged.facts() | {"name": judged.gate.name} for judged in findings.judged],
        "overall": findings.overall.facts() if findings.overall else None,
        "observable": {name: _writable(score) for name, score in findings.observable.items()},
        "by_truth": {name: _writable(score) for name, score in findings.by_truth.items()},
        "beside_limit": limit.facts(findings.beside_limit),
        "under_fault": {
            name: {**_writable(under.score), "limit": under.limit} for name, under in findings.under_fault.items()
        },
    }


def _accuracy(overall: Score, observable: dict[str, Score]) -> tuple[dict[str, float], dict[str, str]]:
    judged = {name: score for name, score in observable.items() if score.rows >= LEAST_SLICE_ROWS}
    worst = max(judged, key=lambda name: judged[name].missed_share, default=None)
    skipped = [name for name, score in observable.items() if score.rows < LEAST_SLICE_ROWS]
    note = f"{worst}" + (f"; too few rows to judge: {', '.join(skipped)}" if skipped else "")
    values = {
        "rows lacking": float(max(LEAST_ROWS - overall.rows, 0)),
        "bound missed": overall.missed_share,
        "bound missed, worst slice": judged[worst].missed_share if worst else float("nan"),
        "bound far missed": overall.far_missed_share,
        "bound width": overall.width,
        "relative error": overall.relative_error,
    }
    return values, {"bound missed, worst slice": note}


def _against_limit(overall: Beside) -> dict[str, float]:
    return {
        "behind the limit": max(1.0 - overall.efficiency_high, 0.0),
        "better than possible": max(overall.efficiency_low - 1.0, 0.0),
    }


def _by_truth(holdout: Holdout, answers: dict[str, NDArray[np.float64]]) -> dict[str, Score]:
    every = (
        (f"{name}: {value}", holdout.truths[name] == value)
        for name in holdout.truths
        for value in sorted(set(holdout.truths[name]))
    )
    return metrics.by_slice(holdout.distance_m, {key: answers[key] for key in (MEDIAN, UPPER)}, every)


def _writable(score: Score) -> dict[str, float | None]:
    return {name: None if math.isnan(value) else value for name, value in score.facts().items()}


def headline(findings: Findings) -> dict[str, float]:
    """The figures that a dashboard compares between runs."""
    if findings.overall is None:
        return {"passed": 0.0}
    facts = findings.overall.facts()
    if findings.beside_limit:
        facts["efficiency"] = findings.beside_limit["all"].facts()["efficiency"]
    return {"passed": float(findings.passed), **{name: float(value) for name, value in facts.items()}}
