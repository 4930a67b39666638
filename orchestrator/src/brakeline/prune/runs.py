"""Runs of a state: which a policy no longer keeps, with the cache's entries, inputs and keys that go with them.

A run stays while it is at work, and while a run that stays uses its artifacts, as a run does that found them in the
cache. The cache's entries go first: a run that looks later does the work anew.
"""

import json
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from brakeline import record
from brakeline.prune import keys
from brakeline.prune.policy import DOOMED, Item, Kept, Policy, remove_path, size_of

INPUTS = "inputs"
# A run brings its inputs in a moment before it is there itself; and notes what it found in the cache a moment later.
YOUNG_S, SETTLED_S = 3600.0, 1.0


@dataclass(frozen=True)
class Run:
    """A run's folder and what its record says; a record that cannot be read says nothing."""

    folder: Path
    content: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Its id, which sorts by time."""
        return self.folder.name

    @property
    def started(self) -> datetime:
        """When it began, by its record or else by its folder."""
        try:
            return datetime.fromisoformat(self.content["started_at"])
        except (KeyError, TypeError, ValueError):
            return datetime.fromtimestamp(self.folder.stat().st_mtime, UTC)

    @property
    def model(self) -> str:
        """The name of the model that it trained."""
        return str(self.content.get("parameters", {}).get("name", ""))

    @property
    def key(self) -> str:
        """The key that its caller made it by; "" without one."""
        return str(self.content.get("idempotency", ""))

    @property
    def registered(self) -> tuple[str, str]:
        """The model and version that it registered; "" where it registered none."""
        tasks = [task for task in self.content.get("tasks", []) if task.get("name") == "register"]
        found = [task.get("artifacts", {}).get("registered", {}).get("version") for task in tasks]
        return self.model, str(found[-1] or "") if found else ""

    @property
    def paths(self) -> list[Path]:
        """Where the artifacts lie that its tasks made or found in the cache."""
        tasks = self.content.get("tasks", [])
        return [Path(str(made.get("uri", ""))) for task in tasks for made in task.get("artifacts", {}).values()]


def find(state: Path) -> list[Run]:
    """All runs, the newest first."""
    folders = [path for path in _visible(state / "runs") if path.is_dir() and path.name != INPUTS]
    return sorted(
        (Run(folder, _read(folder / "run.json")) for folder in folders), key=lambda run: run.name, reverse=True
    )


def plan(state: Path, policy: Policy, made: Mapping[tuple[str, str], str]) -> tuple[list[Item], list[Kept]]:
    """What goes and what stays against the rules. `made` tells by model and version why its run is needed."""
    runs, now = find(state), datetime.now(UTC)
    stay: dict[str, str] = {}
    against: dict[str, str] = {}
    for place, run in enumerate(runs):
        if policy.runs is not None and place < policy.runs:
            stay[run.name] = "one of the newest"
        elif policy.age is not None and now - run.started < policy.age:
            stay[run.name] = "young"
        elif record.is_at_work(run.folder):
            against[run.name] = "it is at work"
        elif not policy.even_lineage and run.registered in made:
            against[run.name] = f"it made version {run.registered[1]} of {run.model}, which {made[run.registered]}"
    by_name = {run.name: run for run in runs}
    to_see = [*stay, *against]
    # What stays because it is used may have found its own in the cache.
    while to_see:
        to_see += _keep_used(by_name[to_see.pop(0)], state, by_name, {*stay}, against)
    going = [run for run in runs if run.name not in stay and run.name not in against]
    items = [Item("run", run.name, size_of(run.folder), partial(_retire, state, run)) for run in going]
    staying = [run for run in runs if run not in going]
    items += _inputs(state, staying)
    items += keys.plan(state, policy, {run.key for run in staying} - {""})
    return [*_leftovers(state), *items], [Kept("run", name, why) for name, why in against.items()]


def _keep_used(run: Run, state: Path, runs: Mapping[str, Run], stay: set[str], against: dict[str, str]) -> list[str]:
    used = [name for name in sorted(_used(run, state)) if name in runs and name not in stay and name not in against]
    against |= dict.fromkeys(used, f"run {run.name} uses its artifacts")
    return used


def _used(run: Run, state: Path) -> set[str]:
    """The runs whose folders a run's artifacts lie in, itself included."""
    root = (state / "runs").absolute()
    return {path.relative_to(root).parts[0] for path in run.paths if path.is_relative_to(root) and path != root}


def _retire(state: Path, run: Run) -> str:
    """Remove a run with its entries of the cache; why it stays, if it must by now."""
    _forget(state, run)
    # Whoever found it in the cache before that has noted it by now.
    if any(record.is_at_work(other.folder) for other in find(state)):
        time.sleep(SETTLED_S)
    for other in find(state):
        if other.name != run.name and record.is_at_work(other.folder) and run.name in _used(other, state):
            return f"run {other.name}, which is at work, uses its artifacts"
    if record.is_at_work(run.folder):
        return "it is at work"
    remove_path(run.folder)
    return ""


def _forget(state: Path, run: Run) -> None:
    """Remove what the cache has of a run's artifacts."""
    mark = json.dumps(f"{run.folder.absolute()}/")[1:-1]
    for entry in _visible(state / "cache"):
        try:
            if mark in entry.read_text(encoding="utf-8"):
                entry.unlink()
        except (OSError, UnicodeDecodeError):
            continue


def _inputs(state: Path, kept: list[Run]) -> list[Item]:
    """Inputs that no run that stays was given, and that none is being given now."""
    named = {str(run.content.get("parameters", {}).get("recorded", "")) for run in kept}
    folders = [folder for folder in _visible(state / "runs" / INPUTS) if folder.is_dir()]
    return [
        Item("input", folder.name, size_of(folder), partial(_drop, state, folder))
        for folder in folders
        if not _is_named(folder, named) and time.time() - folder.stat().st_mtime > YOUNG_S
    ]


def _drop(state: Path, folder: Path) -> str:
    """Remove an input, unless a run was given it by now."""
    if _is_named(folder, {str(run.content.get("parameters", {}).get("recorded", "")) for run in find(state)}):
        return "a run was given it"
    remove_path(folder)
    return ""


def _is_named(folder: Path, named: set[str]) -> bool:
    return any(Path(path).parent.name == folder.name for path in named)


def _leftovers(state: Path) -> list[Item]:
    """What a prune that was killed had begun to remove."""
    places = (state / "runs", state / "runs" / INPUTS)
    found = [path for place in places if place.is_dir() for path in place.glob(f"{DOOMED}*")]
    return [Item("leftover", path.name, size_of(path), partial(_finish, path)) for path in found]


def _finish(leftover: Path) -> str:
    shutil.rmtree(leftover, ignore_errors=True)
    return ""


def _visible(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.iterdir()) if not path.name.startswith(".")) if folder.is_dir() else iter(())


def _read(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
