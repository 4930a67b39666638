"""Attempts: every model that was judged, passed or refused, so that retraining until one passes shows.

A seed costs nothing, and with enough of them one passes on this very holdout by luck. What was tried on a dataset is
therefore counted by model, not by what was registered.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepkit import verdict
from stepkit.errors import UnreadableArtifact

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Attempt:
    """A verdict about a model, in short. `dataset_sha256` is None where the model tells no dataset."""

    dataset_sha256: str | None
    holdout_sha256: str
    model_sha256: str
    gate_version: int
    passed: bool
    failed: tuple[str, ...] = ()
    recorded_at: str = ""

    def describe(self) -> dict[str, Any]:
        """As JSON, for the champion artifact: nothing that depends on when it was recorded."""
        return {
            "dataset_sha256": self.dataset_sha256,
            "holdout_sha256": self.holdout_sha256,
            "model_sha256": self.model_sha256,
            "gate_version": self.gate_version,
            "passed": self.passed,
        }


@dataclass(frozen=True)
class Count:
    """How many models were judged on a dataset, how many of them were refused at least once, and which one this is."""

    models: int
    refused: int
    number: int | None = None

    def describe(self) -> dict[str, Any]:
        """As JSON."""
        return {"models": self.models, "refused": self.refused, "number": self.number}


def read(file: Path) -> Attempt:
    """The attempt that a verdict is about. Raises UnreadableArtifact."""
    return of(verdict.read(file), file)


def of(judged: Mapping[str, Any], file: Path) -> Attempt:
    """The attempt of a verdict that was read from a file. Raises UnreadableArtifact."""
    expected = f"verdict of schema version {verdict.SCHEMA_VERSION}"
    for name in ("holdout_sha256", "model_sha256"):
        if not _is_sha256(judged.get(name)):
            raise UnreadableArtifact(file, expected, f"{name} is {judged.get(name)!r}")
    gate, training = judged.get("gate_version"), judged.get("training", {})
    if type(gate) is not int or not isinstance(training, dict):
        raise UnreadableArtifact(file, expected, f"gate_version is {gate!r}, training a {type(training).__name__}")
    dataset = training.get("dataset_sha256")
    if dataset is not None and not _is_sha256(dataset):
        raise UnreadableArtifact(file, expected, f"training.dataset_sha256 is {dataset!r}")
    return Attempt(
        dataset_sha256=dataset,
        holdout_sha256=judged["holdout_sha256"],
        model_sha256=judged["model_sha256"],
        gate_version=gate,
        passed=verdict.has_passed(judged),
        failed=tuple(verdict.failed_gates(judged)),
    )


def count(attempts: Iterable[Attempt], dataset_sha256: str | None, model_sha256: str = "") -> Count | None:
    """What was judged on a dataset, and as which of its models, 1 the first, a model was; None for an unknown dataset.

    `attempts` are in the order in which they were recorded. A model judged several times is one model.
    """
    if dataset_sha256 is None:
        return None
    known = [attempt for attempt in attempts if attempt.dataset_sha256 == dataset_sha256]
    models = list(dict.fromkeys(attempt.model_sha256 for attempt in known))
    refused = {attempt.model_sha256 for attempt in known if not attempt.passed}
    return Count(len(models), len(refused), models.index(model_sha256) + 1 if model_sha256 in models else None)


def by_dataset(attempts: Iterable[Attempt]) -> list[dict[str, Any]]:
    """The count of each known dataset as JSON, in the order in which they first came."""
    of_dataset: dict[str, list[Attempt]] = {}
    for attempt in attempts:
        if attempt.dataset_sha256 is not None:
            of_dataset.setdefault(attempt.dataset_sha256, []).append(attempt)
    found = {dataset: count(judged, dataset) for dataset, judged in of_dataset.items()}
    return [
        {"dataset_sha256": dataset, "models": counted.models, "refused": counted.refused}
        for dataset, counted in found.items()
        if counted
    ]


def in_order(attempts: Iterable[Attempt]) -> list[Attempt]:
    """By what they are about: the same set is in the same order, whoever of several runs recorded first."""
    return sorted(
        attempts,
        key=lambda one: (one.dataset_sha256 or "", one.model_sha256, one.holdout_sha256, one.gate_version),
    )


def _is_sha256(value: object) -> bool:
    return isinstance(value, str) and _SHA256.fullmatch(value) is not None
