"""What an examination comes to, as JSON: the verdict that register and deploy demand, and the dashboard's figures."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stepkit import artifacts
from stepkit.errors import StepError, UnreadableArtifact
from stepkit.verdict import SCHEMA_VERSION, sealed

from brakeline_validate import GATE_VERSION, limit
from brakeline_validate.case import Case
from brakeline_validate.examine import Findings
from brakeline_validate.faults import UnderFault
from brakeline_validate.loop.closed_loop import Driven
from brakeline_validate.metrics import Score, significant


class VerdictDiffers(StepError):
    """The gate says something else of the same artifacts: the verdict was altered, or they are not the same."""

    exit_code = 65

    def __init__(self, file: Path, place: str, found: Any, again: Any) -> None:
        super().__init__(
            f"{file}: {place} is {found!r} in the verdict, and {again!r} when it is given again",
            field=place,
            found=found,
            allowed=again,
        )


def verdict(findings: Findings, case: Case) -> dict[str, Any]:
    """The verdict as JSON: the same model, champion, attempts, holdout and gate version give the same bytes."""
    said = {
        "schema_version": SCHEMA_VERSION,
        "gate_version": GATE_VERSION,
        "passed": findings.passed,
        "model_sha256": case.model.sha256,
        "champion_sha256": case.champion.sha256 if case.champion else None,
        "holdout_sha256": case.holdout.sha256,
        "seed": findings.seed,
        "runs_per_scenario": case.runs,
        "contract_version": case.holdout.contract.version,
        "training": dict(case.model.training),
        "attempts": case.attempts.facts() if case.attempts else None,
        "gates": [judged.facts() | {"name": judged.gate.name} for judged in findings.judged],
        "overall": findings.overall.facts() if findings.overall else None,
        "observable": {name: _writable(score) for name, score in findings.observable.items()},
        "by_truth": {name: _writable(score) for name, score in findings.by_truth.items()},
        "beside_limit": limit.facts(findings.beside_limit),
        "under_fault": {
            name: {**_writable(under.score), **_on_usual_roads(under), "limit": under.limit}
            for name, under in findings.under_fault.items()
        },
        "closed_loop": findings.driven.facts() if findings.driven else None,
        "champion_closed_loop": _short(findings.champion_driven),
    }
    return sealed(said)


def _writable(score: Score) -> dict[str, float | None]:
    return {name: None if math.isnan(value) else value for name, value in score.facts().items()}


def _on_usual_roads(under: UnderFault) -> dict[str, float | None]:
    share = under.on_usual_roads
    told = {"usual_roads_missed": share.value, "usual_roads_low": share.low, "usual_roads_high": share.high}
    return {name: None if math.isnan(value) else significant(value) for name, value in told.items()}


def _short(driven: Driven | None) -> dict[str, Any] | None:
    """The champion's runs in sums: its rows are in the verdict that made it the champion."""
    return {name: value for name, value in driven.facts().items() if name != "scenarios"} if driven else None


def headline(findings: Findings) -> dict[str, float]:
    """The figures that a dashboard compares between runs."""
    if findings.overall is None:
        return {"passed": 0.0}
    facts = findings.overall.facts()
    if findings.beside_limit:
        facts["efficiency"] = findings.beside_limit["all"].facts()["efficiency"]
    if findings.driven:
        told = findings.driven.facts()
        facts |= {"hits_beyond_allowed": told["beyond"]["rate"], "needless_braking": told["nuisance"]["rate"]}
    return {"passed": float(findings.passed), **{name: float(value) for name, value in facts.items()}}


def read(file: Path) -> dict[str, Any]:
    """Read a verdict to replay it. Raises UnreadableArtifact where it is none, or another gate's."""
    content = artifacts.read_json(file)
    expected = f"verdict of gate version {GATE_VERSION}"
    if not isinstance(content, dict) or not isinstance(content.get("runs_per_scenario"), int):
        raise UnreadableArtifact(file, expected, "no such fields")
    if content.get("gate_version") != GATE_VERSION:
        raise UnreadableArtifact(file, expected, f"gate version {content.get('gate_version')}")
    return content


def runs_of(content: dict[str, Any]) -> int:
    """How many runs of each scenario a verdict rests on."""
    return int(content["runs_per_scenario"])


def require_same(file: Path, before: dict[str, Any], again: dict[str, Any]) -> str:
    """The sha256 of a verdict that came out the same again. Raises VerdictDiffers."""
    found = next(_differences("", before, json.loads(json.dumps(again))), None)
    if found:
        raise VerdictDiffers(file, *found)
    return artifacts.sha256_of(file)


def _differences(at: str, before: Any, again: Any) -> Iterator[tuple[str, Any, Any]]:
    """Places in which two values of JSON differ, as key.key."""
    if isinstance(before, dict) and isinstance(again, dict):
        for key in sorted(before.keys() | again.keys()):
            yield from _differences(f"{at}.{key}" if at else key, before.get(key), again.get(key))
    elif isinstance(before, list) and isinstance(again, list) and len(before) == len(again):
        for place, (one, other) in enumerate(zip(before, again, strict=True)):
            yield from _differences(f"{at}[{place}]", one, other)
    elif before != again or type(before) is not type(again):
        yield at, before, again
