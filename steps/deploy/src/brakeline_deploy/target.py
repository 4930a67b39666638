"""Where a version is served: what every kind of place can do, and which kind an address names."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit

from stepkit import artifacts
from stepkit.errors import TryAgain, UnreadableArtifact, UsageError

GOLDEN_FILE = "golden.json"
CLUSTER_SCHEME = "kserve"
_SWITCH = {"true": True, "false": False}


class Overtaken(TryAgain):
    """Somebody else changed what serves while this deployment was at work; what they did stands."""


@dataclass(frozen=True)
class Release:
    """A registered version that passed its gates: `about` is its registration, `model` its folder on this disk.

    `storage_uri` is where a cluster shall read it, `recorded_uri` where the pipeline keeps it; either may be empty.
    """

    name: str
    version: str
    sha256: str
    model: Path
    about: dict[str, Any]
    storage_uri: str = ""
    recorded_uri: str = ""

    def golden(self) -> dict[str, Any]:
        """Its golden request and the answers to it, a value per row each. Raises UnreadableArtifact."""
        file = self.model / GOLDEN_FILE
        content: dict[str, Any] = artifacts.read_json(file)
        if not _proves(content):
            expected = "golden request: inputs and outputs by name, a value for each of some rows"
            raise UnreadableArtifact(file, expected, "it proves nothing; train the model again")
        return content


def _proves(golden: Any) -> bool:
    """Whether something is asked, and something is known of the answer to every row of it."""
    sides: list[Any] = [golden.get(side) for side in ("inputs", "outputs")] if isinstance(golden, dict) else []
    if not sides or not all(isinstance(side, dict) and side for side in sides):
        return False
    columns: list[Any] = [values for side in sides for values in side.values()]
    return all(isinstance(values, list) and values and len(values) == len(columns[0]) for values in columns)


@dataclass(frozen=True)
class Plan:
    """What `apply` would change: the version served now and then, and the whole of what describes it."""

    now: str | None
    then: str
    before: Any
    after: Any
    diff: str

    def describe(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "now": self.now,
            "then": self.then,
            "changes": self.now != self.then or bool(self.diff),
            "before": self.before,
            "after": self.after,
            "diff": self.diff,
        }


@dataclass(frozen=True)
class Proof:
    """Where the version answered, and how many values of the golden request agreed."""

    url: str
    values: int


@dataclass(frozen=True)
class Before:
    """What to go back to: a version that was proven, or None, and whatever else describes it."""

    version: str | None
    content: Any = None


@dataclass(frozen=True)
class Standing:
    """What serves now, in its shadow and as its canary, which version was proven last, and what happened last."""

    version: str | None
    proven: str | None
    previous: str | None
    last: dict[str, Any]
    shadow: str | None = None
    canary: str | None = None

    def describe(self) -> dict[str, Any]:
        """As JSON."""
        versions = {"version": self.version, "proven": self.proven, "previous": self.previous}
        return {**versions, "shadow": self.shadow, "canary": self.canary, "last": self.last}


# Refuses, by an error, to have a version with that sha256 of its graph in service again.
Admit = Callable[[str, str], None]


def anything(_: str, __: str) -> None:
    """Whatever was proven may come again."""


class Target(Protocol):
    """A place where one model is served, whose versions take turns."""

    def plan(self, release: Release) -> Plan:
        """What `put` would change; nothing is changed."""
        ...

    def reach(self) -> None:
        """Wait until the place can be changed at all. Raises ServiceUnavailable."""
        ...

    def hold(self) -> Before:
        """What serves now if it was proven, else what was proven last."""
        ...

    def put(self, release: Release) -> None:
        """Let the version take over; it is not proven yet."""
        ...

    def prove(self, release: Release) -> Proof:
        """Wait until exactly this version answers, and compare its golden request. Raises StepError."""
        ...

    def restore(self, before: Before) -> bool:
        """Let what was held take over again; whether it had to, since what was put, or half put, had taken over."""
        ...

    def remember(self, release: Release) -> None:
        """Note that the version was proven: it is something to go back to from now on."""
        ...

    def roll_back(self, why: str, admit: Admit = anything, instead_of: str = "") -> dict[str, Any]:
        """Let the version proven before the present one take over, once it was admitted, before anything changes.

        Where `instead_of` was gone back from last, nothing changes: what took over then is asked once more. Raises
        UsageError where there is no version to go back to.
        """
        ...

    def standing(self) -> Standing:
        """What serves now."""
        ...

    def try_shadow(self, release: Release, trial: "Trial | None", patience_s: float) -> dict[str, Any]:
        """Give a version a copy of the requests and prove it; with a trial, wait until it held, or remove it.

        Raises Refused where the place has no shadow.
        """
        ...

    def try_canary(self, release: Release, percent: int) -> dict[str, Any]:
        """Give a version a share of the requests [%] and prove it. Raises Refused where the place has none to give."""
        ...


@dataclass(frozen=True)
class Trial:
    """How many requests a shadow is compared on, how far medians may be apart [m], and for what share of the rows."""

    requests: int
    within_m: float
    share: float


@dataclass(frozen=True)
class ClusterPlace:
    """An InferenceService: whose runtime serves it, as which account, by which connection, and who may ask it."""

    namespace: str
    service: str
    runtime: str = "brakeline-serving"
    account: str = ""
    connection: str = ""
    auth: bool = True
    exposed: bool = True


def cluster_place(address: str, name: str) -> ClusterPlace | None:
    """Read `kserve://NAMESPACE[/SERVICE][?runtime=…&account=…&connection=…&auth=…&exposed=…]`; None for a folder.

    Raises UsageError.
    """
    if "://" not in address:
        return None
    parts = urlsplit(address)
    if parts.scheme != CLUSTER_SCHEME:
        raise UsageError(
            f"--model-store: found {address!r}, allowed a folder, s3://bucket/prefix, or kserve://NAMESPACE/SERVICE"
        )
    service = parts.path.strip("/") or name
    if "/" in service or not service:
        raise UsageError(f"--model-store: found service {service!r}, allowed one name: kserve://NAMESPACE/SERVICE")
    settings: dict[str, Any] = {}
    for key, value in parse_qsl(parts.query, keep_blank_values=True):
        if key in ("runtime", "account", "connection"):
            settings[key] = value
        elif key in ("auth", "exposed") and value in _SWITCH:
            settings[key] = _SWITCH[value]
        else:
            allowed = "runtime=NAME, account=NAME, connection=NAME, auth=true|false, exposed=true|false"
            raise UsageError(f"--model-store: found {key}={value}, allowed {allowed}", found=key)
    return ClusterPlace(parts.netloc, service, **settings)
