"""gRPC's form of an inference request, turned into the one that `infer` reads and checks."""

from collections.abc import Mapping
from typing import Any

from brakeline_serving import infer
from brakeline_serving.errors import FieldRefused
from brakeline_serving.infer import Parameter, Request


def to_request(asked: Any) -> tuple[Request, memoryview]:
    """A ModelInferRequest as a request with binary tensors and these. Raises FieldRefused.

    Values are in `raw_input_contents`, one entry for each input, or in the inputs' own `fp32_contents`.
    """
    raw = list(asked.raw_input_contents)
    if raw and len(raw) != len(asked.inputs):
        raise FieldRefused("raw_input_contents", f"{len(raw)} entries", f"one for each of {len(asked.inputs)} inputs")
    inputs = [_input(tensor, raw[at] if raw else None) for at, tensor in enumerate(asked.inputs)]
    outputs = [_output(tensor) for tensor in asked.outputs]
    request = Request(
        inputs=inputs, outputs=outputs or None, id=asked.id or None, parameters=from_map(asked.parameters) or None
    )
    return request, memoryview(b"".join(raw))


def _input(tensor: Any, raw: bytes | None) -> infer.Input:
    given = from_map(tensor.parameters)
    region = "shared_memory_region" if "shared_memory_region" in given else None
    size = None if raw is None else len(raw)
    data: list[Any] | None = None
    if raw is None:
        data = list(tensor.contents.fp32_contents)
    elif tensor.contents.ByteSize():
        raise FieldRefused(tensor.name, "contents and raw_input_contents", "one of the two")
    parameters = infer.InputParameters(binary_data_size=size, shared_memory_region=region)
    return infer.Input(tensor.name, list(tensor.shape), tensor.datatype, data, parameters)


def _output(tensor: Any) -> infer.Output:
    given = from_map(tensor.parameters)
    number = given.get("classification", 0)
    classification = number if isinstance(number, int) else 1
    region = "shared_memory_region" if "shared_memory_region" in given else None
    parameters = infer.OutputParameters(classification=classification, shared_memory_region=region)
    return infer.Output(tensor.name, parameters)


def from_map(parameters: Mapping[str, Any]) -> dict[str, Parameter]:
    """A map of InferParameter as plain values."""
    return {name: _value(value) for name, value in parameters.items()}


def _value(value: Any) -> Parameter:
    which = value.WhichOneof("choice")
    found: Parameter = getattr(value, which) if which else None
    return found


def set_parameters(target: Any, parameters: Mapping[str, Parameter]) -> None:
    """Write plain values into a map of InferParameter."""
    for name, value in parameters.items():
        if name == "binary_data_output":
            continue
        match value:
            case None:
                target[name].SetInParent()
            case bool():
                target[name].bool_param = value
            case int() if value >= 2**63:
                target[name].uint64_param = value
            case int():
                target[name].int64_param = value
            case float():
                target[name].double_param = value
            case str():
                target[name].string_param = value
