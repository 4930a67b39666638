"""The data contract as the server reads it from a model's metadata; declared and explained elsewhere.

`tests/data/contract-v*.json` are the golden files that this reader and the steps' reader both pass.
"""

import json
from typing import Any

import msgspec

METADATA_KEY = "brakeline.contract"
NAME = "brakeline.stop"
SUPPORTED_VERSIONS = (1, 2)


class Feature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One sensor input of the model: its unit, its range [low, high], whether it may be missing (NaN)."""

    name: str
    role: str
    unit: str
    low: float
    high: float
    missing_allowed: bool
    description: str


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the model predicts."""

    name: str
    unit: str
    description: str


class Contract(msgspec.Struct, frozen=True):
    """Features in the model's order, the target, and what else travels with the data."""

    name: str
    version: int
    features: tuple[Feature, ...]
    target: Target
    group: str
    truths: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The features' names, in the model's order."""
        return tuple(feature.name for feature in self.features)

    def to_json(self) -> str:
        """Canonical JSON, byte-equal to what the steps write for the same contract."""
        return json.dumps(self.to_object(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    def to_object(self) -> Any:
        """The contract as what JSON is made of, for the model's published metadata."""
        return msgspec.to_builtins(self)


def parse(text: str) -> Contract:
    """Parse a contract's JSON. Raises ValueError that says what was found and what is allowed."""
    content: Any = msgspec.json.decode(text)
    if not isinstance(content, dict) or content.get("name") != NAME:
        raise ValueError(f"found no contract named {NAME}")
    if content.get("version") not in SUPPORTED_VERSIONS:
        allowed = ", ".join(map(str, SUPPORTED_VERSIONS))
        raise ValueError(f"found contract version {content.get('version')}, allowed {allowed}")
    contract = msgspec.convert(content, Contract)
    if not contract.features or len(set(contract.names)) != len(contract.features):
        raise ValueError(f"found features {', '.join(contract.names) or 'none'}, allowed distinct names")
    for feature in contract.features:
        if not feature.low < feature.high:
            raise ValueError(f"{feature.name}: found {feature.low:g} to {feature.high:g}, allowed low < high")
    return contract
