"""The server's prediction log as it is read afterwards: files that rotate, perhaps under a server that still writes.

`predictions-<worker>.jsonl`, `.1`, `.2`, … have a line for each request; `model-<sha256>.json` says what a model's
inputs and outputs mean. Several servers' logs are a folder of such folders. A line that breaks off, where a server was
killed, is counted and passed over.
"""

import json
import os
import re
from collections.abc import Callable, Container, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from brakeline.refusals import bad

UPPER_ROLE, FLAG_ROLE = "stopping_distance_upper_m", "out_of_range"
_NAMED = 5  # broken lines that a person will look at
_FILE = re.compile(r"predictions-(\d+)\.jsonl(?:\.(\d+))?")
# As the server writes it. Only lines whose id is wanted are parsed: a log has far more than one feedback asks for.
_ID_FIRST = re.compile(rb'\{"time":"[^"]*","id":(null|"(?:[^"\\]|\\.)*"),')

Values = dict[str, list[float | None]]


@dataclass(frozen=True)
class Feature:
    """An input as the contract has it."""

    name: str
    role: str
    unit: str
    low: float
    high: float
    missing_allowed: bool


@dataclass(frozen=True)
class Meaning:
    """What a model's inputs and outputs are: its contract's parts, the bound's name and the fail-safe's flags."""

    file: Path
    contract_version: int
    features: tuple[Feature, ...]
    target: str
    target_unit: str
    group: str
    truths: tuple[str, ...]
    upper: str
    flags: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        """The features' names, in the model's order."""
        return [feature.name for feature in self.features]


@dataclass(frozen=True)
class Answer:
    """A request and its answer; `rows` are those that were kept, `place` is file and line."""

    id: str
    version: str
    sha256: str
    inputs: Values
    outputs: Values
    rows: int
    place: str


@dataclass
class Reading:
    """What was read, also of lines that nobody wanted."""

    files: int = 0
    lines: int = 0
    broken_lines: int = 0
    broken: list[str] = field(default_factory=list)

    def break_at(self, place: str) -> None:
        """Count a line that is none."""
        self.broken_lines += 1
        if len(self.broken) < _NAMED:
            self.broken.append(place)


def meanings(folder: Path, name: str) -> dict[str, Meaning]:
    """What each model by this name means, by sha256. Raises Refused for a folder that holds none, or a broken one."""
    found = {}
    for file in sorted(file for place in _places(folder) for file in place.glob("model-*.json")):
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            if content["model"] == name:
                found[str(content["sha256"])] = _meaning(file, content)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise bad(
                file, "model", f"{type(error).__name__}: {error}", "what brakeline-serving writes there"
            ) from error
    if not found:
        allowed = "the folder of brakeline-serving --prediction-log, with model-<sha256>.json beside the lines"
        raise bad(folder, "models", f"none named {name}" if folder.is_dir() else "no such folder", allowed)
    return found


def answers(folder: Path, name: str, wanted: Container[str], reading: Reading) -> Iterator[Answer]:
    """The logged requests for a model by name whose id is wanted, in the order they were written by each worker.

    Memory does not grow with the log. Raises Refused for a whole line that is no prediction, naming file and line.
    """
    with ExitStack() as opened:
        files = _open_all(folder, lambda file: opened.enter_context(file.open("rb")))
        reading.files = len(files)
        for file, stream in files:
            for number, line in enumerate(stream, 1):
                reading.lines += 1
                place = f"{file}:{number}"
                id_ = _id(line)
                if id_ is None:
                    reading.break_at(place)
                elif id_ and id_ in wanted:
                    content = _parsed(line)
                    if content is None:
                        reading.break_at(place)
                    elif content.get("model") == name:
                        yield _answer(place, content)


def _open_all(folder: Path, opened: Callable[[Path], BinaryIO]) -> list[tuple[Path, BinaryIO]]:
    """Every file once, a server's oldest first. Files are renamed while we look, but an open one stays what it is."""
    found: dict[tuple[int, int], tuple[tuple[str, int, int], Path, BinaryIO]] = {}
    before = -1
    while len(found) != before:
        before = len(found)
        for file in (file for place in _places(folder) for file in place.iterdir()):
            if not (named := _FILE.fullmatch(file.name)):
                continue
            try:
                stream = opened(file)
            except FileNotFoundError:
                continue  # renamed meanwhile: met again under its new name
            except OSError as error:
                raise bad(file, "file", error.strerror, "a file that can be read") from error
            about = os.fstat(stream.fileno())
            order = (str(file.parent), int(named[1]), -int(named[2] or 0))
            found.setdefault((about.st_dev, about.st_ino), (order, file, stream))
    return [(file, stream) for _, file, stream in sorted(found.values(), key=lambda entry: entry[0])]


def _places(folder: Path) -> list[Path]:
    """The folder, and those in it: one for each server where there are several."""
    return [folder, *sorted(place for place in folder.glob("*") if place.is_dir())]


def _id(line: bytes) -> str | None:
    """A line's id, empty where the request had none, and None for what is no whole line."""
    if not line.endswith(b"}\n"):
        return None
    if match := _ID_FIRST.match(line):
        try:
            return json.loads(match[1]) or ""
        except ValueError:
            return None
    content = _parsed(line)
    return None if content is None else str(content.get("id") or "")


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        content = json.loads(line)
    except ValueError:
        return None
    return content if isinstance(content, dict) else None


def _answer(place: str, content: dict[str, Any]) -> Answer:
    for field_name, kind in (("version", str), ("sha256", str), ("inputs", dict), ("outputs", dict)):
        if not isinstance(content.get(field_name), kind):
            raise bad(
                place, field_name, repr(content.get(field_name))[:50], f"a {kind.__name__} as the server writes it"
            )
    columns = [*content["inputs"].values(), *content["outputs"].values()]
    lengths = {len(column) if isinstance(column, list) else -1 for column in columns}
    if len(lengths) != 1 or -1 in lengths:
        raise bad(place, "inputs and outputs", f"columns of {sorted(lengths)} rows", "lists of one length")
    return Answer(
        id=content["id"],
        version=content["version"],
        sha256=content["sha256"],
        inputs=content["inputs"],
        outputs=content["outputs"],
        rows=lengths.pop(),
        place=place,
    )


def _meaning(file: Path, content: dict[str, Any]) -> Meaning:
    contract, roles = content["contract"], {name: told["role"] for name, told in content["outputs"].items()}
    upper = [name for name, role in roles.items() if role == UPPER_ROLE]
    if len(upper) != 1:
        raise ValueError(f"found outputs of roles {', '.join(roles.values())}, allowed one of {UPPER_ROLE}")
    features = tuple(
        Feature(*(told[part] for part in ("name", "role", "unit", "low", "high", "missing_allowed")))
        for told in contract["features"]
    )
    return Meaning(
        file=file,
        contract_version=int(contract["version"]),
        features=features,
        target=contract["target"]["name"],
        target_unit=contract["target"]["unit"],
        group=contract["group"],
        truths=tuple(contract["truths"]),
        upper=upper[0],
        flags=tuple(name for name, role in roles.items() if role == FLAG_ROLE),
    )
