"""Rows that a model's contract allows, and what each version of it answers to them in process."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper

from tests.serving.conftest import answers_in_process

Floats = NDArray[np.float32]

BULK_ROWS = 129  # from here on the server answers in a thread of its own
MOST_ROWS = 200
_COUNTS = (1, 1, 1, 1, 1, 1, 2, 3, 128, BULK_ROWS, MOST_ROWS, 0)  # 0: any
_SHARE_MISSING, _SHARE_LEFT_OUT = 0.1, 0.2


class Wrong(Exception):
    """An answer that is not what the model answers."""


@dataclass(frozen=True)
class Question:
    """Columns (N,) by feature, NaN for what is missing, and the answers (N,) by version and output.

    A feature that no row has is not among the columns.
    """

    columns: Mapping[str, Floats]
    answers: Mapping[str, Mapping[str, Floats]]

    @property
    def rows(self) -> int:
        """N."""
        return len(next(iter(self.columns.values())))


@dataclass(frozen=True)
class Asked:
    """A question in one request: what that must be answered with, whatever its form, which `marks` name."""

    question: Question
    id: str
    parameters: Mapping[str, str | int]
    version: str
    outputs: tuple[str, ...]
    marks: frozenset[str]

    def check_envelope(self, version: str, told_id: str, parameters: object, outputs: Sequence[str]) -> None:
        """Raises Wrong unless the reply is to this request, of the version asked for, with its outputs in order."""
        if self.version and version != self.version:
            raise Wrong(f"{self.id}: version {version}, asked for {self.version}")
        if told_id != self.id or parameters != self.parameters or tuple(outputs) != self.outputs:
            raise Wrong(f"{self}: answered as {told_id}, {parameters}, {outputs}")

    def check_raw(self, version: str, output: str, shape: Sequence[int], told: bytes) -> None:
        """Raises Wrong unless these are the float32 that the version answers."""
        expected = self.question.answers[version][output]
        if list(shape) != [len(expected), 1] or told != expected.tobytes():
            raise Wrong(f"{self.id}, {version}, {output}: {np.frombuffer(told, np.float32)}, expected {expected}")

    def check_numbers(self, version: str, output: str, shape: Sequence[int], told: list[float | None]) -> None:
        """Raises Wrong unless these are the numbers that the version answers, null for what is not finite."""
        answers = self.question.answers[version][output].astype(float)
        expected = np.where(np.isfinite(answers), answers, np.nan)
        found = np.array([np.nan if value is None else value for value in told], dtype=float)
        # Bytes tell -0 from 0, too.
        if list(shape) != [len(expected), 1] or found.tobytes() != expected.tobytes():
            raise Wrong(f"{self.id}, {version}, {output}: {told}, expected {expected}")


def draw(chance: random.Random, question: Question, key: str) -> Asked:
    """A request for a question: with an id or not, with parameters, a version, some of the outputs, or without."""
    (outputs, *_) = question.answers.values()
    wanted = chance.sample(list(outputs), chance.randint(1, len(outputs))) if chance.random() < 0.5 else list(outputs)
    # Requests without id and parameters are alike but for their values, which is what the server knows to read fast.
    has_id, has_parameters, has_version = (chance.random() < share for share in (0.6, 0.3, 0.3))
    version = chance.choice(list(question.answers)) if has_version else ""
    said = {
        "id": has_id,
        "parameters": has_parameters,
        "version asked for": has_version,
        "primary": not has_version,
        "some outputs": len(wanted) < len(outputs),
        "bulk": question.rows >= BULK_ROWS,
        "one row": question.rows == 1,
    }
    return Asked(
        question,
        key if has_id else "",
        {"caller": key, "turn": chance.randint(-(2**40), 2**40)} if has_parameters else {},
        version,
        tuple(wanted),
        frozenset(mark for mark, holds in said.items() if holds),
    )


def questions(models: Mapping[str, Path], number: int, seed: int) -> list[Question]:
    """So many of 1 to 200 rows, by a contract that the models share."""
    (first, *_) = models.values()
    told = ort.InferenceSession(str(first)).get_modelmeta().custom_metadata_map["brakeline.contract"]
    features: list[dict[str, Any]] = json.loads(told)["features"]
    chance = np.random.default_rng(seed)
    counts = [int(count) or int(chance.integers(1, MOST_ROWS + 1)) for count in chance.choice(_COUNTS, number)]
    columns = {feature["name"]: _column(chance, feature, counts) for feature in features}
    shaped = {name: values.reshape(-1, 1) for name, values in columns.items()}
    answers = {version: answers_in_process(file, **shaped) for version, file in models.items()}
    asked, end = [], 0
    for count in counts:
        start, end = end, end + count
        part = {name: values[start:end] for name, values in columns.items()}
        given = {name: values for name, values in part.items() if not (_may_lack(features, name, values))}
        told_by = {v: {name: got[start:end, 0].copy() for name, got in by.items()} for v, by in answers.items()}
        asked.append(Question(given, told_by))
    return asked


def _column(chance: np.random.Generator, feature: dict[str, Any], counts: list[int]) -> Floats:
    parts = []
    for count in counts:
        values = chance.uniform(feature["low"], feature["high"], count)
        left_out = feature["missing_allowed"] and chance.random() < _SHARE_LEFT_OUT
        values[chance.random(count) < (1.0 if left_out else _SHARE_MISSING)] = np.nan
        parts.append(values)
    return np.concatenate(parts).astype(np.float32)


def _may_lack(features: list[dict[str, Any]], name: str, values: Floats) -> bool:
    optional = {feature["name"] for feature in features if feature["missing_allowed"]}
    return name in optional and bool(np.isnan(values).all())


def write_changed(source: Path, path: Path, factor: float = 1.5) -> Path:
    """Another version of a model: the same graph, whose every output is so many times as much."""
    model = onnx.load(str(source))
    graph = model.graph
    outputs = {output.name for output in graph.output}
    for node in graph.node:
        for names in (node.input, node.output):
            for at, name in enumerate(names):
                names[at] = f"{name}.before" if name in outputs else name
    graph.initializer.append(helper.make_tensor("factor", TensorProto.FLOAT, [1], [factor]))
    graph.node.extend(helper.make_node("Mul", [f"{name}.before", "factor"], [name]) for name in sorted(outputs))
    (golden,) = (entry for entry in model.metadata_props if entry.key == "brakeline.golden")
    told = json.loads(golden.value)
    told["outputs"] = {
        name: [None if value is None else value * factor for value in values]
        for name, values in told["outputs"].items()
    }
    golden.value = json.dumps(told)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))
    return path
