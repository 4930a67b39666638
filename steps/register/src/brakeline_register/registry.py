"""What a registry of model versions does, whichever service keeps it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from stepkit.errors import StepError, UsageError

from brakeline_register.attempts import Attempt


class State(StrEnum):
    """Where a version stands. At most one version of a model is live."""

    REGISTERED = "registered"
    LIVE = "live"
    ARCHIVED = "archived"


@dataclass(frozen=True)
class Version:
    """One version of a model."""

    model: str
    version: str
    sha256: str
    uri: str
    state: State
    contract_version: int
    created_at: str
    facts: dict[str, Any] = field(default_factory=dict)

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

    def add(self, model: str, folder: Path, sha256: str, contract_version: int, facts: dict[str, Any]) -> Version:
        """Add a model artifact by the sha256 of its graph, or return the version that has this content."""
        ...

    def find(self, model: str, version: str) -> Version:
        """One version. Raises NoSuchVersion."""
        ...

    def list(self, model: str) -> list[Version]:
        """All versions, oldest first."""
        ...

    def live(self, model: str) -> Version | None:
        """The live version, or None."""
        ...

    def set_state(self, model: str, version: str, state: State, by: str) -> Version:
        """Change a version's state, on record with who did it; a new live version retires the old one."""
        ...

    def record(self, model: str, attempt: Attempt) -> None:
        """Count an attempt with its time; of the same model, holdout and gate version the first one stands."""
        ...

    def attempts(self, model: str) -> Sequence[Attempt]:
        """All attempts, passed and refused, in the order in which they were first recorded."""
        ...


def open_registry(url: str) -> Registry:
    """Open a registry by its URL: `sqlite:///path` is the embedded one. Raises UsageError."""
    if url.startswith("sqlite:///"):
        from brakeline_register.sqlite import SqliteRegistry

        return SqliteRegistry(Path(url.removeprefix("sqlite:///")))
    raise UsageError(f"--registry: found {url!r}, allowed sqlite:///PATH", found=url)
