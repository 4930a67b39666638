"""A compiled pipeline on this machine: kfp.local's own orchestrator, observed, with steps started by a launcher.

The orchestrator (loops, conditions, collected outputs, retries, cache) does not care how a task runs. `INTERNALS`
names everything of kfp's that is replaced, here and by the launchers; a test fails when the pinned kfp no longer has
one of them.
"""

import contextlib
import importlib
import json
import logging
import threading
import time
import warnings
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from kfp import components, dsl, local
from kfp.local import status
from kfp.local.orchestrator import task_executor

from brakeline.narrator import Narrator
from brakeline.record import FAILED, SUCCEEDED, RunRecord, TaskRecord
from brakeline.whole import CannotWrite, Log, add

# By the modules' names: that of containers wants a package which is not everywhere, as in a workbench.
INTERNALS = {
    "kfp.local.subprocess_task_handler": "SubprocessTaskHandler",
    "kfp.local.docker_task_handler": "run_docker_container",
    "kfp.local.orchestrator.task_executor": "execute_single_task",
    "kfp.local.executor_input_utils": "get_local_pipeline_resource_name",
    "kfp.local.logging_utils": "indented_print",
}
TERMINATED = 143
_SECONDS_TO_END = 5.0


class StepFailed(Exception):
    """A task ended with an error: its own message and exit code."""

    def __init__(self, task: str, message: str, exit_code: int) -> None:
        super().__init__(f"{task}: {message}")
        self.exit_code = exit_code


class Step(Protocol):
    """A step that was started."""

    def diary(self) -> Iterator[str]:
        """The lines of its stderr, as they come, until it ends."""

    def wait(self) -> int:
        """Its exit status."""

    def end(self, within_s: float) -> None:
        """Ask it to end, and make it end after that time [s]."""


@dataclass
class Attempt:
    """What a launcher learns of the task that its thread is executing."""

    name: str
    label: str
    in_loop: bool
    started: bool = False
    exit_code: int = 0
    error: str = ""


class Launcher(Protocol):
    """How steps are started: as processes or as containers."""

    @property
    def name(self) -> str:
        """What the record calls it."""

    def runner(self) -> local.SubprocessRunner | local.DockerRunner:
        """kfp.local's settings."""

    def replacements(self, run: "LocalRunner") -> dict[str, Any]:
        """What stands in for kfp's internals, by name; its calls end in `LocalRunner.carry_out`."""


@dataclass
class LocalRunner:
    """Runs a compiled pipeline on this machine."""

    record: RunRecord
    narrator: Narrator
    cache: Path | None
    launcher: Launcher
    current: ContextVar[Attempt] = field(default_factory=lambda: ContextVar("current"))
    _steps: set[Step] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _stopping: bool = False

    def run(self, pipeline: Path, arguments: dict[str, Any]) -> None:
        """Run to the end. Raises StepFailed with the first failed task's own message."""
        folder = self.record.folder
        with self._in_place_of_kfps(), quiet(Log(folder / "kfp.log")):
            local.init(
                self.launcher.runner(),
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
            steps = list(self._steps)
        enders = [threading.Thread(target=step.end, args=(_SECONDS_TO_END,)) for step in steps]
        for ender in enders:
            ender.start()
        for ender in enders:
            ender.join()

    def carry_out(self, start: Any) -> int:
        """Carry the current task's step out: `start(attempt)` starts it. Returns its exit status."""
        attempt = self.current.get()
        with self._lock:
            if self._stopping:
                attempt.exit_code = TERMINATED
                return attempt.exit_code
            if not attempt.started:
                self.narrator.started(attempt.label)
            attempt.started, attempt.error = True, ""
            step: Step = start(attempt)
            self._steps.add(step)
        try:
            for line in step.diary():
                self._hear(attempt, line)
            attempt.exit_code = step.wait()
        finally:
            with self._lock:
                self._steps.discard(step)
        if attempt.exit_code and not attempt.error:
            no_word = f"ended with status {attempt.exit_code} and no word"
            attempt.error = "ended with the run" if self._stopping else no_word
        return attempt.exit_code

    @contextlib.contextmanager
    def _in_place_of_kfps(self) -> Iterator[None]:
        execute = task_executor.execute_single_task
        ours: dict[str, Any] = {
            "execute_single_task": lambda **call: self._observed(execute, call),
            "get_local_pipeline_resource_name": lambda _: self.record.run_id,
            # In a loop's threads each print would go through all those before it: the square of the iterations.
            "indented_print": contextlib.nullcontext,
            **self.launcher.replacements(self),
        }
        with contextlib.ExitStack() as stack:
            for module, name in INTERNALS.items():
                if name in ours:
                    stack.enter_context(replaced(importlib.import_module(module), name, ours[name]))
            yield

    def _observed(self, execute: Any, call: dict[str, Any]) -> Any:
        """Let kfp execute a task, and record what came of it: outputs, time, whether it came from the cache."""
        scope = call["pipeline_resource_name"].partition("/")[2]
        attempt = Attempt(call["task_name"], f"{call['task_name']}{_iteration(scope)}", in_loop=bool(scope))
        self.current.set(attempt)
        # What {{$.pipeline_job_uuid}} stands for: the registry's source names the run's own folder.
        call["unique_pipeline_id"] = self.record.run_id
        # Tries again are for pods that a cluster took away; what fails here would fail again.
        call["task_spec"].ClearField("retry_policy")
        start = time.monotonic()
        # What a step is told for KFP's job id is our own run's, which people know.
        try:
            outputs, ended = execute(**(call | {"unique_pipeline_id": self.record.run_id}))
        except Exception as error:  # noqa: BLE001  kfp's own, whatever it is: it would end the run without a word
            outputs, ended = {}, status.Status.FAILURE
            _tell(attempt, error, self.record.folder)
        good, seconds = ended == status.Status.SUCCESS, time.monotonic() - start
        if self._stopping and not attempt.started and not good:
            return outputs, ended
        artifacts = {name: value for name, value in outputs.items() if isinstance(value, dsl.Artifact)}
        task = TaskRecord(
            name=attempt.name,
            scope=scope,
            status=SUCCEEDED if good else FAILED,
            cached=good and not attempt.started and attempt.name != "importer",
            seconds=round(seconds, 3),
            artifacts={name: {"uri": value.uri, **value.metadata} for name, value in artifacts.items()},
            parameters={name: value for name, value in outputs.items() if name not in artifacts},
            exit_code=attempt.exit_code,
            error=attempt.error,
        )
        self.record.add(task)
        if task.name != "importer":
            self.narrator.ended(attempt.label, task.status, seconds, task.cached)
        return outputs, ended

    def _hear(self, attempt: Attempt, line: str) -> None:
        try:
            said = json.loads(line)
        except ValueError:
            said = {"level": "info", "event": "line", "message": line.rstrip()}
        if said.get("level") == "error":
            attempt.error = str(said.get("message"))
        # The step goes on without its diary.
        with contextlib.suppress(CannotWrite):
            add(self.record.folder / "steps.log", json.dumps({**said, "task": attempt.label}) + "\n")
        self.narrator.said(attempt.label, said)


def _tell(attempt: Attempt, error: Exception, folder: Path) -> None:
    """What kept kfp from carrying out a task, such as a full disk under its own files."""
    if isinstance(error, OSError):
        failure = CannotWrite(Path(str(error.filename or folder)), error)
        attempt.error, attempt.exit_code = str(failure), failure.exit_code
    else:
        attempt.error, attempt.exit_code = attempt.error or f"{type(error).__name__}: {error}", 70


@contextlib.contextmanager
def replaced(module: Any, name: str, value: Any) -> Iterator[None]:
    """Another value under a module's name for the time of a block."""
    original = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, original)


def _iteration(scope: str) -> str:
    number = scope.rpartition("-iteration-")[2]
    return f" {int(number) + 1}" if number.isdigit() else ""


@contextlib.contextmanager
def quiet(log: Any) -> Iterator[None]:
    """kfp prints and logs to stdout, which is ours for the result alone."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(log):
            warnings.simplefilter("ignore")
            yield
    finally:
        root.setLevel(level)
        root.handlers[:] = handlers
