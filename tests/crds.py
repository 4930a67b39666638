"""What a published CRD allows: defaults filled in, then everything refused that its structural schema does not declare.

Kubernetes, "Extend the Kubernetes API with CustomResourceDefinitions". CEL rules are not run here, nor formats: a real
API server does that (`tests/manifests/apiserver`).
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.conftest import HOUSE

CRDS = HOUSE.parent / "shared" / "crds"
RELEASES = ("rhoai-2.22", "rhoai-3.5")
ALL_RELEASES = "common"  # what every release meets alike: OpenShift's own kinds, and other operators'
_PRESERVES, _INT_OR_STRING = "x-kubernetes-preserve-unknown-fields", "x-kubernetes-int-or-string"
_EMBEDDED = "x-kubernetes-embedded-resource"
_OBJECT_META = {"type": "object", _PRESERVES: True}


@dataclass(frozen=True)
class Schema:
    """One served version of a custom kind."""

    is_namespaced: bool
    structure: dict[str, Any]
    validator: Any

    def defaulted(self, content: dict[str, Any]) -> dict[str, Any]:
        """The object with the schema's defaults."""
        made = copy.deepcopy(content)
        _fill(made, self.structure)
        return made

    def undeclared(self, content: dict[str, Any]) -> list[str]:
        """What no typed object can be made of: unknown fields and wrong types, in the API server's words."""
        return [text for is_typed, text in self._problems(content) if is_typed]

    def invalid(self, content: dict[str, Any]) -> list[str]:
        """What is typed rightly and yet not allowed."""
        return [text for is_typed, text in self._problems(content) if not is_typed]

    def problems(self, content: dict[str, Any]) -> list[str]:
        """Why an API server would not take the object, its own defaults filled in first."""
        return [text for _, text in self._problems(self.defaulted(content))]

    def _problems(self, content: dict[str, Any]) -> list[tuple[bool, str]]:
        found = []
        for error in self.validator.iter_errors(content):
            where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)
            if error.validator == "additionalProperties" and error.schema["additionalProperties"] is False:
                known = error.schema.get("properties", {})
                found += [
                    (True, f"{where}.{name}: field not declared in schema") for name in error.instance.keys() - known
                ]
            else:
                found.append((error.validator == "type", f"{where}: {error.message[:200]}"))
        return found


def published(release: str, api_version: str, kind: str) -> Schema | None:
    """The schema that a release, or all of them, have for a kind; None where neither has one.

    Where the published CRDs are not at hand the test is skipped.
    """
    if not (CRDS / release).is_dir():
        pytest.skip(f"the published CRDs are not there: {CRDS / release}")
    return _find(release, api_version, kind) or _find(ALL_RELEASES, api_version, kind)


@functools.cache
def _find(folder: str, api_version: str, kind: str) -> Schema | None:
    group, _, version = api_version.rpartition("/")
    for file in sorted((CRDS / folder).glob(f"*{group}.yaml")) if group else []:
        spec = _read(file)["spec"]
        if (spec["group"], spec["names"]["kind"]) != (group, kind):
            continue
        for offered in spec["versions"]:
            if offered["name"] == version and offered["served"]:
                structure = offered["schema"]["openAPIV3Schema"]
                return Schema(spec["scope"] == "Namespaced", structure, _Validator(_strict(structure, is_root=True)))
    return None


@functools.cache
def _read(file: Path) -> Any:
    return yaml.load(file.read_text(), Loader=yaml.CSafeLoader)


def _strict(node: dict[str, Any], *, is_root: bool = False) -> dict[str, Any]:
    """The schema as JSON Schema that forbids what is not declared, except where it is said to be preserved."""
    made = {key: value for key, value in node.items() if key != "default" and value is not None}
    declared = {name: _strict(inner) for name, inner in node.get("properties", {}).items()}
    if is_root or node.get(_EMBEDDED):
        declared |= {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": _OBJECT_META}
    if declared:
        made["properties"] = declared
    if isinstance(node.get("items"), dict):
        made["items"] = _strict(node["items"])
    if isinstance(node.get("additionalProperties"), dict):
        made["additionalProperties"] = _strict(node["additionalProperties"])
    elif node.get("type") == "object" and not node.get(_PRESERVES) and "additionalProperties" not in node:
        made["additionalProperties"] = False
    if node.get(_INT_OR_STRING):
        made["type"] = ["integer", "string"]
    if node.get("nullable"):
        made["type"] = [*([made["type"]] if isinstance(made.get("type"), str) else made.get("type", [])), "null"]
        if "enum" in made:
            made["enum"] = [*made["enum"], None]
    return made


def _once_each(_: Any, kind: str, instance: Any, schema: dict[str, Any]) -> Iterator[jsonschema.ValidationError]:
    """A list that is a set holds a value once, one that is a map holds a key once."""
    if kind not in ("set", "map") or not isinstance(instance, list):
        return
    keys = schema.get("x-kubernetes-list-map-keys", [])
    seen = [{key: one.get(key) for key in keys} if kind == "map" and isinstance(one, dict) else one for one in instance]
    for index, one in enumerate(seen):
        if one in seen[:index]:
            yield jsonschema.ValidationError(f"duplicate value: {one}")


_Validator = jsonschema.validators.extend(jsonschema.Draft7Validator, {"x-kubernetes-list-type": _once_each})


def _fill(content: Any, schema: dict[str, Any]) -> None:
    if isinstance(content, dict):
        for name, inner in schema.get("properties", {}).items():
            if "default" in inner and (name not in content or (content[name] is None and not inner.get("nullable"))):
                content[name] = copy.deepcopy(inner["default"])
            if name in content:
                _fill(content[name], inner)
        more = schema.get("additionalProperties")
        if isinstance(more, dict):
            for name, value in content.items():
                if name not in schema.get("properties", {}):
                    _fill(value, more)
    elif isinstance(content, list) and isinstance(schema.get("items"), dict):
        for value in content:
            _fill(value, schema["items"])
