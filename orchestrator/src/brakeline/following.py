"""Runs on a cluster: listed, shown, and waited for."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from brakeline.access import Access, Refused, Unavailable
from brakeline.cluster import listed, where
from brakeline.kfp_client import connect, told
from brakeline.platform import TABLE

SUCCEEDED, REFUSED, FAILED, CANCELED, LEFT = "succeeded", "refused", "failed", "canceled", "left"
EXIT_CODES = {SUCCEEDED: 0, REFUSED: 65, FAILED: 70, CANCELED: 70, LEFT: 143}
_ENDED = {"SUCCEEDED", "FAILED", "CANCELED", "SKIPPED"}
_FIRST_PAUSE_S, _LONGEST_PAUSE_S, _GROWTH = 2.0, 30.0, 1.5


class Left(Exception):
    """SIGTERM ended the waiting; the run goes on."""


def runs(
    access: Access, experiment: str = "", state: str = "", name: str = "", limit: int = 20
) -> list[dict[str, Any]]:
    """The newest runs, of an experiment, in a state, with a name that has these signs in it. Raises ClusterError."""
    client = connect(access)
    call: dict[str, Any] = {"sort_by": "created_at desc"}
    if experiment:
        call["experiment_id"] = _experiment_id(client, access, experiment)
    elif access.namespace:
        call["namespace"] = access.namespace
    if name:
        call["filter"] = where("display_name", name, "IS_SUBSTRING")
    found: list[dict[str, Any]] = []
    for run in listed(client.list_runs, "runs", "runs", **call):
        if not state or str(run.state) == state.upper():
            found.append(facts(run))
        if len(found) == limit:
            break
    return found


def facts(run: Any) -> dict[str, Any]:
    """A run in one JSON object, with the states of the pipeline's tasks: how many of each name are in which state."""
    parameters = (run.runtime_config and run.runtime_config.parameters) or {}
    return {
        "run": run.run_id,
        "name": run.display_name,
        "state": str(run.state),
        "created_at": str(run.created_at) if run.created_at else None,
        "finished_at": str(run.finished_at) if run.finished_at else None,
        "experiment_id": run.experiment_id,
        "parameters": parameters,
        "reason": (run.description or "").splitlines()[0] if run.description else "",
        "error": run.error.message if run.error else None,
        "tasks": tasks(run),
    }


def tasks(run: Any) -> dict[str, dict[str, int]]:
    """States of the pipeline's own tasks by name; drivers, loops and conditions are the platform's and left out."""
    counted: dict[str, dict[str, int]] = {}
    for task in (run.run_details and run.run_details.task_details) or ():
        if task.display_name in TABLE:
            states = counted.setdefault(task.display_name, {})
            states[str(task.state)] = states.get(str(task.state), 0) + 1
    return counted


def outcome(run: Any) -> tuple[str, str]:
    """How an ended run ended, and why: judged by the tasks behind the gate, since a refused model is no failed run."""
    state, done = str(run.state), tasks(run)
    if state == "CANCELED":
        return CANCELED, "the run was canceled"
    if state != "SUCCEEDED":
        failed = ", ".join(name for name, states in done.items() if "FAILED" in states)
        words = run.error.message if run.error else "no word"
        return FAILED, f"{failed or 'the run'} failed: {words}; see `brakeline logs {run.run_id}`"
    if "SUCCEEDED" not in done.get("register", {}):
        return REFUSED, "the model did not pass its gates: nothing was registered; the dossier is validate's output"
    parameters = (run.runtime_config and run.runtime_config.parameters) or {}
    wanted = ("deploy", "promote") if parameters.get("auto_deploy", True) else ()
    if missing := [name for name in wanted if "SUCCEEDED" not in done.get(name, {})]:
        return FAILED, f"the run ended without {', '.join(missing)}; see `brakeline logs {run.run_id}`"
    return SUCCEEDED, ""


def wait(
    access: Access,
    run_id: str,
    tell: Callable[[str], None],
    timeout_s: float = 0,
    first_pause_s: float = _FIRST_PAUSE_S,
) -> dict[str, Any]:
    """Wait until a run ends, telling each task's change; SIGTERM ends the waiting and leaves the run.

    Returns its facts with `status`, `error`, `seconds`. Raises ClusterError, also where it does not end in time [s].
    """
    client, start, pause_s = connect(access), time.monotonic(), first_pause_s
    before: dict[str, dict[str, int]] = {}
    run: Any = None
    try:
        with _ended_by_sigterm():
            while True:
                with told(f"run {run_id}"):
                    run = client.get_run(run_id)
                for line in _changes(before, tasks(run)):
                    tell(line)
                    pause_s = first_pause_s
                before = tasks(run)
                if str(run.state) in _ENDED:
                    status, error = outcome(run)
                    break
                if timeout_s and time.monotonic() - start > timeout_s:
                    raise Unavailable(f"run {run_id} is {run.state} after {timeout_s:g} s; it goes on")
                time.sleep(pause_s)
                pause_s = min(pause_s * _GROWTH, _LONGEST_PAUSE_S)
    except Left:
        status, error = LEFT, "SIGTERM: the waiting ended, the run goes on"
    known = facts(run) if run is not None else {"run": run_id}
    return {**known, "status": status, "error": error, "seconds": round(time.monotonic() - start, 1)}


def _changes(before: dict[str, dict[str, int]], now: dict[str, dict[str, int]]) -> Iterator[str]:
    for name, states in now.items():
        if states != before.get(name):
            yield f"{name}: {', '.join(f'{count} {state.lower()}' for state, count in sorted(states.items()))}"


def _experiment_id(client: Any, access: Access, name: str) -> str:
    rule = where("display_name", name)
    found = listed(
        client.list_experiments, "experiments", "experiments", filter=rule, namespace=access.namespace or None
    )
    experiment = next(iter(found), None)
    if experiment is None:
        raise Refused(f"experiment {name!r}: there is none of this name")
    return str(experiment.experiment_id)


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    def end(_: int, __: object) -> None:
        raise Left

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
