"""Requests over HTTP in every form that the protocol has, and the replies to them, read and checked."""

from __future__ import annotations

import gzip
import json
import random
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tests.serving.conftest import NAME
from tests.serving.questions import Asked, Floats, Question, Wrong, draw

MARKS = {
    *("JSON", "binary inputs", "both kinds of inputs", "binary outputs", "both kinds of outputs", "chunked"),
    *("gzip", "deflate", "gzip reply", "deflate reply"),
    *("id", "parameters", "version asked for", "primary", "some outputs", "bulk", "one row"),
}
_Convert = Callable[[bytes], bytes]
_PACK: dict[str, _Convert] = {"gzip": gzip.compress, "deflate": zlib.compress}
_UNPACK: dict[str, _Convert] = {"gzip": gzip.decompress, "deflate": zlib.decompress}


@dataclass(frozen=True)
class Form:
    """A request as it goes over the wire, and which of its outputs come as binary tensors."""

    asked: Asked
    content: bytes
    binary: tuple[bool, ...]

    def check(self, head: bytes, body: bytes) -> tuple[str, frozenset[str]]:
        """The version that a reply names, and the form's marks with the reply's. Raises Wrong."""
        if not head.startswith(b"HTTP/1.1 200 "):
            raise Wrong(f"{head + body!r} answers {self.content[:500]!r}")
        headers = headers_of(head)
        encoding = headers.get("content-encoding")
        body = _UNPACK[encoding](body) if encoding else body
        said_bytes = int(headers.get("inference-header-content-length", len(body)))
        told, raw = json.loads(body[:said_bytes]), body[said_bytes:]
        version = told["model_version"]
        names = [output["name"] for output in told["outputs"]]
        self.asked.check_envelope(version, told.get("id", ""), told.get("parameters", {}), names)
        for output, binary in zip(told["outputs"], self.binary, strict=True):
            if binary:
                size = output["parameters"]["binary_data_size"]
                self.asked.check_raw(version, output["name"], output["shape"], raw[:size])
                raw = raw[size:]
            else:
                self.asked.check_numbers(version, output["name"], output["shape"], output["data"])
        if raw:
            raise Wrong(f"{self.asked.id}: {len(raw)} bytes behind the last tensor")
        return version, self.asked.marks | ({f"{encoding} reply"} if encoding else frozenset())


def headers_of(head: bytes) -> dict[str, str]:
    """By their names in small letters."""
    split = [line.partition(": ") for line in head.decode().split("\r\n")[1:] if line]
    return {name.lower(): value for name, _, value in split}


def write(chance: random.Random, question: Question, key: str) -> Form:
    """A question in a form of chance."""
    asked = draw(chance, question, key)
    marks = set(asked.marks)
    tensors, raw = _tensors(chance, question, marks)
    said: dict[str, Any] = {"inputs": tensors} | ({"id": asked.id} if asked.id else {})
    outputs, default, binary = _outputs(chance, asked)
    if outputs:
        said["outputs"] = outputs
    if asked.parameters or default is not None:
        said["parameters"] = dict(asked.parameters) | ({} if default is None else {"binary_data_output": default})
    if any(binary):
        marks.add("binary outputs" if all(binary) else "both kinds of outputs")
    text = json.dumps(said).encode()
    lines = [f"Inference-Header-Content-Length: {len(text)}"] if raw else []
    content = _wire(chance, asked.version, lines, text + raw, marks)
    return Form(replace(asked, marks=frozenset(marks)), content, binary)


def _tensors(chance: random.Random, question: Question, marks: set[str]) -> tuple[list[dict[str, Any]], bytes]:
    share = chance.choice((0.0, 0.0, 1.0, 1.0, 0.5))
    names = list(question.columns)
    if chance.random() < 0.3:
        chance.shuffle(names)
    binary = {name: chance.random() < share for name in names}
    tensors, raw = [], b""
    for name in names:
        values = question.columns[name]
        shape = chance.choice(([len(values)], [len(values), 1]))
        tensor: dict[str, Any] = {"name": name, "shape": shape, "datatype": "FP32"}
        if binary[name]:
            tensor["parameters"] = {"binary_data_size": values.nbytes}
            raw += values.tobytes()
        else:
            tensor["data"] = _numbers(values, nested=chance.random() < 0.2)
        tensors.append(tensor)
    kinds = set(binary.values())
    marks.add("both kinds of inputs" if len(kinds) > 1 else "binary inputs" if kinds == {True} else "JSON")
    return tensors, raw


def _numbers(values: Floats, nested: bool) -> list[Any]:
    told = [None if np.isnan(value) else float(value) for value in values]
    return [[value] for value in told] if nested else told


def _outputs(chance: random.Random, asked: Asked) -> tuple[list[dict[str, Any]], bool | None, tuple[bool, ...]]:
    """The outputs as requested (none: all), the default for them, and for each whether it comes as binary."""
    default = chance.choice((None, None, False, True, True))
    if "some outputs" not in asked.marks and list(asked.outputs) == list(_all(asked)):
        return [], default, (bool(default),) * len(asked.outputs)
    own = [chance.choice((None, False, True)) for _ in asked.outputs]
    outputs: list[dict[str, Any]] = [
        {"name": name} | ({} if wanted is None else {"parameters": {"binary_data": wanted}})
        for name, wanted in zip(asked.outputs, own, strict=True)
    ]
    return outputs, default, tuple(bool(default) if wanted is None else wanted for wanted in own)


def _all(asked: Asked) -> Mapping[str, Floats]:
    return next(iter(asked.question.answers.values()))


def _wire(chance: random.Random, version: str, lines: list[str], body: bytes, marks: set[str]) -> bytes:
    encoding = chance.choice((None, None, None, *_PACK))
    if encoding:
        marks.add(encoding)
        lines.append(f"Content-Encoding: {encoding}")
        body = _PACK[encoding](body)
    accepted = chance.choice((None, None, *_UNPACK))
    if accepted:
        lines.append(f"Accept-Encoding: {accepted}")
    if chance.random() < 0.15:
        marks.add("chunked")
        lines.append("Transfer-Encoding: chunked")
        body = _chunked(chance, body)
    else:
        lines.append(f"Content-Length: {len(body)}")
    if chance.random() < 0.2:
        chance.shuffle(lines)
    path = f"/v2/models/{NAME}" + (f"/versions/{version}" if version else "") + "/infer"
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: x", *lines]).encode() + b"\r\n\r\n" + body


def _chunked(chance: random.Random, body: bytes) -> bytes:
    parts, start = [], 0
    while start < len(body):
        part = body[start : start + chance.randint(1, 2000)]
        parts.append(b"%x\r\n%b\r\n" % (len(part), part))
        start += len(part)
    return b"".join(parts) + b"0\r\n\r\n"
