"""What a Kubeflow Model Registry has no place for: every change of state with its reason, and every judged model.

Each is a DocArtifact of its own under an archived version of the model, named `changes` or `attempts`. A name is there
once, so that of two writers of the same one the second is told of it (409): nothing is lost between reading a map of
properties and writing it back, and nothing is written twice. What is written is never changed.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mr_openapi.models import Artifact, ArtifactState, DocArtifact

from brakeline_register.attempts import Attempt
from brakeline_register.properties import Value, of_registry, to_registry
from brakeline_register.registry import Change, State

CHANGES, ATTEMPTS = "changes", "attempts"
ABOUT = {
    CHANGES: "Every change of state of this model's versions, with who, when and why. No model.",
    ATTEMPTS: "Every model that was judged, passed or refused. No model.",
}


@dataclass(frozen=True)
class Noted:
    """A change as it is on record. `call` names the call that wrote it, so that one whose answer was lost is known."""

    number: int
    call: str
    change: Change


def noted(kept: Iterable[Artifact]) -> list[Noted]:
    """All changes, oldest first."""
    return sorted((_noted(one.actual_instance) for one in kept), key=lambda one: one.number)


def to_note(number: int, call: str, change: Change) -> Artifact:
    """A change as an artifact whose name is its place in the order."""
    told: dict[str, Value] = {**change.describe(), "state": change.state.value, "call": call}
    return _document(f"change-{number:06d}", told)


def state_of(version: str, changes: Sequence[Noted]) -> State:
    """Where the record says that a version stands: the last live one is live, unless it was moved since."""
    last = next((one.change for one in reversed(changes) if one.change.version == version), None)
    if last is None:
        return State.REGISTERED
    if last.state is not State.LIVE:
        return last.state
    latest = next(one.change for one in reversed(changes) if one.change.state is State.LIVE)
    return State.LIVE if latest is last else State.REGISTERED


def attempts(kept: Iterable[Artifact]) -> list[Attempt]:
    """All attempts, in the order in which they were recorded."""
    return [_attempt(one.actual_instance) for one in sorted(kept, key=lambda one: int(one.actual_instance.id))]


def name_of(attempt: Attempt) -> str:
    """The name of what may be recorded once: a model, a holdout and a gate version."""
    about = f"{attempt.model_sha256} {attempt.holdout_sha256} {attempt.gate_version}"
    return f"attempt-{hashlib.sha256(about.encode()).hexdigest()[:40]}"


def to_attempt(attempt: Attempt, recorded_at: str) -> Artifact:
    """An attempt as an artifact."""
    told: dict[str, Value] = {
        **{key: value for key, value in attempt.describe().items() if value is not None},
        "failed": json.dumps(attempt.failed),
        "recorded_at": recorded_at,
    }
    return _document(name_of(attempt), told)


def _document(name: str, told: dict[str, Value]) -> Artifact:
    return Artifact(DocArtifact(name=name, state=ArtifactState.LIVE, custom_properties=to_registry(told)))


def _noted(document: DocArtifact) -> Noted:
    told = of_registry(document.custom_properties)
    change = Change(
        version=str(told["version"]),
        state=State(str(told["state"])),
        by=str(told["by"]),
        at=str(told["at"]),
        why=str(told["why"]),
    )
    return Noted(int(str(document.name).removeprefix("change-")), str(told["call"]), change)


def _attempt(document: DocArtifact) -> Attempt:
    told = of_registry(document.custom_properties)
    dataset = told.get("dataset_sha256")
    return Attempt(
        dataset_sha256=None if dataset is None else str(dataset),
        holdout_sha256=str(told["holdout_sha256"]),
        model_sha256=str(told["model_sha256"]),
        gate_version=int(told["gate_version"]),
        passed=bool(told["passed"]),
        failed=tuple(json.loads(str(told["failed"]))),
        recorded_at=str(told["recorded_at"]),
    )
