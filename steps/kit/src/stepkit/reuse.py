"""Work that need not be done again: a record beside the outputs says what they follow from, and is judged here.

The same inputs, parameters and code give the same outputs (`steps/README.md`), so an equal call may leave them as they
stand. Whatever is not known counts as different: the worst that can happen is work done twice.
"""

import hashlib
import json
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepkit import artifacts, diary, lineage
from stepkit.signature import Signature

CODE = lineage.IMAGE
SCHEMA_VERSION = 1

# A floating tag says nothing of the code behind it.
_BY_CONTENT = re.compile(r".+(@sha256:[0-9a-f]{64}|:[0-9a-f]{12,64})")


@dataclass(frozen=True)
class Call:
    """What outputs follow from, by name: code, sha256 of each input in order, parameters; and the outputs' paths."""

    step: str
    verb: str
    code: str
    inputs: Mapping[str, list[str]]
    parameters: Mapping[str, Any]
    outputs: Mapping[str, str]

    @property
    def record(self) -> Path:
        """Where the call is recorded: hidden beside its first output, so that no artifact's hash covers it."""
        first = Path(next(iter(self.outputs.values())))
        return first.parent / f".{first.name}.made.json"


@dataclass(frozen=True)
class Told:
    """What a run reports, and reports again while its outputs stand; the metadata hold each output's sha256."""

    metadata: Mapping[str, Mapping[str, Any]]
    parameters: Mapping[str, Any]
    facts: Mapping[str, Any]


def code_identity() -> str:
    """The image that this code lies in, as a reference by content; empty where it is not known."""
    image = os.environ.get(CODE, "")
    return image if _BY_CONTENT.fullmatch(image) else ""


def why_never(described: Signature, of_the_world: bool) -> str:
    """Why outputs of a verb can never be left standing, whatever the call; empty if they can."""
    if of_the_world:
        return "unknown: the verb reads or changes the world"
    if not described.outputs:
        return "unknown: the verb has no output"
    if not code_identity():
        found = "is no reference by content" if os.environ.get(CODE) else "is not set"
        return f"unknown: the code, {CODE} {found}"
    return ""


def write(call: Call, told: Told) -> None:
    """Record a call whose outputs are in place. Raises TryAgain when the disk is full."""
    # Written as the line of result is, so that both tell the same.
    content = json.loads(json.dumps({"call": vars(call), "told": vars(told)}, default=str))
    record = {"schema_version": SCHEMA_VERSION, "sha256": _seal(content), **content}
    artifacts.write_text(call.record, json.dumps(record, indent=2) + "\n")


def standing(call: Call, asked: Collection[str]) -> Told | None:
    """What the run told whose outputs stand for this call; None where something differs, and the diary says what.

    `asked` are the output parameters that this call wants.
    """
    told = None
    try:
        recorded, told = _read(call.record)
        differs = _difference(call, recorded, told, asked)
    except FileNotFoundError:
        differs = "record: there is none"
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        differs = "record: unreadable"
    diary.note("reuse", differs=differs or "nothing")
    return None if differs else told


def _read(file: Path) -> tuple[Call, Told]:
    record = json.loads(file.read_text(encoding="utf-8"))
    content = {"call": record["call"], "told": record["told"]}
    # The seal makes a flipped byte in what is told as good as no record: no output's sha256 would betray it.
    if record["schema_version"] != SCHEMA_VERSION or record["sha256"] != _seal(content):
        raise ValueError(f"{file} is no whole record of schema version {SCHEMA_VERSION}")
    return Call(**content["call"]), Told(**content["told"])


def _seal(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _difference(call: Call, recorded: Call, told: Told, asked: Collection[str]) -> str:
    for part in ("step", "verb", "code"):
        if getattr(call, part) != getattr(recorded, part):
            return part
    for kind in ("parameter", "input", "output"):
        now, then = getattr(call, f"{kind}s"), getattr(recorded, f"{kind}s")
        for name in {**now, **then}:
            if name not in now or name not in then or now[name] != then[name]:
                return f"{kind} {name}"
    for name in asked:
        if name not in told.parameters:
            return f"output parameter {name}"
    for name, path in call.outputs.items():
        if _sha256_or_none(Path(path)) != told.metadata[name]["sha256"]:
            return f"output {name}"
        if Path(path).is_dir() and not lineage.stands(Path(path), told.metadata[name]["sha256"]):
            return f"lineage of output {name}"
    return ""


def _sha256_or_none(path: Path) -> str | None:
    try:
        return artifacts.sha256_of(path)
    except OSError:
        return None
