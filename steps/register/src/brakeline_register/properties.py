"""Custom properties of a Kubeflow Model Registry: typed values, whose integers travel as text."""

import math
from collections.abc import Mapping

from mr_openapi.models import (
    MetadataBoolValue,
    MetadataDoubleValue,
    MetadataIntValue,
    MetadataStringValue,
    MetadataValue,
)

Value = str | int | float | bool


def to_registry(values: Mapping[str, Value]) -> dict[str, MetadataValue]:
    """Values as the registry's. A number that JSON cannot write is left out."""
    return {
        name: MetadataValue(_typed(value))
        for name, value in values.items()
        if not (isinstance(value, float) and not math.isfinite(value))
    }


def of_registry(properties: Mapping[str, MetadataValue] | None) -> dict[str, Value]:
    """The registry's values as ours. Kinds that we do not write (structures, messages) are left out."""
    found: dict[str, Value] = {}
    for name, value in (properties or {}).items():
        match value.actual_instance:
            case MetadataBoolValue(bool_value=told):
                found[name] = bool(told)
            case MetadataIntValue(int_value=told):
                found[name] = int(told)
            case MetadataDoubleValue(double_value=told):
                found[name] = float(told)
            case MetadataStringValue(string_value=told):
                found[name] = str(told)
    return found


def _typed(value: Value) -> MetadataBoolValue | MetadataIntValue | MetadataDoubleValue | MetadataStringValue:
    # A truth is an integer to Python, so it is asked first.
    if isinstance(value, bool):
        return MetadataBoolValue(bool_value=value, metadata_type="MetadataBoolValue")
    if isinstance(value, int):
        return MetadataIntValue(int_value=str(value), metadata_type="MetadataIntValue")
    if isinstance(value, float):
        return MetadataDoubleValue(double_value=value, metadata_type="MetadataDoubleValue")
    return MetadataStringValue(string_value=value, metadata_type="MetadataStringValue")
