"""Reading requests for one model and writing its replies over HTTP, with all that is known beforehand worked out.

The usual requests (one row as JSON; binary tensors behind a JSON seen before) are read here without a step too many;
every other goes to `infer`, which either understands it or says what is wrong. Both read the same values.
"""

import struct
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
import numpy as np

from brakeline_serving import infer
from brakeline_serving.ask import Answers, Ask, Form
from brakeline_serving.errors import BodyTooLarge
from brakeline_serving.infer import Parameter, Signature
from brakeline_serving.lane import Column

_MOST_KEPT = 256  # forms, orders and headers of binary requests; beyond it they are forgotten and worked out anew
_LONGEST_KEPT_BYTES = 8192
_MOST_BYTES_OF_A_VALUE, _LONGEST_FRAME_BYTES = 32, 64 * 1024  # in JSON, with what is around it; and all else
_NAN = float("nan")
_encode = msgspec.json.Encoder().encode


class _Row(msgspec.Struct, gc=False):
    name: str
    shape: Annotated[list[Literal[1]], msgspec.Meta(min_length=1, max_length=2)]
    datatype: Literal["FP32"]
    data: tuple[float | None]
    parameters: None = None


class _Output(msgspec.Struct, gc=False):
    name: str
    parameters: None = None


class _OneRow(msgspec.Struct, gc=False):
    inputs: list[_Row]
    outputs: list[_Output] | None = None
    id: Annotated[str, msgspec.Meta(max_length=infer.MAX_ID)] | None = None
    parameters: dict[str, Parameter] | None = None


_one_row = msgspec.json.Decoder(_OneRow)


@dataclass(frozen=True, slots=True)
class _Header:
    """The JSON before binary tensors that hold every feature, in the graph's order."""

    count: int
    form: Form
    id: str | None
    parameters: dict[str, Parameter] | None


class Codec:
    """Requests for one version of a model, and its replies."""

    def __init__(self, name: str, version: str, signature: Signature) -> None:
        self._signature = signature
        self._pack = struct.Struct(f"<{len(signature.features)}f").pack
        self._start = b'{"model_name":%b,"model_version":%b,' % (_encode(name), _encode(version))
        self._row_start = self._start.replace(b"%", b"%%")
        self._orders: dict[tuple[str, ...], list[int] | None] = {signature.features: None}
        self._forms: dict[tuple[str, ...], Form] = {}
        self._headers: dict[bytes, _Header] = {}
        # A larger one has no answer, and reading it would keep others waiting.
        self._most_json_bytes = infer.MAX_ROWS * len(signature.features) * _MOST_BYTES_OF_A_VALUE + _LONGEST_FRAME_BYTES
        self.all = self._form(tuple(signature.outputs), ())

    def read(self, body: bytes, json_bytes: int | None) -> Ask:
        """A request's rows and what it wants. Raises what `infer` raises."""
        if json_bytes is None:
            return self._read_row(body) or self._read_any(body, None)
        header = self._headers.get(body[:json_bytes])
        if header is None:
            return self._read_any(body, json_bytes)
        raw = body[json_bytes:]
        if len(raw) != 4 * header.count * len(self._signature.features):
            return self._read_any(body, json_bytes)
        if header.count > 1:
            raw = np.frombuffer(raw, np.float32).reshape(-1, header.count).T.tobytes()
        return Ask(raw, header.count, header.form, header.id, header.parameters)

    def _read_row(self, body: bytes) -> Ask | None:
        try:
            request = _one_row.decode(body)
            order = self._order(tuple([tensor.name for tensor in request.inputs]))
            values = [tensor.data[0] for tensor in request.inputs]
            if order is not None:
                values.append(None)  # which stands for what is left out
                values = [values[place] for place in order]
            if None in values:
                values = [_NAN if value is None else value for value in values]
            rows = self._pack(*values)
        except (ValueError, RecursionError, LookupError, OverflowError):
            return None
        form = self.all
        if request.outputs:
            found = self._forms.get(tuple([output.name for output in request.outputs]))
            if found is None:
                return None
            form = found
        if request.parameters and request.parameters.get("binary_data_output"):
            return None
        return Ask(rows, 1, form, request.id, request.parameters)

    def _order(self, names: tuple[str, ...]) -> list[int] | None:
        """Where each feature's value stands among the inputs named; None: they stand in the graph's order."""
        if names not in self._orders:
            features = self._signature.features
            if len(set(names)) != len(names) or not names or not set(names) <= set(features):
                raise LookupError
            if not set(features) - set(names) <= self._signature.optional:
                raise LookupError
            if len(self._orders) >= _MOST_KEPT:
                self._orders = {features: None}
            self._orders[names] = [names.index(name) if name in names else -1 for name in features]
        return self._orders[names]

    def _read_any(self, body: bytes, json_bytes: int | None) -> Ask:
        if (json_bytes or len(body)) > self._most_json_bytes:
            raise BodyTooLarge(self._most_json_bytes, "JSON")
        request, raw = infer.decode(body, json_bytes)
        ask = self.read_parsed(request, raw)
        features = self._signature.features
        ordered = [tensor.name for tensor in request.inputs] == list(features)
        if json_bytes and len(raw) == 4 * ask.count * len(features) and ordered and json_bytes <= _LONGEST_KEPT_BYTES:
            if len(self._headers) >= _MOST_KEPT:
                self._headers.clear()
            self._headers[body[:json_bytes]] = _Header(ask.count, ask.form, ask.id, ask.parameters)
        return ask

    def read_parsed(self, request: infer.Request, raw: memoryview) -> Ask:
        """The rows of a request and what it wants; `raw` holds its binary tensors. Raises what `infer` raises."""
        infer.check_id(request)
        names = tuple(infer.wanted_outputs(self._signature, request))
        form = self._form(names, infer.binary_outputs(request, names))
        columns = infer.columns_of(self._signature, request, raw)
        features = self._signature.features
        return Ask(rows_of(columns, features), len(columns[features[0]]), form, request.id, request.parameters)

    def _form(self, names: tuple[str, ...], binary: tuple[bool, ...]) -> Form:
        plain = not any(binary)
        known = self._forms.get(names) if plain else None
        if known is not None:
            return known
        places = tuple(list(self._signature.outputs).index(name) for name in names)
        said = b'"data":[%%b]' if plain else b'"parameters":{"binary_data_size":4}'
        one = b'{"name":%b,"datatype":"FP32","shape":[1,1],' + said + b"}"
        parts = [one % _encode(name).replace(b"%", b"%%") for name in names]
        template = self._row_start + b'%b"outputs":[' + b",".join(parts) + b"]}"
        form = Form(names, places, binary if not plain else (), template)
        if plain:
            if len(self._forms) >= _MOST_KEPT:
                self._forms.clear()
            self._forms[names] = form
        return form

    def write(self, ask: Ask, answers: Answers, start: int) -> tuple[bytes, int | None]:
        """The reply's body, and the length of its JSON if binary tensors follow it, else None.

        In JSON, data are flat and what is not finite is null; in binary, float32 as the model gave them.
        """
        extra = _extra(ask) if ask.id is not None or ask.parameters else b""
        form = ask.form
        if ask.count == 1 and not form.binary:
            numbers = answers.numbers(start)
            if form is not self.all:
                numbers = [numbers[place] for place in form.places]
            return form.template % (extra, *numbers), None
        if ask.count == 1 and all(form.binary):
            head = form.template % extra
            return head + answers.matrix[form.columns, start].tobytes(), len(head)
        outputs: list[bytes] = []
        raw: list[bytes] = []
        for at, (name, place) in enumerate(zip(form.names, form.places, strict=True)):
            values = answers.matrix[place, start : start + ask.count]
            described = b'{"name":%b,"datatype":"FP32","shape":[%d,1],' % (_encode(name), ask.count)
            if form.binary and form.binary[at]:
                raw.append(values.tobytes())
                outputs.append(described + b'"parameters":{"binary_data_size":%d}}' % len(raw[-1]))
            else:
                outputs.append(described + b'"data":' + _encode(values.tolist()) + b"}")
        head = b'%b%b"outputs":[%b]}' % (self._start, extra, b",".join(outputs))
        return (b"".join((head, *raw)), len(head)) if raw else (head, None)


def _extra(ask: Ask) -> bytes:
    """Id and parameters, echoed but for what only steers this reply's form."""
    said = b"" if ask.id is None else b'"id":%b,' % _encode(ask.id)
    echoed = {key: value for key, value in (ask.parameters or {}).items() if key != "binary_data_output"}
    return said + (b'"parameters":%b,' % _encode(echoed) if echoed else b"")


def rows_of(columns: dict[str, Column], features: tuple[str, ...]) -> bytes:
    """Columns (N, 1) as rows, float32 one after the other."""
    return np.concatenate([columns[name] for name in features], axis=1, dtype=np.float32).tobytes()
