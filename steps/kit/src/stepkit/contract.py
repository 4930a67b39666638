"""The data contract as the steps read it: features with unit and range, travelling as JSON with the data.

It is declared by synthesize alone; see `steps/README.md` for where it travels.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any

METADATA_KEY = "brakeline.contract"
NAME = "brakeline.stop"
SUPPORTED_VERSIONS = (1,)


@dataclass(frozen=True)
class Feature:
    """One sensor input of the model. `role` says what it is to the physics, whatever its name."""

    name: str
    role: str
    unit: str
    low: float
    high: float
    missing_allowed: bool
    description: str


@dataclass(frozen=True)
class Target:
    """What is learned."""

    name: str
    unit: str
    description: str


@dataclass(frozen=True)
class Contract:
    """Features in the model's order, the target, the column that groups rows, and truths no model may see."""

    version: int
    features: tuple[Feature, ...]
    target: Target
    group: str
    truths: tuple[str, ...]

    def to_json(self) -> str:
        """Canonical JSON: equal contracts give equal bytes."""
        return json.dumps({"name": NAME, **asdict(self)}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    def by_role(self, role: str) -> Feature:
        """The feature that plays a role in the physics. Raises KeyError."""
        for feature in self.features:
            if feature.role == role:
                return feature
        raise KeyError(f"the contract has no feature of role {role!r}")

    @property
    def names(self) -> list[str]:
        """The features' names, in the model's order."""
        return [feature.name for feature in self.features]


def parse(text: str) -> Contract:
    """Parse a contract's JSON. Raises ValueError that says what was found and what is allowed."""
    content: Any = json.loads(text)
    if not isinstance(content, dict) or content.get("name") != NAME:
        raise ValueError(f"found no contract named {NAME}")
    if content.get("version") not in SUPPORTED_VERSIONS:
        allowed = ", ".join(map(str, SUPPORTED_VERSIONS))
        raise ValueError(f"found contract version {content.get('version')}, allowed {allowed}")
    try:
        return Contract(
            version=content["version"],
            features=tuple(Feature(**feature) for feature in content["features"]),
            target=Target(**content["target"]),
            group=content["group"],
            truths=tuple(content["truths"]),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"the contract is incomplete: {error}") from error
