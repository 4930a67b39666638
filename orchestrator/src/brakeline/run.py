"""A run: its folder, its inputs brought in, the compiled pipeline, a runner, and how it ended."""

import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from brakeline import record, recordings, revision, shards
from brakeline.local import LocalRunner, StepFailed
from brakeline.narrator import Narrator
from brakeline.place import Address, Place
from brakeline.record import RunRecord
from brakeline.whole import CannotWrite, staged

EXIT_REFUSED = 65
# The pipeline's own number of them, which a local run leaves as it is.
FINALISTS = 3
EXIT_INTERRUPTED = 143


@dataclass(frozen=True)
class Request:
    """What to run. Paths may be relative, `recorded` may be s3://bucket/key.

    Numbers are as the pipeline's parameters of the same name.
    """

    state: Path
    server: str
    recorded: str | None = None
    rows: int = 400_000
    holdout_rows: int = 60_000
    seed: int = 0
    trials: int = 8
    shards: int = 2
    name: str = "stopping-distance"
    auto_deploy: bool = True
    scenario: str = "default"
    cached: bool = True
    idempotency: str = ""
    reason: str = ""


class Interrupted(BaseException):
    """SIGTERM or Ctrl-C ended the run; as KeyboardInterrupt, nothing that catches errors may take it for one."""


def compile_pipeline(target: Path, images: Mapping[str, str], code: str = "", cached: bool = True) -> Path:
    """Write the pipeline as KFP's IR YAML, with the image of each step, and return its path.

    Each step is told its image, and a cluster's the revision of its `code`. A local runner tells the revision itself:
    what stands in the IR is in the local cache's keys, and no commit of a comment shall empty the cache. Without
    `cached` a cluster takes no task from its cache; a local runner is given no cache instead.
    """
    from kfp import compiler

    from brakeline.pipeline import brakeline

    target.parent.mkdir(parents=True, exist_ok=True)
    with staged(target) as written:
        compiler.Compiler().compile(brakeline, str(written))
        _fill_in(written, images, code, cached)
    return target


def _fill_in(pipeline: Path, images: Mapping[str, str], code: str, cached: bool) -> None:
    """Put the image of each step, what it is told of itself, and whether caches count, into a compiled pipeline."""
    import yaml

    # Ten times as quick as the parser in Python, where it is built.
    loader, dumper = getattr(yaml, "CSafeLoader", yaml.SafeLoader), getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    documents = list(yaml.load_all(pipeline.read_text(encoding="utf-8"), loader))
    for executor in documents[0]["deploymentSpec"]["executors"].values():
        if "container" in executor:
            container = executor["container"]
            container["image"] = images[container["image"]]
            told = {revision.IMAGE: container["image"], **({revision.REVISION: code} if code else {})}
            container["env"] = [{"name": name, "value": value} for name, value in told.items()]
    for part in () if cached else (documents[0]["root"], *documents[0]["components"].values()):
        for task in part.get("dag", {}).get("tasks", {}).values():
            task["cachingOptions"] = {}
    pipeline.write_text(yaml.dump_all(documents, Dumper=dumper, sort_keys=True), encoding="utf-8")


def server(request: Request, where: Place, port: int) -> AbstractContextManager[Address]:
    """A server on the state's model store for the time of a block."""
    state = request.state.absolute()
    state.mkdir(parents=True, exist_ok=True)
    return where.server(state / "models", state / "server.log", port)


def carry_out(request: Request, where: Place, narrator: Narrator) -> RunRecord:
    """Run the pipeline before the server asked for, or before one that is up meanwhile. Raises as `execute`."""
    with nullcontext(Address(request.server, request.server)) if request.server else server(request, where, 0) as found:
        return execute(replace(request, server=found.steps), where, narrator)


def execute(request: Request, where: Place, narrator: Narrator) -> RunRecord:
    """Run the pipeline. The record says how it ended; nothing is raised for a failed step.

    Raises RecordingError where the recorded stops cannot be had, CannotWrite where the record cannot be kept.
    """
    state = request.state.absolute()
    runs, run_id = state / "runs", record.new_run_id(state / "runs")
    given = arguments(request, state, recordings.bring_in(request.recorded, runs / "inputs"))
    launcher = where.launcher(state, run_id, request.server)
    kept = RunRecord(
        run_id, launcher.name, runs / run_id, given, idempotency=request.idempotency, reason=request.reason
    )
    narrator.tell(f"run {run_id} in {kept.folder}")
    runner = LocalRunner(kept, narrator, state / "cache" if request.cached else None, launcher)
    try:
        pipeline = kept.folder / "pipeline.yaml"
        ended_by_signals(runner, lambda: runner.run(compile_pipeline(pipeline, where.images), given))
    except StepFailed as failure:
        kept.end(record.FAILED, str(failure))
    except Interrupted as why:
        kept.end(record.INTERRUPTED, str(why))
    except BaseException as error:
        # What made it fail, as a full disk, may keep the record from saying so.
        with suppress(CannotWrite):
            kept.end(record.FAILED, f"{type(error).__name__}: {error}")
        raise
    else:
        _show_dossier(kept)
        kept.end(*_outcome(kept))
    return kept


def exit_code(kept: RunRecord) -> int:
    """What a command ends with after this run: 0, 65 for a refused model, or the failed step's own."""
    if kept.status == record.SUCCEEDED:
        return 0
    if kept.status == record.REFUSED:
        return EXIT_REFUSED
    if kept.status == record.INTERRUPTED:
        return EXIT_INTERRUPTED
    return next((task.exit_code for task in kept.tasks if task.exit_code), 70)


def summary(kept: RunRecord) -> dict[str, Any]:
    """A run in one JSON object."""
    hashes = {"dataset": ("assemble", "dataset"), "model": ("fit", "model"), "verdict": ("validate", "verdict")}
    validate, dossier = kept.task("validate"), _dossier(kept)
    return {
        "status": kept.status,
        "runner": kept.runner,
        "run": kept.run_id,
        "folder": str(kept.folder),
        "passed": validate.parameters.get("passed") if validate else None,
        "model_version": kept.artifact("register", "registered").get("version"),
        "dossier": str(dossier) if dossier.exists() else None,
        "sha256": {name: kept.artifact(*where).get("sha256") for name, where in hashes.items()},
        "tasks_run": sum(not task.cached for task in kept.tasks),
        "tasks_cached": sum(task.cached for task in kept.tasks),
        "seconds": kept.seconds,
        "error": kept.error,
    }


def _outcome(kept: RunRecord) -> tuple[str, str]:
    """Whether the run released its model. Judged by what was made, never by the absence of an error alone."""
    validate = kept.task("validate")
    passed = validate.parameters.get("passed") if validate else None
    if passed is False:
        return record.REFUSED, f"the model did not pass its gates: see {_dossier(kept)}"
    wanted = ["record", "register", *(["deploy", "promote"] if kept.parameters["auto_deploy"] else [])]
    missing = [name for name in wanted if kept.task(name) is None]
    if passed is not True or missing:
        return record.FAILED, f"the pipeline ended without {', '.join(missing) or 'a verdict'}"
    return record.SUCCEEDED, ""


def _dossier(kept: RunRecord) -> Path:
    return kept.folder / "dossier.html"


def _show_dossier(kept: RunRecord) -> None:
    """Put the dossier where a browser knows it for a page: artifacts have no file endings."""
    if uri := kept.artifact("validate", "dossier").get("uri"):
        with staged(_dossier(kept)) as copy:
            shutil.copyfile(uri, copy)


def arguments(request: Request, state: Path, recorded: Path) -> dict[str, Any]:
    """What a local run gives the pipeline: `state` is absolute, `recorded` was brought in."""
    return {
        "recorded": str(recorded),
        "registry": f"sqlite:///{state / 'registry.sqlite'}",
        "model_store": str(state / "models"),
        "server": request.server,
        "rows": request.rows,
        "holdout_rows": request.holdout_rows,
        "faulty_rows": max(1, 2 * request.holdout_rows // 3),
        "scenario": request.scenario,
        "seed": request.seed,
        "trials": request.trials,
        **shards.lists(request.shards, request.trials, FINALISTS),
        "name": request.name,
        "auto_deploy": request.auto_deploy,
    }


def ended_by_signals(runner: LocalRunner, work: Callable[[], None]) -> None:
    """Do the work, and end the runner's steps before it on SIGTERM and Ctrl-C. Raises Interrupted, or what it raised.

    Aside from the main thread, in which signals are handled: one may come while a step is being started, and that step
    is ended once it is there. Further signals are let pass while the steps end, which takes seconds, and do then what
    they did before: whoever waits for an engine that hangs can still leave.
    """
    if threading.current_thread() is not threading.main_thread():
        work()
        return
    with ThreadPoolExecutor(1, "run") as aside, _raised_by_signals():
        try:
            aside.submit(work).result()
        except Interrupted:
            runner.stop()
            raise


@contextmanager
def _raised_by_signals() -> Iterator[None]:
    ends = (signal.SIGTERM, signal.SIGINT)

    def end(number: int, _: object) -> None:
        for ignored in ends:
            signal.signal(ignored, signal.SIG_IGN)
        raise Interrupted(f"ended by {signal.Signals(number).name}")

    before = {number: signal.signal(number, end) for number in ends}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
