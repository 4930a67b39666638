"""Whose a field of an InferenceService is. Manifests may have made it, and size, scale and guard it from then on.

A field that another manager owns stays that manager's alone, where it says what is wanted: shared, the other could not
change it any more without a conflict. Sizing is left to whoever sets it. What differs is applied, so that the cluster
tells of the conflict; except when a version is gone back to, where what others have said since then holds.

Kubernetes, "Server-Side Apply": `metadata.managedFields`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from brakeline_deploy.kube import MANAGER
from brakeline_deploy.manifest import MODE, OWN

Path = tuple[str, ...]

# The first value of these is for a service that nobody else sizes.
_SIZING: tuple[Path, ...] = (("spec", "predictor", "minReplicas"), ("spec", "predictor", "deploymentStrategy"))
# A webhook of KServe 0.16 and newer writes one for the other; who applied it stays the owner.
_RAW = {"RawDeployment", "Standard"}


def left_to_others(wanted: Mapping[str, Any], live: Mapping[str, Any] | None, *, is_past: bool = False) -> Any:
    """What is to be applied without the fields that are others' to say; `is_past` for a version gone back to."""
    theirs = _of_others(live)
    left = [path for path, value in _leaves(wanted) if _is_left(path, value, live, theirs, is_past)]
    return _without(wanted, set(left))


def given_back(wanted: Mapping[str, Any], former: Mapping[str, Any] | None, live: Mapping[str, Any]) -> dict[str, Any]:
    """What is to be applied for a service to be as it was: values that were taken from others, and nothing of ours."""
    theirs, metadata = _of_others(former), wanted["metadata"]
    identity = {key: metadata[key] for key in ("name", "namespace")}
    made: dict[str, Any] = {"apiVersion": wanted["apiVersion"], "kind": wanted["kind"], "metadata": identity}
    for path, _ in _leaves(left_to_others(wanted, live, is_past=True)):
        value = _at(former, path)
        if value is not None and any(_meet(path, other) for other in theirs):
            at = made
            for key in path[:-1]:
                at = at.setdefault(key, {})
            at[path[-1]] = value
    return made


def is_shared(live: Mapping[str, Any] | None) -> bool:
    """Whether others own anything of what is specified: such an object is not ours to delete."""
    return any(path[0] == "spec" for path in _of_others(live))


def _is_left(path: Path, value: Any, live: Mapping[str, Any] | None, theirs: set[Path], is_past: bool) -> bool:
    # Who sets a part of a size sets all of it.
    whole = next((sized for sized in _SIZING if _meet(path, sized)), path)
    if path in OWN or path[-1].startswith("brakeline/") or not any(_meet(whole, other) for other in theirs):
        return False
    if is_past or whole in _SIZING:
        return True
    found = _at(live, path)
    return found == value or (path == MODE and {found, value} <= _RAW)


def _meet(one: Path, other: Path) -> bool:
    return one[: len(other)] == other or other[: len(one)] == one


def _of_others(live: Mapping[str, Any] | None) -> set[Path]:
    """The fields that other managers own; what a controller notes in the status is no field of the specification."""
    entries = ((live or {}).get("metadata") or {}).get("managedFields") or []
    return {
        path
        for entry in entries
        if entry.get("manager") != MANAGER and not entry.get("subresource")
        for path in _owned(entry.get("fieldsV1") or {})
    }


def _owned(tree: Mapping[str, Any], path: Path = ()) -> Iterator[Path]:
    fields = {key[2:]: inner for key, inner in tree.items() if key.startswith("f:")}
    # "." is the map itself, whoever owns what is in it.
    if not fields and path and tree.keys() != {"."}:
        yield path
    for key, inner in fields.items():
        yield from _owned(inner or {}, (*path, key))


def _leaves(content: Mapping[str, Any], path: Path = ()) -> Iterator[tuple[Path, Any]]:
    for key, value in content.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key), value


def _without(content: Mapping[str, Any], left: set[Path], path: Path = ()) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in content.items():
        here = (*path, key)
        if here in left:
            continue
        if isinstance(value, Mapping) and value:
            inner = _without(value, left, here)
            if inner:
                made[key] = inner
        else:
            made[key] = value
    return made


def _at(content: Any, path: Path) -> Any:
    for key in path:
        content = content.get(key) if isinstance(content, Mapping) else None
    return content
