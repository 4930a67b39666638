"""Versions as a Kubeflow Model Registry keeps them: a ModelVersion, and its artifacts.

The ModelVersion has what identifies and describes the content. Of its artifacts the ModelArtifact has place, format and
source, and is written last, so that a version without it is one that somebody has not finished; each paper is a
DocArtifact. What the registry has no field for is a custom property.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from mr_openapi.models import (
    Artifact,
    ArtifactState,
    DocArtifact,
    ModelArtifact,
    ModelVersion,
    ModelVersionCreate,
    ModelVersionState,
    ModelVersionUpdate,
)

from brakeline_register.properties import Value, of_registry, to_registry
from brakeline_register.registry import Entry, Paper, Source, State, Version, is_number

AUTHOR = "brakeline"
_SHA256, _STATE, _CONTRACT, _FACTS, _REVISION, _FOLDER = (
    "sha256", "state", "contract_version", "facts", "revision", "folder_sha256",
)  # fmt: skip
_ABOUT_PAPER = ("by", "at", "why")


@dataclass(frozen=True)
class Found:
    """A version as the registry has it, without its artifacts. `mirrored` is the state that we wrote beside its own."""

    id: str
    number: str
    parent: str
    sha256: str
    archived: bool
    mirrored: str
    created_at: str
    properties: Mapping[str, Value]

    @property
    def is_persons(self) -> bool:
        """Whether somebody archived or restored it past us, as on the dashboard."""
        return self.archived != (self.mirrored == State.ARCHIVED)


def found(raw: ModelVersion) -> Found | None:
    """A version of ours, or None for what somebody else keeps under the same model."""
    told = of_registry(raw.custom_properties)
    sha256 = told.get(_SHA256)
    if not is_number(raw.name) or not isinstance(sha256, str):
        return None
    return Found(
        id=str(raw.id),
        number=raw.name,
        parent=raw.registered_model_id,
        sha256=sha256,
        archived=raw.state == ModelVersionState.ARCHIVED,
        mirrored=str(told.get(_STATE, "")),
        created_at=_time(raw.create_time_since_epoch),
        properties=told,
    )


def to_create(parent: str, number: int, entry: Entry) -> ModelVersionCreate:
    """A version with all that is known of it but where it lies."""
    overall = entry.facts.get("overall") or {}
    told: dict[str, Value] = {
        _SHA256: entry.sha256,
        _STATE: State.REGISTERED.value,
        _CONTRACT: entry.contract_version,
        _FACTS: json.dumps(dict(entry.facts)),
        _REVISION: entry.source.revision,
        **{f"metrics.{name}": value for name, value in overall.items() if isinstance(value, int | float)},
        **_verdict(entry),
    }
    return ModelVersionCreate(
        name=str(number),
        registered_model_id=parent,
        author=AUTHOR,
        description=_description(entry),
        state=ModelVersionState.LIVE,
        custom_properties=to_registry(told),
    )


def documents(entry: Entry) -> Iterator[tuple[str, Artifact]]:
    """The version's papers by name."""
    for name, paper in entry.papers.items():
        yield name, document(name, paper)


def document(name: str, paper: Paper) -> Artifact:
    """A paper as an artifact."""
    told: dict[str, Value] = {_SHA256: paper.sha256}
    told |= {about: str(value) for about in _ABOUT_PAPER if (value := getattr(paper, about))}
    kept = DocArtifact(name=name, uri=paper.uri, state=ArtifactState.LIVE, custom_properties=to_registry(told))
    return Artifact(kept)


def papers(kept: Iterable[Artifact]) -> dict[str, Paper]:
    """The papers among a version's artifacts, by name."""
    found = [one.actual_instance for one in kept if isinstance(one.actual_instance, DocArtifact)]
    return {str(one.name): _paper(str(one.uri), of_registry(one.custom_properties)) for one in found}


def model_artifact(model: str, entry: Entry, namespace: str) -> Artifact:
    """Where the version lies, and from where it is. It has the model's name: the platform's client looks for that."""
    parts, source = urlsplit(entry.uri), entry.source
    return Artifact(ModelArtifact(
        name=model,
        uri=entry.uri,
        state=ArtifactState.LIVE,
        model_format_name=entry.format,
        model_format_version=entry.format_version or None,
        storage_path=parts.path.strip("/") if parts.scheme == "s3" else None,
        model_source_kind="kfp" if source.run else None,
        model_source_class="pipelinerun" if source.run else None,
        model_source_group=namespace or None,
        model_source_id=source.run or None,
        model_source_name=source.pipeline or None,
        custom_properties=to_registry({_SHA256: entry.sha256, _FOLDER: entry.folder_sha256}),
    ))  # fmt: skip


def is_whole(kept: Iterable[Artifact]) -> bool:
    """Whether a version's model artifact is there."""
    return any(isinstance(one.actual_instance, ModelArtifact) for one in kept)


def version(
    model: str, known: Found, kept: Iterable[Artifact], state: State, registry_name: str = ""
) -> Version | None:
    """A version with its artifacts, or None where its model is not there yet."""
    kept = list(kept)
    lies = next((one.actual_instance for one in kept if isinstance(one.actual_instance, ModelArtifact)), None)
    if lies is None:
        return None
    told = known.properties
    return Version(
        model=model,
        version=known.number,
        state=state,
        created_at=known.created_at,
        sha256=known.sha256,
        uri=str(lies.uri),
        contract_version=int(told.get(_CONTRACT, 0)),
        facts=json.loads(str(told.get(_FACTS, "{}"))),
        folder_sha256=str(of_registry(lies.custom_properties).get(_FOLDER, "")),
        format=str(lies.model_format_name),
        format_version=lies.model_format_version or "",
        source=Source(lies.model_source_id or "", lies.model_source_name or "", str(told.get(_REVISION, ""))),
        papers=papers(kept),
        ids={"registered_model_id": known.parent, "model_version_id": known.id, **_named(registry_name)},
    )


def to_update(known: Found, state: State) -> ModelVersionUpdate:
    """A change of state. The map of properties is replaced as a whole, and so is a state that is left out."""
    return ModelVersionUpdate(
        state=ModelVersionState.ARCHIVED if state is State.ARCHIVED else ModelVersionState.LIVE,
        custom_properties=to_registry({**known.properties, _STATE: state.value}),
    )


def _named(registry_name: str) -> dict[str, str]:
    return {"registry_name": registry_name} if registry_name else {}


def _verdict(entry: Entry) -> dict[str, Value]:
    """The verdict in short: how many gates passed, which did not, of which gate version, and the data's sha256."""
    gates: list[Mapping[str, Any]] = entry.facts.get("gates") or []
    failed = [str(gate.get("name")) for gate in gates if gate.get("passed") is not True]
    told = {
        "gate_version": entry.facts.get("gate"),
        "gates": len(gates),
        "gates_failed": ", ".join(failed),
        "verdict_sha256": entry.papers["verdict"].sha256 if "verdict" in entry.papers else None,
        "dataset_sha256": (entry.facts.get("training") or {}).get("dataset_sha256"),
        "holdout_sha256": entry.facts.get("holdout"),
    }
    return {name: value for name, value in told.items() if value is not None}


def _paper(uri: str, told: Mapping[str, Value]) -> Paper:
    return Paper(uri, str(told.get(_SHA256, "")), **{about: str(told.get(about, "")) for about in _ABOUT_PAPER})


def _description(entry: Entry) -> str:
    gates = entry.facts.get("gates") or []
    error = (entry.facts.get("overall") or {}).get("mae_m")
    measured = f", mean absolute error {error:g} m" if isinstance(error, int | float) else ""
    return (
        f"Stopping distance, {entry.format}, data contract {entry.contract_version}: {len(gates)} gates of version "
        f"{entry.facts.get('gate', '?')} passed{measured}. The card is among its artifacts."
    )


def _time(milliseconds: str | None) -> str:
    return datetime.fromtimestamp(int(milliseconds or 0) / 1000, UTC).isoformat(timespec="seconds")
