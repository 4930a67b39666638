"""What a published CRD allows: defaults filled in, then everything refused that its schema does not declare."""

from __future__ import annotations

import copy
import functools
import json
from typing import Any

import jsonschema
import pytest
import yaml

from tests.conftest import HOUSE

CRDS = HOUSE.parent / "shared" / "crds"
FILE = "inferenceservices.serving.kserve.io.yaml"
RELEASES = ("rhoai-2.22", "rhoai-3.5")


class Schema:
    """One version's schema of InferenceService."""

    def __init__(self, release: str) -> None:
        if not (CRDS / release / FILE).is_file():
            pytest.skip(f"the published CRDs are not there: {CRDS / release}")
        self.release = release
        self._schema, self._validator = _read(release)

    def defaulted(self, content: dict[str, Any]) -> dict[str, Any]:
        """The object with the schema's defaults."""
        made = copy.deepcopy(content)
        _fill(made, self._schema)
        return made

    def undeclared(self, content: dict[str, Any]) -> list[str]:
        """What no typed object can be made of: unknown fields and wrong types, in the API server's words."""
        return [text for is_typed, text in self._problems(content) if is_typed]

    def invalid(self, content: dict[str, Any]) -> list[str]:
        """What is typed rightly and yet not allowed."""
        return [text for is_typed, text in self._problems(content) if not is_typed]

    def _problems(self, content: dict[str, Any]) -> list[tuple[bool, str]]:
        found = []
        for error in self._validator.iter_errors({key: value for key, value in content.items() if key != "metadata"}):
            where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)
            if error.validator == "additionalProperties":
                known = error.schema["properties"]
                found += [
                    (True, f"{where}.{name}: field not declared in schema") for name in error.instance.keys() - known
                ]
            else:
                found.append((error.validator == "type", f"{where}: {error.message[:200]}"))
        return found


@functools.cache
def _read(release: str) -> tuple[Any, Any]:
    crd = yaml.load((CRDS / release / FILE).read_text(), Loader=yaml.CSafeLoader)
    (version,) = [one for one in crd["spec"]["versions"] if one["name"] == "v1beta1"]
    schema = version["schema"]["openAPIV3Schema"]
    strict = json.loads(json.dumps(schema))
    _tighten(strict)
    strict["properties"]["metadata"] = {"type": "object"}
    return schema, jsonschema.Draft7Validator(strict)


def _tighten(node: Any) -> None:
    """Forbid what is not declared, except where the schema says that it preserves it."""
    if isinstance(node, list):
        for one in node:
            _tighten(one)
    if not isinstance(node, dict):
        return
    for value in list(node.values()):
        _tighten(value)
    if isinstance(node.get("properties"), dict) and not node.get("x-kubernetes-preserve-unknown-fields"):
        node.setdefault("additionalProperties", False)
    if node.get("x-kubernetes-int-or-string"):
        node["type"] = ["integer", "string"]
    elif node.get("nullable") and isinstance(node.get("type"), str):
        node["type"] = [node["type"], "null"]


def _fill(content: Any, schema: Any) -> None:
    if isinstance(content, dict):
        for name, inner in schema.get("properties", {}).items():
            if name not in content and "default" in inner:
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
