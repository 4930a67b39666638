"""The published description of the Kubeflow Pipelines API (Swagger 2), asked about requests and answers."""

import copy
import email.parser
import email.policy
import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from jsonschema import Draft4Validator

from tests.conftest import HOUSE

DESCRIPTION = HOUSE.parent / "shared" / "openapi" / "kfp-v2beta1.swagger.json"
_FORMATS = {"integer": r"-?\d+", "boolean": "true|false", "string": ".*"}


class Violation(Exception):
    """A request or an answer that the description does not allow."""


@dataclass(frozen=True)
class Call:
    """A request that the description allows: the operation, and what it was given."""

    operation: str
    path: dict[str, str]
    query: dict[str, str]
    body: Any


@dataclass(frozen=True)
class Published:
    """The description."""

    document: dict[str, Any]

    def request(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Call:
        """What a request asks for. Raises Violation."""
        parts = urlsplit(target)
        operation, path = self._operation(method, parts.path)
        told = operation.get("parameters", [])
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        known = {given["name"]: given for given in told if given["in"] == "query"}
        for name, value in query.items():
            if name not in known:
                raise Violation(f"query: found {name}, allowed {sorted(known)}")
            if not re.fullmatch(_FORMATS[known[name]["type"]], value, re.DOTALL):
                raise Violation(f"query {name}: found {value!r}, allowed {known[name]['type']}")
        if any(given["in"] == "formData" for given in told):
            return Call(operation["operationId"], path, query, _uploaded(headers.get("content-type", ""), body))
        taken = next((given for given in told if given["in"] == "body"), None)
        if taken is None:
            if body:
                raise Violation("a body where none is allowed")
            return Call(operation["operationId"], path, query, None)
        if "application/json" not in headers.get("content-type", ""):
            raise Violation("content-type: allowed application/json")
        content = json.loads(body)
        self._check(content, taken["schema"], "body")
        return Call(operation["operationId"], path, query, content)

    def answer(self, operation: str, content: Any, status: int = 200) -> None:
        """Check an answer of an operation. Raises Violation."""
        found = next(
            told for verbs in self.document["paths"].values() for told in verbs.values()
            if told["operationId"] == operation
        )  # fmt: skip
        described = found["responses"].get(str(status)) or found["responses"]["default"]
        self._check(content, described["schema"], f"answer of {operation}")

    def _operation(self, method: str, path: str) -> tuple[dict[str, Any], dict[str, str]]:
        # A path without placeholders goes before one that has them.
        for template, verbs in sorted(self.document["paths"].items(), key=lambda item: "{" in item[0]):
            names = re.findall(r"{([^}]+)}", template)
            pattern = re.sub(r"\\{[^}]+\\}", r"([^/:]+)", re.escape(template))
            if (found := re.fullmatch(pattern, path)) and method.lower() in verbs:
                return verbs[method.lower()], dict(zip(names, map(unquote, found.groups()), strict=True))
        raise Violation(f"no operation {method} {path}")

    def _check(self, content: Any, schema: dict[str, Any], where: str) -> None:
        rules = {**schema, "definitions": self.document["definitions"]}
        if error := next(iter(Draft4Validator(rules).iter_errors(content)), None):
            raise Violation(f"{where}: {error.json_path}: {error.message[:300]}")


@cache
def published() -> Published:
    """The description, read strictly: what a definition does not name is not allowed."""
    document = copy.deepcopy(json.loads(Path(DESCRIPTION).read_text(encoding="utf-8")))
    for definition in document["definitions"].values():
        if definition.get("properties"):
            definition.setdefault("additionalProperties", False)
    return Published(document)


def _uploaded(content_type: str, body: bytes) -> bytes:
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
    if not message.is_multipart():
        raise Violation(f"content-type: found {content_type!r}, allowed multipart/form-data")
    for part in message.iter_parts():
        if part.get_param("name", header="content-disposition") == "uploadfile":
            content = part.get_payload(decode=True)
            assert isinstance(content, bytes)
            return content
    raise Violation("no form field uploadfile")
