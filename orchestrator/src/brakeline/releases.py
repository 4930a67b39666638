"""What was done with a version: counted, registered, deployed, promoted, each as the step that did it recorded it.

A run keeps these records among its artifacts, under `origin`; what a person deploys or promotes is kept below
`<state>/releases`, in a folder for each call, together with what the call gave.
"""

import contextlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from brakeline import provenance
from brakeline.provenance import Call, Unreadable

Tell = Callable[[dict[str, Any]], None]

RECORD, FOLDER = "origin", "releases"
_REGISTER, _DEPLOY = "brakeline-register", "brakeline-deploy"
HOW = {
    (_REGISTER, "record"): "counted by",
    (_REGISTER, "add"): "registered by",
    (_DEPLOY, "apply"): "deployed by",
    (_REGISTER, "promote"): "promoted by",
}


@dataclass(frozen=True)
class Release:
    """A call that did something with a version, the file that tells of it, and within which run or call of people."""

    call: Call
    file: Path
    within: str

    @property
    def how(self) -> str:
        """What was done, in words."""
        return HOW[self.call.step, self.call.verb]

    @property
    def about(self) -> str:
        """Where to, and by whom and why, as far as the call was told."""
        told = self.call.parameters
        words = [f"to {told['model_store']}"] if told.get("model_store") else []
        if told.get("shadow"):
            words.append("after a trial as a shadow" if told.get("after_requests") else "as a shadow")
        if percent := told.get("canary_percent"):
            words.append(f"as a canary of {percent} %")
        words += [f"by {told['by']}" if told.get("by") else "", str(told.get("why") or "")]
        return ", ".join(filter(None, words))

    def describe(self) -> dict[str, Any]:
        """As JSON."""
        return {"how": self.how, "within": self.within, "file": str(self.file), **vars(self.call)}


@dataclass(frozen=True)
class Damaged:
    """A record that cannot be read."""

    file: Path
    why: str


@contextmanager
def kept(state: Path | None, name: str, version: str, verb: str, output: str, tell: Tell) -> Iterator[dict[str, Any]]:
    """Where a call on a version puts its output and its record, as options; nothing is left of one that fails.

    Without a state they go with the block, and so they do, which is told, where it cannot be written: no deployment
    shall fail of it.
    """
    # One person's calls follow each other within a second.
    now = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}"
    folder = _folder(state, name, version) / f"{now}-{verb}" if state else None
    if folder is None or not _made(folder, tell):
        with tempfile.TemporaryDirectory() as scratch:
            yield {each: Path(scratch) / each for each in (output, RECORD)}
        return
    try:
        yield {each: folder / each for each in (output, RECORD)}
    finally:
        # A folder with a record in it stays.
        for empty in (folder, folder.parent, folder.parent.parent):
            with contextlib.suppress(OSError):
                empty.rmdir()


def of_runs(
    records: Iterable[tuple[str, Path]], version: Mapping[str, Any], artifacts: Iterable[str]
) -> Iterator[Release]:
    """What runs did with a version, by their records; `artifacts` are the sha256 of what it was made from and with.

    One that cannot be read is passed over: whoever holds artifacts to their sha256 tells of it.
    """
    told = [one for run, file in records for one in _told(file, run) if isinstance(one, Release)]
    model = str(version.get("folder_sha256") or version["sha256"])
    adds = [one for one in told if one.call.verb == "add" and _takes(one.call, "model", {model})]
    adds = [one for one in adds if one.call.parameters.get("name") == version["model"]]
    registrations = {one.call.outputs.get("registered", "") for one in adds}
    for one in told:
        counted = one.call.verb == "record" and _takes(one.call, "verdict", set(artifacts))
        if counted or one in adds or _takes(one.call, "registered", registrations):
            yield one


def of_people(state: Path, version: Mapping[str, Any], registry: str) -> Iterator[Release | Damaged]:
    """What people did with a version, by what is kept below the state; and records of it that cannot be read."""
    model = str(version.get("folder_sha256") or version["sha256"])
    for file in sorted(_folder(state, version["model"], version["version"]).glob(f"*/{RECORD}")):
        for one in _told(file, file.parent.name):
            if isinstance(one, Damaged) or _takes(one.call, "model", {model}) or _promotes(one.call, registry):
                yield one


def _told(file: Path, within: str) -> Iterator[Release | Damaged]:
    """The call that a record was written by, among all those before it."""
    try:
        calls = provenance.of_file(file).calls
    except FileNotFoundError:
        return
    except (Unreadable, OSError) as error:
        yield Damaged(file, str(error))
        return
    yield from (Release(call, file, within) for call in calls if (call.step, call.verb) in HOW)


def _takes(call: Call, name: str, wanted: set[str]) -> bool:
    return bool(wanted & set(call.inputs.get(name, [])))


def _promotes(call: Call, registry: str) -> bool:
    return call.verb == "promote" and call.parameters.get("registry") == registry


def _folder(state: Path, name: str, version: str) -> Path:
    return state / FOLDER / quote(f"{name}-{version}", safe="")


def _made(folder: Path, tell: Tell) -> bool:
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        told = f"no record of this call is kept: {folder} cannot be made: {error.strerror}; --state says another place"
        tell({"level": "warning", "event": "not_recorded", "message": told})
        return False
    return True
