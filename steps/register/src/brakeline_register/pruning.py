"""Old versions retired for good: archived, and their kept models removed; entries and papers stay as the record."""

from collections.abc import Sequence
from typing import Any

from stepkit.errors import Refused

from brakeline_register import keeping
from brakeline_register.registry import Registry, State, Version


def prune(
    registry: Registry, name: str, versions: Sequence[str], by: str, why: str, dry_run: bool
) -> list[dict[str, Any]]:
    """Archive versions and remove their models; returns each with what it freed [byte], or would free.

    A model that another version still stands on stays. Raises NoSuchVersion, and Refused before anything is changed
    if one of them is live.
    """
    found = [registry.find(name, version) for version in versions]
    for version in found:
        if version.state is State.LIVE:
            raise Refused(f"version {version.version} of {name} is live: promote another version first", found="live")
    told = []
    for version in found:
        if not dry_run:
            registry.set_state(name, version.version, State.ARCHIVED, by, why)
        shared = _still_needed(registry, version)
        freed = 0 if shared else keeping.size(version.uri) if dry_run else keeping.forget(version.uri)
        told.append({"version": version.version, "uri": version.uri, "freed_bytes": freed, "needed_by": shared})
    return told


def _still_needed(registry: Registry, version: Version) -> list[str]:
    """Versions of other models that stand on the same kept model and are not archived."""
    return [
        f"{other.model} {other.version}"
        for other in registry.holders(version.sha256)
        if other.model != version.model and other.uri == version.uri and other.state is not State.ARCHIVED
    ]
