"""Scenarios: which mixture of roads, surfaces, vehicles, loads and faults is driven. YAML; see `docs/scenarios.md`.

A scenario is a preset's name or the YAML itself, so that it travels as a parameter and is part of every cache key.
"""

import json
from importlib import resources
from typing import Annotated, Any

import msgspec
import yaml
from msgspec import Meta, Struct
from stepkit.errors import UsageError

from brakeline_synthesize import faults, surfaces, vehicles

PRESETS = ("city", "default", "motorway", "winter")
_SUM_SLACK = 1e-9

Share = Annotated[float, Meta(ge=0.0, le=1.0)]
_Speed = Annotated[float, Meta(ge=3.0, le=45.0)]
_SpeedSd = Annotated[float, Meta(ge=0.5, le=12.0)]


class Road(Struct, frozen=True, forbid_unknown_fields=True):
    """Share of drives on a kind of road, and the speed of a car there on a dry day."""

    share: Share
    speed_mps: _Speed
    sd_mps: _SpeedSd


class Load(Struct, frozen=True, forbid_unknown_fields=True):
    """Payload as a share of what the vehicle may carry: mean and standard deviation."""

    mean: Share
    sd: Annotated[float, Meta(ge=0.02, le=0.5)]


class Air(Struct, frozen=True, forbid_unknown_fields=True):
    """Mean air temperature by surface; its bounds belong to the surface."""

    dry: Annotated[float, Meta(ge=-15.0, le=35.0)]
    wet: Annotated[float, Meta(ge=2.0, le=28.0)]
    snow: Annotated[float, Meta(ge=-15.0, le=1.0)]
    ice: Annotated[float, Meta(ge=-15.0, le=0.0)]


class Scenario(Struct, frozen=True, forbid_unknown_fields=True):
    """A mixture of drives. Shares of surfaces, vehicles and roads add up to 1; what is not named has none."""

    name: Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9-]{0,62}$")]
    description: str
    surfaces: dict[str, Share]
    vehicles: dict[str, Share]
    roads: dict[str, Road]
    load: Load
    air_c: Air
    grade_sd: Annotated[float, Meta(ge=0.002, le=0.08)]
    wind_sd_mps: Annotated[float, Meta(ge=0.1, le=6.0)]
    friction_missing: Share
    faults: dict[str, Share]

    def __post_init__(self) -> None:
        _known("surfaces", self.surfaces, surfaces.NAMES)
        _known("vehicles", self.vehicles, vehicles.NAMES)
        _known("faults", self.faults, faults.NAMES)
        _whole("surfaces", self.surfaces)
        _whole("vehicles", self.vehicles)
        _whole("roads", {name: road.share for name, road in self.roads.items()})
        if sum(self.faults.values()) > 1.0:
            raise ValueError(f"faults: found shares that add up to {sum(self.faults.values()):.6g}, allowed at most 1")

    def to_json(self) -> str:
        """Canonical JSON: equal scenarios give equal bytes."""
        return json.dumps(msgspec.to_builtins(self), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def load(text: str) -> Scenario:
    """A preset by its name, or a scenario from YAML. Raises UsageError that names field, value and what is allowed."""
    if text in PRESETS:
        return parse(text, resources.files("brakeline_synthesize").joinpath("scenarios", f"{text}.yaml").read_text())
    if ":" not in text:
        raise UsageError(f"--scenario: found {text!r}, allowed {', '.join(PRESETS)}, or a scenario as YAML")
    return parse("--scenario", text)


def parse(source: object, text: str) -> Scenario:
    """A scenario from YAML or JSON that `source` holds. Raises UsageError."""

    try:
        content: Any = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(f"{source}: no YAML: {' '.join(str(error).split())}") from error
    try:
        return msgspec.convert(content, Scenario)
    except msgspec.ValidationError as error:
        raise UsageError(f"{source}: {error}{_found(content, str(error))}") from error


def _found(content: Any, message: str) -> str:
    """The value that a message complains of, where it says at which path it stands."""
    _, _, path = message.rpartition("`$")
    for step in path.rstrip("`").removeprefix(".").split("."):
        if not isinstance(content, dict) or step not in content:
            return ""
        content = content[step]
    return f": found {content!r}" if path else ""


def _known(field: str, given: dict[str, float], allowed: tuple[str, ...]) -> None:
    unknown = [name for name in given if name not in allowed]
    if unknown:
        raise ValueError(f"{field}: found {', '.join(unknown)}, allowed {', '.join(allowed)}")


def _whole(field: str, shares: dict[str, float]) -> None:
    total = sum(shares.values())
    if abs(total - 1.0) > _SUM_SLACK:
        raise ValueError(f"{field}: found shares that add up to {total:.6g}, allowed 1")
