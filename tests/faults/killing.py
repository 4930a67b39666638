"""A process killed at an instant of its life.

The instant is a share of the processor time that it takes undisturbed: on a busy machine it is the same place.
"""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from tests.conftest import BIN, PATIENCE_S

_LOOK_S = 0.001


def started(words: Sequence[object], environment: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start a console script of this environment as the leader of a process group of its own."""
    program, *rest = map(str, words)
    return subprocess.Popen(
        [str(BIN / program), *rest],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **(environment or {})},
        start_new_session=True,
    )


def life_s(words: Sequence[object], environment: dict[str, str] | None = None) -> float:
    """Processor time that a call takes from its start to its end [s]; it must end well."""
    child = started(words, environment)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0, f"{list(map(str, words))} ended with {child.returncode}"
    return used.ru_utime + used.ru_stime


def kill_at(words: Sequence[object], instant_s: float, environment: dict[str, str] | None = None) -> bool:
    """Make a call and kill its process group once it took so much processor time [s]; whether that came first."""
    child = started(words, environment)
    # The clock of all threads of a process: clock_getcpuclockid(3).
    clock, deadline = ~child.pid << 3 | 2, time.monotonic() + PATIENCE_S
    while child.poll() is None:
        assert time.monotonic() < deadline
        if _clock_s(clock) >= instant_s:
            os.killpg(child.pid, signal.SIGKILL)
            return child.wait(PATIENCE_S) == -signal.SIGKILL
        time.sleep(_LOOK_S)
    return False


def _clock_s(clock: int) -> float:
    try:
        return time.clock_gettime(clock)
    except OSError:
        return 0.0  # it ended between two looks


def server_ended(store: Path) -> bool:
    """Whether no process serves a model store any more: a run's server ends with it."""
    return not any(str(store).encode() in _command_line(process) for process in Path("/proc").glob("[0-9]*"))


def _command_line(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""
