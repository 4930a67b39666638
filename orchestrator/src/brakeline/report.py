"""What was found of a version's lineage: intact, altered, missing, and what was done with it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from brakeline.provenance import Chain
from brakeline.releases import Release

INTACT, ALTERED, MISSING = "intact", "altered", "missing"


@dataclass(frozen=True)
class Altered:
    """A file or folder whose content is not what was recorded; `found` is its sha256, or what else is wrong with it."""

    artifact: str
    file: str
    found: str
    recorded: str


@dataclass(frozen=True)
class Missing:
    """An artifact that lies nowhere here."""

    artifact: str
    sha256: str


@dataclass
class Report:
    """What was found of a version. `seen` counts the intact places of each artifact by sha256."""

    version: Mapping[str, Any]
    chain: Chain = field(default_factory=lambda: Chain(()))
    seen: dict[str, list[str]] = field(default_factory=dict)
    altered: list[Altered] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    releases: list[Release] = field(default_factory=list)

    def state_of(self, sha256: str) -> str:
        """What is known of an artifact: altered if any of its places is, intact if one is there, else missing."""
        if any(one.recorded == sha256 for one in self.altered):
            return ALTERED
        return INTACT if self.seen.get(sha256) else MISSING

    def note(self, name: str, place: str, found: str, recorded: str) -> None:
        """What an artifact's content is where it lies, by sha256, and what was recorded of it."""
        if found == recorded:
            self.seen.setdefault(recorded, []).append(place)
        else:
            self.altered.append(Altered(name, place, found, recorded))

    def describe(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "name": self.version["model"],
            "version": self.version["version"],
            "sha256": self.version["sha256"],
            "status": ALTERED if self.altered else INTACT,
            "intact": sum(map(len, self.seen.values())),
            "altered": [asdict(one) for one in self.altered],
            "missing": [asdict(one) for one in self.missing],
            "calls": [asdict(call) for call in self.chain.calls],
            "releases": [one.describe() for one in self.releases],
        }
