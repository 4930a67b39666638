"""What a registry of model versions does, whichever service keeps it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from stepkit.errors import Refused, StepError, UsageError

from brakeline_register.attempts import Attempt

FORMAT = "onnx"
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")


class State(StrEnum):
    """Where a version stands. At most one version of a model is live."""

    REGISTERED = "registered"
    LIVE = "live"
    ARCHIVED = "archived"


@dataclass(frozen=True)
class Paper:
    """A document that is kept with a version, where it lies and its content.

    One that came later than its version has told by whom, when and why.
    """

    uri: str
    sha256: str
    by: str = ""
    at: str = ""
    why: str = ""


@dataclass(frozen=True)
class Source:
    """What made a version: a run of a pipeline, of code at a git revision. Empty where it is not known."""

    run: str = ""
    pipeline: str = ""
    revision: str = ""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What is registered of a model.

    `sha256` is of its graph and its identity, `folder_sha256` of the whole model artifact; `papers` are by name
    (verdict, card, and lineage, dossier, signature where there are such; later ones are `signature-2`, and so on).
    """

    sha256: str
    uri: str
    contract_version: int
    facts: Mapping[str, Any] = field(default_factory=dict)
    folder_sha256: str = ""
    format: str = FORMAT
    format_version: str = ""
    source: Source = Source()
    papers: Mapping[str, Paper] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Version(Entry):
    """One version of a model.

    `ids` are what the platform around a registry knows it by: registered_model_id, model_version_id, registry_name.
    """

    model: str
    version: str
    state: State
    created_at: str
    ids: Mapping[str, str] = field(default_factory=dict)

    def describe(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Change:
    """A version's change of state: to which, by whom, when and why."""

    version: str
    state: State
    by: str
    at: str
    why: str = ""

    def describe(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


class NoSuchVersion(StepError):
    """The registry has no such version."""

    exit_code = 65

    def __init__(self, model: str, version: str) -> None:
        super().__init__(f"the registry has no version {version} of {model}", model=model, version=version)


class Registry(Protocol):
    """A registry of model versions, and of all attempts. Adding the same content again changes nothing."""

    def add(self, model: str, entry: Entry) -> Version:
        """Add a version by the sha256 of its graph, or return the one that has this content, as it is."""
        ...

    def find(self, model: str, version: str) -> Version:
        """One version. Raises NoSuchVersion."""
        ...

    def by_content(self, model: str, sha256: str) -> Version | None:
        """The version whose graph has this sha256, or None."""
        ...

    def holders(self, sha256: str) -> Sequence[Version]:
        """The versions of all models whose graph has this sha256."""
        ...

    def list(self, model: str) -> Sequence[Version]:
        """All versions, oldest first."""
        ...

    def live(self, model: str) -> Version | None:
        """The live version, or None."""
        ...

    def set_state(self, model: str, version: str, state: State, by: str, why: str = "") -> Version:
        """Change a version's state, on record with who did it and why; a new live version retires the old one.

        The state that it has already changes and records nothing. Raises NoSuchVersion, and Refused where the live
        version would be archived.
        """
        ...

    def add_paper(self, model: str, version: str, kind: str, paper: Paper) -> Version:
        """Note a paper that came later, by its own `by`, `at` and `why`, beside those that there are.

        It is named `kind`, or `kind-2` and so on where there are such. Content that is there already changes nothing.
        Raises NoSuchVersion.
        """
        ...

    def changes(self, model: str) -> Sequence[Change]:
        """All changes of state, oldest first."""
        ...

    def record(self, model: str, attempt: Attempt) -> None:
        """Count an attempt with its time; of the same model, holdout and gate version the first one stands."""
        ...

    def attempts(self, model: str) -> Sequence[Attempt]:
        """All attempts, passed and refused, in the order in which they were first recorded."""
        ...


def open_registry(url: str) -> Registry:
    """Open a registry by its URL. Raises UsageError, ServiceUnavailable.

    `sqlite:///path` is the embedded one, `https://…` a Kubeflow Model Registry.
    """
    if url.startswith("sqlite:///"):
        from brakeline_register.sqlite import SqliteRegistry

        return SqliteRegistry(Path(url.removeprefix("sqlite:///")))
    if url.startswith(("https://", "http://")):
        from brakeline_register.kubeflow import KubeflowRegistry

        return KubeflowRegistry(url)
    raise UsageError(f"--registry: found {url!r}, allowed sqlite:///PATH or https://HOST", found=url)


def is_number(version: str) -> bool:
    """Whether a version's name is a number as we give them: 1, 2, and so on."""
    return _NUMBER.fullmatch(version) is not None


def of_kind(papers: Mapping[str, Paper], kind: str) -> dict[int, Paper]:
    """A version's papers of one kind by their number, the first 1."""
    named = {name.removeprefix(f"{kind}-"): paper for name, paper in papers.items() if name.startswith(f"{kind}-")}
    later = {int(number): paper for number, paper in named.items() if is_number(number)}
    return ({1: papers[kind]} if kind in papers else {}) | later


def next_name(papers: Mapping[str, Paper], kind: str, paper: Paper) -> str | None:
    """What a paper that comes later is named; None where this content is there already."""
    known = of_kind(papers, kind)
    if any(one.sha256 == paper.sha256 for one in known.values()):
        return None
    return f"{kind}-{max(known) + 1}" if known else kind


def refuse_to_archive_the_live(found: Version, state: State) -> None:
    """A live version has a successor or stays. Raises Refused."""
    if state is State.ARCHIVED and found.state is State.LIVE:
        raise Refused(
            f"version {found.version} of {found.model} is live: promote another version first",
            version=found.version,
            found=found.state,
        )
