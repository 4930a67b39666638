"""Where an artifact comes from: the call that made it and all calls before, told in a hidden file of its folder.

Calls hang together by sha256 alone: what one made, another took. No hash of an artifact covers the file, so the same
bytes made by other code are the same artifact with another origin. No clock is in it, and a seal shows accidents.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import stepkit
from stepkit import artifacts, diary
from stepkit.errors import NotAsMade, UnreadableArtifact

FILE = ".lineage.json"
IMAGE, REVISION = "BRAKELINE_IMAGE", "BRAKELINE_REVISION"
SCHEMA_VERSION = 1

# What calls of one kind share: it is told once for all of them, since a loop has hundreds.
_WHO = ("step", "verb", "version", "kit", "image", "revision")


@dataclass(frozen=True)
class Made:
    """One call: who ran (image and revision as the environment says, else empty), from what, and what came of it.

    Inputs are by name, sha256s in their order; outputs by name.
    """

    step: str
    verb: str
    version: str
    kit: str
    image: str
    revision: str
    parameters: Mapping[str, Any]
    inputs: Mapping[str, list[str]]
    outputs: Mapping[str, str]


def of_call(step: str, verb: str, version: str, parameters: Mapping[str, Any], inputs: Mapping[str, list[str]]) -> Made:
    """The call that is at work in this process; what it makes is not known yet."""
    plain = json.loads(json.dumps(parameters, default=str))
    image, revision = os.environ.get(IMAGE, ""), os.environ.get(REVISION, "")
    return Made(step, verb, version, stepkit.__version__, image, revision, plain, inputs, {})


def write(file: Path, calls: Iterable[Made]) -> None:
    """Write calls to a file; the same calls, in whatever order, are the same bytes."""
    artifacts.write_text(file, _as_written(compact(calls)))


def read(file: Path) -> list[Made]:
    """The calls in a file. Raises UnreadableArtifact."""
    return [call for group in _groups(file, {}) for call in group.calls]


def before(inputs: Mapping[Path, str]) -> list[Made]:
    """All calls that inputs, sha256 by path, come from, as far as their folders tell; a gap is told in the diary.

    Raises NotAsMade for a folder that tells of others than it is: it was altered, on purpose or not.
    """
    known, told = dict[str, _Group](), dict[int, _Group]()
    for path, sha256 in inputs.items():
        file = path / FILE
        if not file.is_file():
            continue
        try:
            groups = _groups(file, known)
        except UnreadableArtifact as error:
            diary.warn("origin_unknown", message=str(error), path=path)
            continue
        if any(sha256 in group.made for group in groups):
            told |= {id(group): group for group in groups}
        else:
            raise NotAsMade(path, sha256, file)
    return leading_to([call for group in told.values() for call in group.calls], inputs.values())


def leading_to(calls: Iterable[Made], wanted: Iterable[str]) -> list[Made]:
    """Those calls that artifacts, by sha256, come from, directly or through others."""
    makers: dict[str, list[Made]] = {}
    for call in calls:
        for sha256 in set(call.outputs.values()):
            makers.setdefault(sha256, []).append(call)
    found: dict[int, Made] = {}
    to_see = set(wanted)
    while to_see:
        for call in makers.pop(to_see.pop(), []):
            if id(call) not in found:
                found[id(call)] = call
                to_see.update(sha256 for taken in call.inputs.values() for sha256 in taken)
    return list(found.values())


def stands(folder: Path, sha256: str) -> bool:
    """Whether the file in an artifact's folder can be read and tells who made the artifact."""
    try:
        return any(sha256 in call.outputs.values() for call in read(folder / FILE))
    except UnreadableArtifact:
        return False


def compact(calls: Iterable[Made]) -> list[dict[str, Any]]:
    """Calls as JSON, those of one kind together: what they share once, and under `each` what tells them apart."""
    kinds: dict[str, dict[str, Made]] = {}
    for call in calls:
        kinds.setdefault(_text([getattr(call, name) for name in _WHO]), {})[_text(vars(call))] = call
    return [_together([call for _, call in sorted(kind.items())]) for _, kind in sorted(kinds.items())]


def expand(group: Mapping[str, Any]) -> list[Made]:
    """The calls of one entry of `compact`. Raises KeyError, TypeError where it is none."""
    who = {name: str(group[name]) for name in _WHO}
    return [
        Made(
            **who,
            parameters={**group["parameters"], **own["parameters"]},
            inputs={name: [str(one) for one in taken] for name, taken in (group["inputs"] | own["inputs"]).items()},
            outputs={name: str(sha256) for name, sha256 in own["outputs"].items()},
        )
        for own in group["each"]
    ]


def _together(calls: list[Made]) -> dict[str, Any]:
    parameters = _shared([call.parameters for call in calls])
    inputs = _shared([call.inputs for call in calls])
    each = [
        {
            "parameters": {name: value for name, value in call.parameters.items() if name not in parameters},
            "inputs": {name: taken for name, taken in call.inputs.items() if name not in inputs},
            "outputs": dict(call.outputs),
        }
        for call in calls
    ]
    return {name: getattr(calls[0], name) for name in _WHO} | {"parameters": parameters, "inputs": inputs, "each": each}


def _shared(mappings: list[Mapping[str, Any]]) -> dict[str, Any]:
    first, rest = mappings[0], mappings[1:]
    return {
        name: value
        for name, value in first.items()
        if all(name in other and _text(other[name]) == _text(value) for other in rest)
    }


@dataclass(frozen=True)
class _Group:
    """Calls of one kind, and the sha256 of all that they made."""

    calls: list[Made]
    made: frozenset[str]


def _groups(file: Path, known: dict[str, _Group]) -> list[_Group]:
    """A file's calls; adds to `known`. Shards of a loop tell the same of what was before them: it is read once."""
    content, found = artifacts.read_json(file), []
    expected = f"lineage of schema version {SCHEMA_VERSION}"
    if not isinstance(content, dict) or content.get("schema_version") != SCHEMA_VERSION:
        told = content.get("schema_version") if isinstance(content, dict) else type(content).__name__
        raise UnreadableArtifact(file, expected, f"found {told}")
    # Exactly as it is written or not at all: a flipped byte in a name would be another origin.
    if file.read_bytes() != _as_written(content.get("calls")).encode():
        raise UnreadableArtifact(file, expected, "it is not as it was written")
    try:
        for group in content["calls"]:
            key = _text(group)
            if key not in known:
                calls = expand(group)
                known[key] = _Group(calls, frozenset(sha256 for call in calls for sha256 in call.outputs.values()))
            found.append(known[key])
    except (KeyError, TypeError, AttributeError) as error:
        raise UnreadableArtifact(file, expected, f"{type(error).__name__}: {error}") from error
    return found


def _as_written(calls: Any) -> str:
    sealed = {"schema_version": SCHEMA_VERSION, "sha256": hashlib.sha256(_text(calls).encode()).hexdigest()}
    return _text({**sealed, "calls": calls}) + "\n"


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
