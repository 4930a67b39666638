"""What was measured, as it is kept: an entry for each bench, and `results.json` with all of them.

An entry is whole or absent, as every file here. Results are of one machine, and all quick or all full.
"""

import json
import math
import os
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FORM = 1
DONE, SKIPPED, FAILED = "done", "skipped", "failed"
# What makes a machine another one; versions of programs are shown beside.
_IDENTITY = ("cpu", "cores", "memory_gb", "system")
_OF_FIGURE = {"name", "value", "unit", "aim", "met", "rounds"}


class NoResults(ValueError):
    """A file that is no result of ours; says what was found."""


@dataclass(frozen=True)
class Entry:
    """One bench's turn: how it ended, and what it told.

    `why` says why it was skipped or failed; `figures` are as `_report.Figure.facts` gives them.
    """

    bench: str
    status: str
    quick: bool
    at: str  # UTC, to the minute
    revision: str
    seconds: float
    cpu_s: float  # by all its processes that were waited for
    machine: dict[str, Any]
    measures: str = ""
    beside: str = ""
    why: str = ""
    run: str = ""
    notes: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    figures: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Results:
    """Entries of one machine, in the order of their names."""

    quick: bool
    machine: dict[str, Any]
    entries: list[Entry]

    def entry(self, bench: str) -> Entry | None:
        """A bench's entry, if it has one."""
        return next((entry for entry in self.entries if entry.bench == bench), None)

    def text(self) -> str:
        """As `results.json`: the same results give the same bytes."""
        entries = [asdict(entry) for entry in sorted(self.entries, key=lambda entry: entry.bench)]
        whole = {"form": FORM, "quick": self.quick, "machine": self.machine, "benches": entries}
        return json.dumps(whole, indent=1, ensure_ascii=False) + "\n"


def read(file: Path) -> Results:
    """Results from a `results.json`; NoResults where it is something else."""
    told = _json(file)
    if told.get("form") != FORM:
        raise NoResults(f"{file}: form is {told.get('form')!r}, and this reads form {FORM}: measure anew")
    try:
        return Results(told["quick"], told["machine"], [Entry(**entry) for entry in told["benches"]])
    except (KeyError, TypeError) as error:
        raise NoResults(f"{file} is no result of `python build.py bench`: {error}") from error


def read_entry(file: Path) -> Entry:
    """A kept entry."""
    try:
        return Entry(**_json(file))
    except TypeError as error:
        raise NoResults(f"{file} is no entry of a bench: {error}") from error


def checked(told: object, bench: str) -> dict[str, Any]:
    """What a bench printed, if it keeps to the contract; NoResults says where it does not."""
    if not isinstance(told, dict) or told.get("bench") != bench:
        raise NoResults(f"its JSON is not of bench {bench!r}")
    figures = told.get("figures")
    if not isinstance(figures, list) or not isinstance(told.get("machine"), dict):
        raise NoResults("its JSON has no figures or no machine")
    seen = set()
    for figure in figures:
        if not isinstance(figure, dict) or figure.keys() != _OF_FIGURE:
            raise NoResults(f"a figure has not the keys {', '.join(sorted(_OF_FIGURE))}: {figure!r}")
        if not figure["rounds"] or not all(math.isfinite(value) for value in (figure["value"], *figure["rounds"])):
            raise NoResults(f"{figure['name']}: {figure['rounds']!r} is no measurement")
        if (known := (figure["name"], figure["unit"])) in seen:
            raise NoResults(f"two figures are called {figure['name']!r} [{figure['unit']}]")
        seen.add(known)
    return told


def same_machine(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether figures of both may stand side by side."""
    return all(one.get(key) == other.get(key) for key in _IDENTITY)


def machine_words(machine: dict[str, Any]) -> str:
    """A machine in one line."""
    return (
        f"{machine.get('cpu')}, {machine.get('cores')} cores, {machine.get('memory_gb')} GB, {machine.get('system')},"
        f" Python {machine.get('python')}"
    )


def write_whole(file: Path, content: str) -> None:
    """A file that is there whole, or as it was before."""
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as staged:
            staged.write(content)
            staged.flush()
            os.fsync(descriptor)
        Path(name).chmod(0o644)
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_entry(file: Path, entry: Entry) -> None:
    """Keep an entry."""
    write_whole(file, json.dumps(asdict(entry), indent=1, ensure_ascii=False) + "\n")


def _json(file: Path) -> dict[str, Any]:
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NoResults(f"{file} is not there") from None
    except (OSError, ValueError) as error:
        raise NoResults(f"{file} cannot be read as JSON: {error}") from error
    if not isinstance(told, dict):
        raise NoResults(f"{file} is no JSON object")
    return told
