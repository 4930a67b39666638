"""Registered versions: which a policy no longer keeps, and why others stay, whatever it says.

Registry and model store are asked and changed by the verbs of their own steps; what is live, serves, is its shadow, or
is gone back to never goes, also if it came to be so only after the plan was made.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from brakeline import steps
from brakeline.prune.policy import Item, Kept, Policy
from brakeline.refusals import BAD_DATA, Refused
from brakeline.steps import StepRefused

_ROLES = {
    "version": "serves",
    "shadow": "is the shadow",
    "canary": "is the canary",
    "proven": "was proven last",
    "previous": "is what a rollback goes back to",
}
_SQLITE = "sqlite:///"
WHY = "retired by brakeline prune"


@dataclass(frozen=True)
class Versions:
    """A model's versions in a registry, the oldest first, and why some of them are needed."""

    registry: str
    model_store: str
    name: str
    listed: list[dict[str, Any]] = field(default_factory=list)
    needed: Mapping[str, str] = field(default_factory=dict)


def find(registry: str, model_store: str, name: str) -> Versions:
    """Ask registry and model store. Raises Refused with the step's own words."""
    try:
        # To open a registry is to make it, where there is none yet.
        is_there = not registry.startswith(_SQLITE) or Path(registry.removeprefix(_SQLITE)).exists()
        listed = steps.call("register", "list", registry=registry, name=name)["versions"] if is_there else []
        standing = steps.call("deploy", "status", model_store=model_store, name=name)
    except StepRefused as error:
        raise Refused(f"what is needed cannot be told: {error}", error.exit_code) from error
    needed = {version["version"]: "is live" for version in listed if version["state"] == "live"}
    for role, why in _ROLES.items():
        if standing.get(role):
            needed.setdefault(standing[role], why)
    return Versions(registry, model_store, name, listed, needed)


def plan(versions: Versions, policy: Policy, by: str) -> tuple[list[Item], list[Kept]]:
    """What goes and what stays against the rule. Raises Refused."""
    if policy.versions is None:
        return [], []
    older = versions.listed[: max(len(versions.listed) - policy.versions, 0)]
    names = [version["version"] for version in older if version["version"] not in versions.needed]
    sizes = _call(versions, names, by, dry_run=True) if names else {}
    archived = {version["version"] for version in older if version["state"] == "archived"}
    items = [
        Item("version", f"{versions.name} {name}", sizes[name], partial(_retire, versions, name, by))
        for name in names
        if name not in archived or sizes[name]
    ]
    stays = [version["version"] for version in older if version["version"] in versions.needed]
    return items, [Kept("version", f"{versions.name} {name}", f"it {versions.needed[name]}") for name in stays]


def _retire(versions: Versions, name: str, by: str) -> str:
    """Archive a version and remove its model; why it stays, if it must by now. Raises Refused."""
    try:
        _call(versions, [name], by, dry_run=False)
    except Refused as error:
        if error.exit_code == BAD_DATA:
            return str(error)
        raise
    return ""


def _call(versions: Versions, names: list[str], by: str, dry_run: bool) -> dict[str, int]:
    """What the steps free, or would free, by version [byte]."""
    about: dict[str, Any] = {"versions": ",".join(names), "name": versions.name, "dry_run": dry_run}
    freed = dict.fromkeys(names, 0)
    try:
        # The store first: it refuses what serves, before anything is archived.
        answers = [] if _is_cluster(versions.model_store) else [
            steps.call("deploy", "prune", model_store=versions.model_store, **about)
        ]  # fmt: skip
        answers.append(steps.call("register", "prune", registry=versions.registry, by=by, why=WHY, **about))
    except StepRefused as error:
        raise Refused(str(error), error.exit_code) from error
    for answer in answers:
        for gone in answer["versions"]:
            freed[gone["version"]] += gone["freed_bytes"] or 0
    return freed


def _is_cluster(model_store: str) -> bool:
    """Whether it is a cluster's service, which reads the registered model and keeps no copy."""
    return "://" in model_store and not model_store.startswith("s3://")
