"""Versions that are not served any more, removed from a model store."""

from collections.abc import Sequence
from typing import Any

from stepkit.errors import Refused, UsageError

from brakeline_deploy.store import Store


def prune(store: Store, versions: Sequence[str], dry_run: bool) -> list[dict[str, Any]]:
    """Remove versions' graphs; returns each with what it freed [byte], or would free.

    Raises Refused before anything is changed where one of them serves, is the shadow, or is what a failed deployment
    or a rollback goes back to; UsageError for what is no name of a version.
    """
    roles = {
        store.primary(): "serves",
        (store.pointer() or {}).get("shadow"): "is the shadow",
        store.proven(): "was proven last",
        store.previous(): "is what a rollback goes back to",
    }
    for version in versions:
        if version.startswith(".") or "/" in version:
            raise UsageError(f"--versions: found {version!r}, allowed versions as the registry names them: 1,2,3")
        if version in roles:
            raise Refused(f"{store.address(version)}: version {version} {roles[version]}; it stays", version=version)
    return [{"version": version, "freed_bytes": store.remove(version, dry_run)} for version in versions]
