"""Programs that a build starts. Each is the head of a group of its own, so that an interrupted build ends all of it."""

import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_GRACE_S = 2
_running: set[subprocess.Popen[str]] = set()
_guard = threading.Lock()


@dataclass(frozen=True)
class Ended:
    """How a program ended and what it said."""

    status: int
    stdout: str
    stderr: str


def start(command: Sequence[str], environment: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
    """Start a program and go on; `finish` waits for it."""
    pipe = subprocess.PIPE
    with _guard:
        process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, start_new_session=True,
            env={**os.environ, **(environment or {})},
        )  # fmt: skip
        _running.add(process)
    return process


def finish(process: subprocess.Popen[str], said: str = "") -> Ended:
    """Say something to a program and wait for its end."""
    try:
        stdout, stderr = process.communicate(said)
    finally:
        _running.discard(process)
        _end(process)
    return Ended(process.returncode, stdout, stderr)


def run(command: Sequence[str], said: str = "", environment: Mapping[str, str] | None = None) -> Ended:
    """Start a program and wait for its end."""
    return finish(start(command, environment), said)


def end_all() -> None:
    """End what other threads started and still wait for."""
    with _guard:
        for process in list(_running):
            _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is not None:
        return
    for with_what in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, with_what)
            process.wait(_GRACE_S)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue
        return
