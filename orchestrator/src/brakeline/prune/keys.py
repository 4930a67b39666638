"""What calls with a key leave beside their runs: a lock for each key, and what a watch's commands said.

A key's run is found by its record, so neither is needed once that is gone. What may not be idle stays: a lock that is
held, what is young, and the key that the watch is at.
"""

import fcntl
import json
import time
from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from brakeline import once, watch_state
from brakeline.prune.policy import Item, Policy, remove_path, size_of

WATCH = "watch"
# A command has its lock, and a watch's its files, a moment before it has a run.
YOUNG_S = 3600.0


def plan(state: Path, policy: Policy, staying: Collection[str]) -> list[Item]:
    """What goes; `staying` are the keys of the runs that stay."""
    held = {once.guard(state, key) for key in staying}
    guards = [file for file in sorted((state / "runs").glob(f"{once.GUARD}*")) if file not in held and _is_old(file)]
    said = list(_said(state, policy, staying))
    return [
        *(Item("key", file.name, size_of(file), partial(_let_go, file)) for file in guards),
        *(Item("key", f"{WATCH}/{file.name}", size_of(file), partial(_drop, state, file)) for file in said),
    ]


def _said(state: Path, policy: Policy, staying: Collection[str]) -> Iterator[Path]:
    """What commands said whose run does not stay. A cluster's runs are not here: rules of runs hold for their keys."""
    files = [file for file in (state / WATCH).glob("*") if file.is_file() and file.suffix in {".json", ".log"}]
    times: dict[str, float] = {}
    for file in files:
        times[file.stem] = max(times.get(file.stem, 0.0), file.stat().st_mtime)
    newest = sorted(times, key=lambda key: -times[key])[: policy.runs or 0]
    for file in sorted(files):
        age_s = time.time() - times[file.stem]
        young = age_s < YOUNG_S or (policy.age is not None and age_s < policy.age.total_seconds())
        if not young and file.stem not in {*newest, *staying, _at_work(state)}:
            yield file


def _let_go(guard: Path) -> str:
    """Remove a lock that nobody holds; whoever waits for it by then takes the next one (`once.claimed`)."""
    try:
        with guard.open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            guard.unlink(missing_ok=True)
    except BlockingIOError:
        return "a run of its key is at work"
    except FileNotFoundError:
        return ""
    return ""


def _drop(state: Path, file: Path) -> str:
    if file.stem == _at_work(state):
        return "the watch is at it"
    remove_path(file)
    return ""


def _at_work(state: Path) -> str:
    """The key that the watch decided on last; empty where there is none."""
    try:
        content: Any = json.loads((state / watch_state.FILE).read_text(encoding="utf-8"))
        return str((content.get("trigger") or {}).get("key", ""))
    except (OSError, ValueError, AttributeError):
        return ""


def _is_old(file: Path) -> bool:
    try:
        return time.time() - file.stat().st_mtime > YOUNG_S
    except OSError:
        return False
