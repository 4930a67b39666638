"""The process runner: kfp.local's own orchestrator, with a task handler that starts a step's console script.

kfp.local's SubprocessRunner refuses container components; its orchestrator (loops, conditions, collected
outputs, retries, cache) does not care how a task runs. `INTERNALS` names everything of kfp's that is replaced
here; a test fails when the pinned kfp no longer has one of them.
"""

import builtins
import contextlib
import json
import logging
import os
import shutil
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kfp import components, dsl, local
from kfp.local import executor_input_utils, status, subprocess_task_handler
from kfp.local.orchestrator import task_executor

from brakeline.narrator import Narrator
from brakeline.record import FAILED, SUCCEEDED, RunRecord, TaskRecord

INTERNALS = {
    subprocess_task_handler: "SubprocessTaskHandler",
    task_executor: "execute_single_task",
    executor_input_utils: "get_local_pipeline_resource_name",
}
_SECONDS_TO_END = 5.0


class StepFailed(Exception):
    """A task ended with an error: its own message and exit code."""

    def __init__(self, task: str, message: str, exit_code: int) -> None:
        super().__init__(f"{task}: {message}")
        self.exit_code = exit_code


@dataclass
class _Attempt:
    """What the handler learns of the task that its thread is executing."""

    task: str
    in_loop: bool
    started: bool = False
    exit_code: int = 0
    error: str = ""


@dataclass
class ProcessRunner:
    """Runs a compiled pipeline on this machine, without containers."""

    record: RunRecord
    narrator: Narrator
    cache: Path | None
    _children: set[subprocess.Popen[str]] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stopping: bool = False

    def run(self, pipeline: Path, arguments: dict[str, Any]) -> None:
        """Run to the end. Raises StepFailed with the first failed task's own message."""
        folder = self.record.folder
        runner = local.SubprocessRunner(use_venv=False)
        with (folder / "kfp.log").open("a", encoding="utf-8") as log, self._in_place_of_kfps(), _quiet(log):
            local.init(
                runner,
                pipeline_root=str(folder.parent),
                workspace_root=str(folder / "workspace"),
                enable_caching=self.cache is not None,
                cache_root=str(self.cache) if self.cache else None,
            )
            try:
                components.load_component_from_file(str(pipeline))(**arguments)
            except RuntimeError as error:
                failed = next((task for task in self.record.tasks if task.status == FAILED), None)
                if failed is None:
                    raise
                raise StepFailed(failed.name, failed.error, failed.exit_code) from error

    def stop(self) -> None:
        """End all running steps and start no more."""
        with self._lock:
            self._stopping = True
            children = list(self._children)
        for child in children:
            child.terminate()
        deadline = time.monotonic() + _SECONDS_TO_END
        for child in children:
            try:
                child.wait(max(deadline - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                child.kill()

    @contextlib.contextmanager
    def _in_place_of_kfps(self) -> Iterator[None]:
        current: ContextVar[_Attempt] = ContextVar("current")
        execute = task_executor.execute_single_task
        replaced: dict[str, Any] = {
            "SubprocessTaskHandler": lambda **call: _Handler(self, current.get(), call["full_command"]),
            "execute_single_task": lambda **call: self._observed(execute, current, call),
            "get_local_pipeline_resource_name": lambda _: self.record.run_id,
        }
        with contextlib.ExitStack() as stack:
            for module, name in INTERNALS.items():
                stack.enter_context(_replaced(module, name, replaced[name]))
            yield

    def _observed(self, execute: Any, current: ContextVar[_Attempt], call: dict[str, Any]) -> Any:
        """Let kfp execute a task, and record what came of it: outputs, time, whether it came from the cache."""
        scope = call["pipeline_resource_name"].partition("/")[2]
        attempt = _Attempt(f"{call['task_name']}{_iteration(scope)}", in_loop=bool(scope))
        current.set(attempt)
        start = time.monotonic()
        outputs, ended = execute(**call)
        good, seconds = ended == status.Status.SUCCESS, time.monotonic() - start
        artifacts = {name: value for name, value in outputs.items() if isinstance(value, dsl.Artifact)}
        task = TaskRecord(
            name=call["task_name"],
            scope=scope,
            status=SUCCEEDED if good else FAILED,
            cached=good and not attempt.started and call["task_name"] != "importer",
            seconds=round(seconds, 3),
            artifacts={name: {"uri": value.uri, **value.metadata} for name, value in artifacts.items()},
            parameters={name: value for name, value in outputs.items() if name not in artifacts},
            exit_code=attempt.exit_code,
            error=attempt.error,
        )
        self.record.add(task)
        if task.name != "importer":
            self.narrator.ended(attempt.task, task.status, seconds, task.cached)
        return outputs, ended

    def execute(self, attempt: _Attempt, command: list[str]) -> int:
        """Run one step's console script; returns its exit status."""
        if not attempt.started:
            self.narrator.started(attempt.task)
        attempt.started, attempt.error = True, ""
        with self._lock:
            if self._stopping:
                attempt.error, attempt.exit_code = "not started: the run is being ended", 143
                return attempt.exit_code
            child = subprocess.Popen(
                [_script(command[0]), *command[1:]],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                env=_environment(attempt.in_loop),
            )
            self._children.add(child)
        try:
            assert child.stderr is not None
            for line in child.stderr:
                self._hear(attempt, line)
            attempt.exit_code = child.wait()
        finally:
            with self._lock:
                self._children.discard(child)
        if attempt.exit_code and not attempt.error:
            attempt.error = f"ended with status {attempt.exit_code} and no word"
        return attempt.exit_code

    def _hear(self, attempt: _Attempt, line: str) -> None:
        try:
            said = json.loads(line)
        except ValueError:
            said = {"level": "info", "event": "line", "message": line.rstrip()}
        if said.get("level") == "error":
            attempt.error = str(said.get("message"))
        with (self.record.folder / "steps.log").open("a", encoding="utf-8") as log:
            log.write(json.dumps({**said, "task": attempt.task}) + "\n")
        self.narrator.said(attempt.task, said)


class _Handler:
    """What kfp starts a task with."""

    def __init__(self, runner: ProcessRunner, attempt: _Attempt, command: list[str]) -> None:
        self._runner, self._attempt, self._command = runner, attempt, command

    def run(self) -> status.Status:
        failed = self._runner.execute(self._attempt, self._command)
        return status.Status.FAILURE if failed else status.Status.SUCCESS


@contextlib.contextmanager
def _replaced(module: Any, name: str, value: Any) -> Iterator[None]:
    original = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, original)


def _script(name: str) -> str:
    """The console script of this very environment, whatever PATH says."""
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.exists() else shutil.which(name) or name


def _environment(in_loop: bool) -> dict[str, str]:
    """A loop's tasks run two at a time: each gets its share of the cores, or they would spin against each other."""
    threads = max((os.cpu_count() or 1) // 2, 1)
    return (
        {"OMP_NUM_THREADS": str(threads), "POLARS_MAX_THREADS": str(threads), **os.environ}
        if in_loop
        else {**os.environ}
    )


def _iteration(scope: str) -> str:
    number = scope.rpartition("-iteration-")[2]
    return f" {int(number) + 1}" if number.isdigit() else ""


@contextlib.contextmanager
def _quiet(log: Any) -> Iterator[None]:
    """kfp prints and logs to stdout, which is ours for the result alone; its threads leave `print` indented."""
    root, plain_print = logging.getLogger(), builtins.print
    level, handlers = root.level, root.handlers[:]
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(log):
            warnings.simplefilter("ignore")
            yield
    finally:
        builtins.print = plain_print
        root.setLevel(level)
        root.handlers[:] = handlers
