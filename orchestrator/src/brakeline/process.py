"""Steps as processes of this environment: the pipeline without containers.

kfp.local's SubprocessRunner refuses container components; a task handler of ours takes its place.
"""

import os
import subprocess
from collections.abc import Iterator
from typing import Any

from kfp import local
from kfp.local import status

from brakeline import revision
from brakeline.handed import by_file
from brakeline.local import Attempt, LocalRunner
from brakeline.steps import script


class Processes:
    """Starts a step's console script."""

    name = "process"

    def runner(self) -> local.SubprocessRunner:
        """kfp.local's settings."""
        return local.SubprocessRunner(use_venv=False)

    def replacements(self, run: LocalRunner) -> dict[str, Any]:
        """Our handler in place of kfp's."""
        told = revision.here()

        def handler(**call: Any) -> _Handler:
            known = {revision.REVISION: told, **call.get("env_vars", {})}
            if image := known.get(revision.IMAGE):
                known[revision.IMAGE] = revision.as_sources(image)
            return _Handler(run, call["full_command"], known)

        return {"SubprocessTaskHandler": handler}


class _Handler:
    """What kfp starts a task with."""

    def __init__(self, run: LocalRunner, command: list[str], environment: dict[str, str]) -> None:
        self._run, self._command, self._environment = run, command, environment

    def run(self) -> status.Status:
        command = by_file(self._command, self._run.record.folder)
        failed = self._run.carry_out(lambda attempt: _Process(command, attempt, self._environment))
        return status.Status.FAILURE if failed else status.Status.SUCCESS


class _Process:
    """A step as a process."""

    def __init__(self, command: list[str], attempt: Attempt, environment: dict[str, str]) -> None:
        self._child = subprocess.Popen(
            [script(command[0]), *command[1:]],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env={**share_of_cores(attempt.in_loop), **os.environ, **environment},
        )

    def diary(self) -> Iterator[str]:
        assert self._child.stderr is not None
        yield from self._child.stderr

    def wait(self) -> int:
        return self._child.wait()

    def end(self, within_s: float) -> None:
        self._child.terminate()
        try:
            self._child.wait(within_s)
        except subprocess.TimeoutExpired:
            self._child.kill()


def share_of_cores(in_loop: bool) -> dict[str, str]:
    """A loop's tasks run two at a time: each gets its share of the cores, or they would spin against each other."""
    threads = str(max((os.cpu_count() or 1) // 2, 1))
    return {"OMP_NUM_THREADS": threads, "POLARS_MAX_THREADS": threads} if in_loop else {}
