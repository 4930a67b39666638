"""An inference request in the Open Inference Protocol, in any of its forms: JSON and binary tensors to columns.

In a body with binary tensors, `Inference-Header-Content-Length` bytes of JSON come first, then the raw
little-endian float32 of each such input, in the inputs' order; replies are laid out the same way. This reader says
what is wrong with a request; `codec` reads the usual ones without it.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol, cast

import msgspec
import numpy as np

from brakeline_serving.errors import FieldRefused, InputMissing, Malformed
from brakeline_serving.lane import Column

MAX_ROWS = 10_000
MAX_ID = 1_000  # characters
DATATYPE = "FP32"

_ITEM_BYTES = 4
_MISSING_ROW = np.full((1, 1), np.nan, dtype=np.float32)
_MISSING_ROW.flags.writeable = False


class InputParameters(msgspec.Struct):
    """Where an input's values are, if not in `data`."""

    binary_data_size: int | None = None
    shared_memory_region: str | None = None


class Input(msgspec.Struct):
    """A tensor of values, by name."""

    name: str
    shape: list[int]
    datatype: str
    data: list[float | list[float | None] | None] | None = None
    parameters: InputParameters | None = None


class OutputParameters(msgspec.Struct):
    """How an output is wanted."""

    binary_data: bool | None = None
    classification: int = 0
    shared_memory_region: str | None = None


class Output(msgspec.Struct):
    """An output asked for."""

    name: str
    parameters: OutputParameters | None = None


Parameter = bool | int | float | str | None


class Request(msgspec.Struct):
    """The JSON part of an inference request."""

    inputs: list[Input]
    outputs: list[Output] | None = None
    id: str | None = None
    parameters: dict[str, Parameter] | None = None


class Signature(Protocol):
    """What a request must fit: the model's tensors by name."""

    @property
    def features(self) -> tuple[str, ...]:
        """Inputs in the graph's order."""

    @property
    def optional(self) -> frozenset[str]:
        """Inputs that may be left out."""

    @property
    def outputs(self) -> Mapping[str, object]:
        """Outputs in the graph's order."""


_decoder = msgspec.json.Decoder(Request)


def decode(body: bytes, json_bytes: int | None) -> tuple[Request, memoryview]:
    """Split a body into its JSON and what follows it; `json_bytes` None means that all of it is JSON.

    Raises Malformed for what is no JSON or no inference request.
    """
    if json_bytes is not None and json_bytes > len(body):
        raise FieldRefused("Inference-Header-Content-Length", json_bytes, f"0 to {len(body)}, the body's bytes")
    view = memoryview(body)
    end = len(body) if json_bytes is None else json_bytes
    try:
        return _decoder.decode(view[:end]), view[end:]
    except (ValueError, RecursionError) as error:
        raise Malformed("inference request", str(error)) from error


def columns_of(model: Signature, request: Request, raw: memoryview) -> dict[str, Column]:
    """The request's rows as one column of shape (N, 1) per feature of the model, missing values as NaN.

    Raises FieldRefused or InputMissing, which name the input, what was found and what is allowed.
    """
    columns: dict[str, Column] = {}
    lists: dict[str, list[float | None]] = {}
    rows = offset = 0
    for tensor in request.inputs:
        if tensor.name in lists or tensor.name in columns:
            raise FieldRefused("inputs", f"{tensor.name} twice", "each input once")
        rows = _check(model, tensor, rows)
        size = tensor.parameters.binary_data_size if tensor.parameters else None
        if size is None:
            lists[tensor.name] = _from_json(tensor, rows)
        else:
            columns[tensor.name] = _from_binary(tensor, rows, raw[offset : offset + max(size, 0)], size)
            offset += size
    if offset != len(raw):
        found = f"{offset} bytes in all"
        raise FieldRefused("binary_data_size", found, f"the {len(raw)} bytes after the JSON")
    if lists:
        # JSON's numbers may exceed float32: they become infinite, which the model's fail-safe answers.
        with np.errstate(over="ignore"):
            matrix = np.array(list(lists.values()), dtype=np.float32).reshape(len(lists), rows, 1)
        columns.update(zip(lists, matrix, strict=True))
    return _with_missing(model, columns, rows)


def _check(model: Signature, tensor: Input, earlier_rows: int) -> int:
    """The tensor's number of rows, once its name, datatype and shape are found to be allowed."""
    name, shape = tensor.name, tensor.shape
    if name not in model.features:
        raise FieldRefused("inputs", f"unknown name {name[:200]}", ", ".join(model.features))
    if tensor.datatype != DATATYPE:
        raise FieldRefused(f"{name}: datatype", tensor.datatype[:50], DATATYPE)
    if not (len(shape) == 1 or (len(shape) == 2 and shape[1] == 1)):
        raise FieldRefused(f"{name}: shape", shape[:8], "[N, 1] or [N]")
    if not 1 <= shape[0] <= MAX_ROWS:
        raise FieldRefused(f"{name}: shape", shape, f"1 to {MAX_ROWS} rows")
    if earlier_rows not in (0, shape[0]):
        raise FieldRefused(f"{name}: shape", f"{shape[0]} rows", f"{earlier_rows} rows as in the inputs before")
    if tensor.parameters and tensor.parameters.shared_memory_region is not None:
        raise FieldRefused(f"{name}: parameters", "shared_memory_region", "data or binary_data_size")
    return shape[0]


def _from_json(tensor: Input, rows: int) -> list[float | None]:
    data = tensor.data
    if data is None:
        raise FieldRefused(f"{tensor.name}: data", "none", "data or, with binary tensors, binary_data_size")
    if len(data) != rows:
        raise FieldRefused(f"{tensor.name}: data", f"{len(data)} rows", f"{rows} as in its shape")
    nested = sum(isinstance(row, list) for row in data) if rows > 1 else int(isinstance(data[0], list))
    if nested not in (0, rows):
        raise FieldRefused(f"{tensor.name}: data", "rows and bare numbers mixed", "one of the two")
    if nested == 0:
        return cast(list[float | None], data)
    for row in cast(list[list[float | None]], data):
        if len(row) != 1:
            raise FieldRefused(f"{tensor.name}: data", f"a row of {len(row)} values", "one value per row")
    return [row[0] for row in cast(list[list[float | None]], data)]


def _from_binary(tensor: Input, rows: int, raw: memoryview, size: int) -> Column:
    if tensor.data is not None:
        raise FieldRefused(tensor.name, "data and binary_data_size", "one of the two")
    if size != rows * _ITEM_BYTES:
        allowed = f"{rows * _ITEM_BYTES} for {rows} rows of FP32"
        raise FieldRefused(f"{tensor.name}: binary_data_size", size, allowed)
    if len(raw) != size:
        found = f"{len(raw)} bytes after the JSON (Inference-Header-Content-Length says where it ends)"
        raise FieldRefused(f"{tensor.name}: binary_data_size", found, f"{size} bytes")
    # A copy, since what follows the JSON is rarely aligned.
    return np.frombuffer(raw, dtype="<f4").astype(np.float32).reshape(rows, 1)


def _with_missing(model: Signature, columns: dict[str, Column], rows: int) -> dict[str, Column]:
    absent = [name for name in model.features if name not in columns]
    if not absent:
        return columns
    required = [name for name in absent if name not in model.optional]
    if required or not columns:
        raise InputMissing(required or absent)
    missing = _MISSING_ROW if rows == 1 else np.full((rows, 1), np.nan, dtype=np.float32)
    return columns | dict.fromkeys(absent, missing)


def wanted_outputs(model: Signature, request: Request) -> list[str]:
    """The names of the outputs to answer with: those asked for, or all. Raises FieldRefused."""
    if not request.outputs:
        return list(model.outputs)
    names = [output.name for output in request.outputs]
    for output in request.outputs:
        if output.name not in model.outputs:
            raise FieldRefused("outputs", f"unknown name {output.name[:200]}", ", ".join(model.outputs))
        if output.parameters and (output.parameters.classification or output.parameters.shared_memory_region):
            raise FieldRefused(f"{output.name}: parameters", "classification or shared memory", "binary_data")
    if len(set(names)) != len(names):
        raise FieldRefused("outputs", "a name twice", "each output once")
    return names


def binary_outputs(request: Request, names: Sequence[str]) -> tuple[bool, ...]:
    """For each of the outputs asked for, whether it is wanted as a binary tensor. Raises FieldRefused."""
    default = (request.parameters or {}).get("binary_data_output", False)
    if not isinstance(default, bool):
        raise FieldRefused("parameters: binary_data_output", repr(default)[:50], "true or false")
    if not request.outputs:
        return (default,) * len(names)
    own = [output.parameters.binary_data if output.parameters else None for output in request.outputs]
    return tuple(default if wanted is None else wanted for wanted in own)


def check_id(request: Request) -> None:
    """Raises FieldRefused for an id too long to be carried along."""
    if request.id is not None and len(request.id) > MAX_ID:
        raise FieldRefused("id", f"{len(request.id)} characters", f"at most {MAX_ID}")
