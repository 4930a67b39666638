"""A published API description as what a server holds its requests, and itself, to."""

from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from tests.conftest import HOUSE

GENERATIONS = ("0.2.19", "0.3.8")
FOLDER = HOUSE.parent / "shared" / "openapi"


class Breach(Exception):
    """What was sent is not what the description allows."""


@dataclass(frozen=True)
class Operation:
    """An operation of the description, as it was asked for: its path's parameters by name."""

    name: str
    within: dict[str, str]
    query: frozenset[str]
    body: str
    answers: dict[str, str]


@cache
def described(generation: str) -> "Description":
    """A generation's description, read once."""
    return Description(generation)


class Description:
    """One generation of the Model Registry's API."""

    def __init__(self, generation: str) -> None:
        # The C loader, with the safe one's few types.
        self._content = yaml.load(file_of(generation).read_text(), yaml.CSafeLoader)
        self._validators: dict[str, Any] = {}

    def operation(self, method: str, path: str) -> Operation | None:
        """The operation that a request is for, or None for a path or method that the API does not have."""
        for template, entry in self._content["paths"].items():
            within = _match(template, path)
            if within is not None and method.lower() in entry:
                return self._operation(entry, entry[method.lower()], within)
        return None

    def check_body(self, operation: Operation, body: Any) -> None:
        """Hold a request's body to its schema; a field that it does not name is refused. Raises Breach."""
        self._check(operation.body, body)
        told = body.keys() & {"createTimeSinceEpoch", "lastUpdateTimeSinceEpoch"}
        if told:
            raise Breach(f"{sorted(told)}: read only")

    def check_query(self, operation: Operation, query: dict[str, str]) -> None:
        """Hold a request's query to its parameters. Raises Breach."""
        if unknown := query.keys() - operation.query:
            raise Breach(f"{sorted(unknown)}: no parameters of {operation.name}")
        for name, schema in (("orderBy", "OrderByField"), ("sortOrder", "SortOrder")):
            if name in query:
                self._check(schema, query[name])

    def check_answer(self, operation: Operation, status: int, body: Any) -> None:
        """Hold an answer to what the description says of the operation. Raises Breach."""
        if str(status) not in operation.answers:
            raise Breach(f"{operation.name} never answers {status}")
        self._check(operation.answers[str(status)], body)

    def _operation(self, entry: dict[str, Any], told: dict[str, Any], within: dict[str, str]) -> Operation:
        parameters = [self._resolved(one) for one in (*entry.get("parameters", []), *told.get("parameters", []))]
        answers = {status: self._schema_of(self._resolved(answer)) for status, answer in told["responses"].items()}
        body = self._schema_of(told["requestBody"]) if "requestBody" in told else ""
        query = frozenset(one["name"] for one in parameters if one["in"] == "query")
        return Operation(told["operationId"], within, query, body, answers)

    def _resolved(self, part: dict[str, Any]) -> dict[str, Any]:
        if "$ref" not in part:
            return part
        found: Any = self._content
        for key in part["$ref"].removeprefix("#/").split("/"):
            found = found[key]
        return dict(found)

    @staticmethod
    def _schema_of(part: dict[str, Any]) -> str:
        return str(part["content"]["application/json"]["schema"]["$ref"]).rpartition("/")[2]

    def _check(self, schema: str, value: Any) -> None:
        if schema not in self._validators:
            document = {**self._schemas, "$ref": f"#/components/schemas/{schema}", "unevaluatedProperties": False}
            self._validators[schema] = jsonschema.Draft202012Validator(document)
        for error in self._validators[schema].iter_errors(value):
            where = "/".join(map(str, error.absolute_path))
            raise Breach(f"{where or schema}: {error.message[:200]}")

    @cached_property
    def _schemas(self) -> dict[str, Any]:
        schemas = {name: _strict(schema) for name, schema in self._content["components"]["schemas"].items()}
        return {"components": {"schemas": schemas}}


def _strict(schema: Any) -> Any:
    """The description's dialect as JSON Schema: a discriminator decides, and 64-bit integers are digits in text."""
    if isinstance(schema, list):
        return [_strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    told = {key: _strict(part) for key, part in schema.items()}
    if isinstance(told.get("discriminator"), dict) and "oneOf" in told:
        return _decided(told["discriminator"])
    if told.get("type") == "string" and told.get("format") == "int64":
        told["pattern"] = "^-?[0-9]+$"
    return told


def _decided(discriminator: dict[str, Any]) -> dict[str, Any]:
    name, mapping = discriminator["propertyName"], discriminator["mapping"]
    cases = [
        {"if": {"properties": {name: {"const": value}}, "required": [name]}, "then": {"$ref": reference}}
        for value, reference in mapping.items()
    ]
    return {"type": "object", "required": [name], "properties": {name: {"enum": list(mapping)}}, "allOf": cases}


def _match(template: str, path: str) -> dict[str, str] | None:
    wanted, given = template.split("/"), path.split("/")
    if len(wanted) != len(given):
        return None
    pairs = list(zip(wanted, given, strict=True))
    if any(one != other for one, other in pairs if not one.startswith("{")):
        return None
    return {one.strip("{}"): other for one, other in pairs if one.startswith("{")}


def file_of(generation: str) -> Path:
    """The file of a description."""
    return FOLDER / f"model-registry-v{generation}.yaml"
