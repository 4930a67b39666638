"""The lineage of a version as register closed it, and what artifacts tell of themselves: calls, linked by sha256."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from brakeline.content import LINEAGE_FILE

CHAIN = "brakeline_lineage"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
SCHEMA_VERSION = 1


class Unreadable(Exception):
    """What should tell a lineage tells none."""


@dataclass(frozen=True)
class Call:
    """One call of a step: who, from which inputs (sha256s by name, in order), to which outputs (sha256 by name)."""

    step: str
    verb: str
    version: str
    kit: str
    image: str
    revision: str
    parameters: Mapping[str, Any]
    inputs: Mapping[str, list[str]]
    outputs: Mapping[str, str]

    @property
    def name(self) -> str:
        """As a person calls it."""
        return f"{self.step.removeprefix('brakeline-')} {self.verb}"

    @property
    def text(self) -> str:
        """All of it, so that two calls are the same if their texts are."""
        return json.dumps(vars(self), sort_keys=True)


@dataclass(frozen=True)
class Chain:
    """Calls, and who made what by sha256."""

    calls: tuple[Call, ...]

    @property
    def names(self) -> dict[str, str]:
        """What each artifact is called, by sha256: as its maker calls it, else as who takes it does."""
        taken = {sha256: name for call in self.calls for name, listed in call.inputs.items() for sha256 in listed}
        return taken | {sha256: name for call in self.calls for name, sha256 in call.outputs.items()}

    @cached_property
    def texts(self) -> frozenset[str]:
        """All calls by their texts."""
        return frozenset(call.text for call in self.calls)

    @cached_property
    def made(self) -> frozenset[str]:
        """The sha256 of all that any call made."""
        return frozenset(sha256 for call in self.calls for sha256 in call.outputs.values())

    def makers(self, sha256s: Iterable[str]) -> list[Call]:
        """The calls that made any of these."""
        wanted = set(sha256s)
        return [call for call in self.calls if wanted & set(call.outputs.values())]

    def judges(self, sha256: str) -> list[Call]:
        """The calls that took an artifact and that no other call followed."""
        used = {one for call in self.calls for listed in call.inputs.values() for one in listed}
        takers = [call for call in self.calls if any(sha256 in listed for listed in call.inputs.values())]
        return [call for call in takers if not used & set(call.outputs.values())]


def of_statement(text: bytes) -> tuple[Chain, dict[str, str]]:
    """The calls of a kept `lineage.json`, and the sha256 of its subjects by name. Raises Unreadable."""
    try:
        told = json.loads(text)
        subjects = {str(one["name"]): str(one["digest"]["sha256"]) for one in told["subject"]}
        return _chain(told["predicate"][CHAIN]), subjects
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Unreadable(f"no in-toto statement of ours: {type(error).__name__}: {error}") from error


def of_folder(folder: Path) -> Chain:
    """The calls that an artifact's folder tells in its hidden file. Raises as `of_file`."""
    return of_file(folder / LINEAGE_FILE)


def of_file(file: Path) -> Chain:
    """The calls that a file tells which a step wrote, and which is exactly as it was written.

    Raises Unreadable, FileNotFoundError.
    """
    text = file.read_bytes()
    try:
        told = json.loads(text)
        chain, calls = _chain(told), json.dumps(told["calls"], sort_keys=True)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Unreadable(f"{file}: no lineage: {type(error).__name__}: {error}") from error
    seal = hashlib.sha256(calls.encode()).hexdigest()
    if text.decode() != json.dumps({**told, "sha256": seal}, sort_keys=True) + "\n":
        raise Unreadable(f"{file} is not as it was written")
    return chain


def _chain(told: Mapping[str, Any]) -> Chain:
    if told["schema_version"] != SCHEMA_VERSION:
        raise ValueError(f"found schema version {told['schema_version']}, allowed {SCHEMA_VERSION}")
    return Chain(tuple(call for group in told["calls"] for call in _calls(group)))


def _calls(group: Mapping[str, Any]) -> list[Call]:
    """What calls of one kind share stands once, under `each` what tells them apart."""
    who = {name: str(group[name]) for name in ("step", "verb", "version", "kit", "image", "revision")}
    return [
        Call(
            **who,
            parameters={**group["parameters"], **own["parameters"]},
            inputs={name: [str(one) for one in taken] for name, taken in (group["inputs"] | own["inputs"]).items()},
            outputs={name: str(sha256) for name, sha256 in own["outputs"].items()},
        )
        for own in group["each"]
    ]
