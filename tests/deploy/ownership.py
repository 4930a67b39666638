"""Server-side apply: who owns which field, what conflicts, and what goes when its last owner leaves it out.

Kubernetes, "Server-Side Apply"; lists are atomic here, as nothing of ours reaches into one.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

Path = tuple[str, ...]
_NOT_OWNED = {("apiVersion",), ("kind",), *(("metadata", key) for key in ("name", "namespace", "resourceVersion"))}


@dataclass
class Owned:
    """An object and its managers' fields."""

    content: dict[str, Any]
    managers: dict[str, set[Path]] = field(default_factory=dict)

    def copy(self) -> Owned:
        """Another one, that can be changed without this."""
        return copy.deepcopy(self)

    def conflicts(self, wanted: dict[str, Any], manager: str) -> list[tuple[str, Path]]:
        """Fields that others own with another value."""
        found = []
        for path, value in leaves(wanted).items():
            for other, owned in self.managers.items():
                touches = any(path[: len(mine)] == mine or mine[: len(path)] == path for mine in owned)
                if other != manager and touches and at(self.content, path) != value:
                    found.append((other, path))
        return found

    def apply(self, wanted: dict[str, Any], manager: str) -> None:
        """Take the fields named, with their values; what this manager named before and does not now may go."""
        fresh = leaves(wanted)
        before = self.managers.get(manager, set())
        for other in self.managers:
            if other != manager:
                theirs = self.managers[other]
                self.managers[other] = {
                    path for path in theirs if path not in fresh or at(self.content, path) == fresh[path]
                }
        for path in before - fresh.keys():
            if not any(path in owned for other, owned in self.managers.items() if other != manager):
                _remove(self.content, path)
        for path, value in fresh.items():
            _put(self.content, path, copy.deepcopy(value))
        self.managers[manager] = set(fresh)
        self.managers = {name: paths for name, paths in self.managers.items() if paths}  # who owns nothing is gone

    def managed_fields(self) -> list[dict[str, Any]]:
        """As `metadata.managedFields` tells it."""
        told = []
        for manager, owned in sorted(self.managers.items()):
            tree: dict[str, Any] = {}
            for path in owned:
                node = tree
                for part in path:
                    node = node.setdefault(f"f:{part}", {})
            entry = {"manager": manager, "operation": "Apply", "apiVersion": "serving.kserve.io/v1beta1"}
            told.append({**entry, "fieldsType": "FieldsV1", "fieldsV1": tree})
        return told


def leaves(content: dict[str, Any], path: Path = ()) -> dict[Path, Any]:
    """The fields that an apply owns, by their paths."""
    found: dict[Path, Any] = {}
    for key, value in content.items():
        here = (*path, key)
        if here in _NOT_OWNED:
            continue
        if isinstance(value, dict) and value:
            found |= leaves(value, here)
        else:
            found[here] = value
    return found


def at(content: Any, path: Path) -> Any:
    """The value of a path, None where there is none."""
    for part in path:
        content = content.get(part) if isinstance(content, dict) else None
    return content


def _put(content: dict[str, Any], path: Path, value: Any) -> None:
    for part in path[:-1]:
        if not isinstance(content.get(part), dict):
            content[part] = {}
        content = content[part]
    content[path[-1]] = value


def _remove(content: dict[str, Any], path: Path) -> None:
    parents = [content]
    for part in path[:-1]:
        inner = parents[-1].get(part)
        if not isinstance(inner, dict):
            return
        parents.append(inner)
    parents[-1].pop(path[-1], None)
    for part, parent, inner in zip(reversed(path[:-1]), reversed(parents[:-1]), reversed(parents[1:]), strict=True):
        if not inner:
            parent.pop(part, None)
