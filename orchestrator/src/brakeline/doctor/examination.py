"""Probes side by side, each with an end: what was found, and what to do about it.

A probe returns what it found, or raises `Failed` or `Skipped`. It says nothing that is secret: no token, no key, no
answer of a service as it came.
"""

import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

OK, FAILED, SKIPPED = "ok", "failed", "skipped"
# A probe may wait for several answers, and loads a client before the first.
_WAITS, _LOADING_S = 3, 5.0


@dataclass(frozen=True)
class Ask:
    """What to look at; what is empty is skipped. `timeout_s` is for each wait for an answer [s]."""

    state: Path
    url: str = ""
    namespace: str = ""
    registry: str = ""
    bucket: str = ""
    timeout_s: float = 10.0


@dataclass(frozen=True)
class Check:
    """One prerequisite: `status` is ok, failed or skipped."""

    name: str
    status: str
    found: str
    todo: str
    seconds: float


class Failed(Exception):
    """A prerequisite does not hold: what was found, and what to do."""

    def __init__(self, found: str, todo: str) -> None:
        super().__init__(found)
        self.todo = todo


class Skipped(Exception):
    """There was nothing to look at: why, and what would change that."""

    def __init__(self, reason: str, todo: str = "") -> None:
        super().__init__(reason)
        self.todo = todo


Probe = Callable[[Ask], str]


def examine(ask: Ask, probes: Mapping[str, Probe]) -> list[Check]:
    """Carry out all probes at once, and wait for each only so long; the checks are in the probes' order."""
    answers: queue.Queue[Check] = queue.Queue()
    for name, probe in probes.items():
        # Daemons, so that one that hangs cannot keep the command from ending.
        call = partial(_carry_out, name, probe, ask)
        threading.Thread(target=lambda call=call: answers.put(call()), daemon=True).start()
    patience_s = _WAITS * ask.timeout_s + _LOADING_S
    deadline, done = time.monotonic() + patience_s, dict[str, Check]()
    while len(done) < len(probes) and time.monotonic() < deadline:
        try:
            check = answers.get(timeout=max(deadline - time.monotonic(), 0.01))
        except queue.Empty:
            break
        done[check.name] = check
    late = f"no answer within {patience_s:g} s"
    todo = "look whether what it asks is up and can be reached from here, through the proxy if there is one"
    return [done.get(name) or Check(name, FAILED, late, todo, patience_s) for name in probes]


def summary(checks: list[Check]) -> dict[str, Any]:
    """The checks and how many of each status, as JSON has them."""
    counts = {status: sum(check.status == status for check in checks) for status in (OK, FAILED, SKIPPED)}
    return {"status": FAILED if counts[FAILED] else OK, **counts, "checks": [asdict(check) for check in checks]}


def _carry_out(name: str, probe: Probe, ask: Ask) -> Check:
    begun = time.monotonic()
    try:
        status, found, todo = OK, probe(ask), ""
    except Failed as error:
        status, found, todo = FAILED, str(error), error.todo
    except Skipped as error:
        status, found, todo = SKIPPED, str(error), error.todo
    except Exception as error:  # noqa: BLE001  one probe's bug must not hide what the others found
        # Its message may hold anything.
        status, found, todo = FAILED, f"the probe itself broke: {type(error).__name__}", "report it as a bug"
    return Check(name, status, found, todo, round(time.monotonic() - begun, 3))
