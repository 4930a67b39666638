"""The data contract as the steps read it: features with unit and range, travelling as JSON with the data.

It is declared by synthesize alone; see `steps/README.md` for where it travels.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any

METADATA_KEY = "brakeline.contract"
NAME = "brakeline.stop"
SUPPORTED_VERSIONS = (1, 2)


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


def differences(old: Contract, new: Contract) -> list[str]:
    """What makes `new` no evolution of `old`; empty where all that was right under `old` still is, and means the same.

    An evolution widens ranges, adds optional features at the end, adds truths, and says things in other words.
    """
    found = [f"version {old.version} became {new.version}"] if new.version < old.version else []
    later = {feature.name: feature for feature in new.features}
    for feature in old.features:
        if feature.name not in later:
            heirs = [other.name for other in new.features if other.role == feature.role and other.name not in old.names]
            found.append(f"feature {feature.name} " + (f"was renamed {heirs[0]}" if heirs else "was removed"))
        else:
            found += _changes(feature, later[feature.name])
    kept = [name for name in old.names if name in later]
    added = [feature for feature in new.features if feature.name not in old.names]
    if [name for name in new.names if name in kept] != kept:
        found.append("features were put in another order")
    elif new.names[: len(kept)] != kept:
        found.append(f"features {', '.join(feature.name for feature in added)} were not added at the end")
    found += [f"added feature {feature.name} may not be missing" for feature in added if not feature.missing_allowed]
    if (old.target.name, old.target.unit) != (new.target.name, new.target.unit):
        found.append(f"target {old.target.name} [{old.target.unit}] became {new.target.name} [{new.target.unit}]")
    if old.group != new.group:
        found.append(f"group {old.group} became {new.group}")
    return found + [f"truth {truth} was removed" for truth in old.truths if truth not in new.truths]


def _changes(old: Feature, new: Feature) -> list[str]:
    fixed = (("role", old.role, new.role), ("unit", old.unit, new.unit),
             ("missing_allowed", old.missing_allowed, new.missing_allowed))  # fmt: skip
    found = [f"{what} of {old.name}: {before} became {after}" for what, before, after in fixed if before != after]
    if new.low > old.low or new.high < old.high:
        found.append(f"range of {old.name}: {old.low:g} to {old.high:g} became {new.low:g} to {new.high:g}")
    return found


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
