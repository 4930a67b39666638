"""Which tasks of the next run would come from the cache, and why not: a run that is gone through without its steps.

kfp's own orchestrator walks the compiled pipeline, and for each task the question that it would ask its cache is asked
in its stead, with the key that it would make. A task that would run gives placeholders, as a new run has new artifacts.
`INTERNALS` names what of kfp's is touched beside the runner's own.
"""

import json
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kfp import components, dsl, local
from kfp.dsl import executor as dsl_executor
from kfp.local import cache, executor_input_utils, status
from kfp.local.orchestrator import orchestrator_utils, task_executor

from brakeline.local import quiet, replaced

INTERNALS = {
    cache.LocalCache: ("compute_key", "get"),
    orchestrator_utils.OrchestratorUtils: ("make_task_arguments",),
    dsl_executor: ("create_artifact_instance",),
    executor_input_utils: ("get_local_pipeline_resource_name",),
    task_executor: ("execute_single_task",),
}
# Where the artifacts of tasks that would run stand; no file is ever here.
MADE_ANEW = "/made-anew/"
Outputs = dict[str, Any]


@dataclass(frozen=True)
class Question:
    """What a task's cache key is made of. `scope` tells iterations of a loop apart."""

    task: str
    scope: str
    component: str
    image: str
    command: tuple[str, ...]
    arguments: Mapping[str, Any]
    environment: Mapping[str, str]
    cached: bool
    custom_key: str
    definitions: Any = field(repr=False, compare=False)

    @property
    def place(self) -> tuple[str, str]:
        """The task and its iteration."""
        return self.task, self.scope

    def key(self, local_cache: Any) -> str:
        """kfp's own key."""
        return str(
            local_cache.compute_key(
                self.component, self.image, list(self.command), dict(self.arguments), dict(self.environment),
                self.custom_key or None,
            )
        )  # fmt: skip

    def placeholders(self, root: str = MADE_ANEW) -> Outputs:
        """Outputs of the types that the component declares; a truth is true, so that what is behind it is seen."""
        made: Outputs = {}
        for name, told in self.definitions.artifacts.items():
            uri = f"{root}{self.task}{self.scope and '/'}{self.scope}/{name}"
            kind = {"schemaTitle": told.artifact_type.schema_title}
            made[name] = dsl_executor.create_artifact_instance({"name": name, "uri": uri, "metadata": {}, "type": kind})
        for name, told in self.definitions.parameters.items():
            of_type: dict[int, Any] = {1: 0.0, 2: 0, 3: "", 4: True, 5: [], 6: {}}
            made[name] = of_type.get(told.parameter_type, "")
        return made


# The outputs that a task gives without being run, or None where it would run.
Answer = Callable[[Question], Outputs | None]


def walk(pipeline: Path, arguments: Mapping[str, Any], answer: Answer, imports: bool = True) -> list[Question]:
    """All questions that a run of the pipeline would ask, in the order of the walk.

    `imports`: an importer looks at its file, as in a run; else any address will do.
    """
    asked: list[Question] = []
    lock = threading.Lock()
    execute = task_executor.execute_single_task

    def ask(**call: Any) -> tuple[Outputs, status.Status]:
        component = call["components"][call["task_spec"].component_ref.name]
        told = call["executors"][component.executor_label]
        taken = orchestrator_utils.OrchestratorUtils.make_task_arguments(call["task_spec"].inputs, call["io_store"])
        if told.WhichOneof("spec") == "importer" and imports:
            outputs, ended = execute(**call)
            return dict(outputs), ended
        question = Question(
            call["task_name"],
            call["pipeline_resource_name"].partition("/")[2],
            call["task_spec"].component_ref.name,
            told.container.image,
            (*told.container.command, *told.container.args),
            taken,
            {variable.name: variable.value for variable in told.container.env},
            call["task_spec"].caching_options.enable_cache,
            call["task_spec"].caching_options.cache_key,
            component.output_definitions,
        )
        if told.WhichOneof("spec") == "importer":
            made = question.placeholders()
            for artifact in made.values():
                artifact.uri = str(taken.get("uri", ""))
            return made, status.Status.SUCCESS
        outputs = answer(question)
        with lock:
            asked.append(question)
        return question.placeholders() if outputs is None else outputs, status.Status.SUCCESS

    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "kfp.log").open("w") as log, quiet(log):
        root = {"pipeline_root": folder, "workspace_root": f"{folder}/workspace", "enable_caching": False}
        local.init(local.SubprocessRunner(use_venv=False), **root)
        with (
            replaced(task_executor, "execute_single_task", ask),
            replaced(executor_input_utils, "get_local_pipeline_resource_name", lambda _: "run"),
        ):
            components.load_component_from_file(str(pipeline))(**arguments)
    return asked


def of_next_run(
    pipeline: Path, arguments: Mapping[str, Any], cache_root: Path, last: list[Question] | None
) -> list[dict[str, Any]]:
    """For each task of the next local run whether it comes from the cache, and where not, why: exact.

    `last` are the questions of the run before, which the reasons compare with.
    """
    before = {question.place: question for question in last or ()}
    hits: dict[tuple[str, str], bool] = {}
    with tempfile.TemporaryDirectory() as nowhere:
        kept = cache.LocalCache(str(cache_root) if cache_root.is_dir() else nowhere)

        def answer(question: Question) -> Outputs | None:
            found: Outputs | None = kept.get(question.key(kept)) if question.cached else None
            hits[question.place] = found is not None
            return found

        asked = walk(pipeline, arguments, answer)
        return [
            {
                "task": question.task,
                "scope": question.scope,
                "hit": hits[question.place],
                "why": [] if hits[question.place] else _reasons(question, before, last is not None, kept),
            }
            for question in asked
        ]


def of_request(request: Any, where: Any) -> dict[str, Any]:
    """The forecast of a local run: its tasks, and the run of the state that it is compared with.

    Raises RecordingError where the recorded stops cannot be had.
    """
    from brakeline import recordings, run  # noqa: PLC0415

    state = request.state.absolute()
    runs = state / "runs"
    given = run.arguments(request, state, recordings.bring_in(request.recorded, runs / "inputs"))
    folders = sorted((file.parent for file in runs.glob("*/run.json")), reverse=True)
    last, before = next(((folder, asked) for folder in folders if (asked := of_record(folder))), (None, None))
    with tempfile.TemporaryDirectory() as folder:
        pipeline = run.compile_pipeline(Path(folder) / "pipeline.yaml", where.images)
        tasks = of_next_run(pipeline, given, state / "cache", before)
    return {"against": last.name if last else None, "tasks": tasks}


def of_record(folder: Path) -> list[Question] | None:
    """The questions that a recorded run asked, as far as it came; None where its pipeline is not there."""
    record, pipeline = folder / "run.json", folder / "pipeline.yaml"
    if not record.is_file() or not pipeline.is_file():
        return None
    told = json.loads(record.read_text(encoding="utf-8"))
    ended = {(task["name"], task["scope"]): task for task in told["tasks"] if task["status"] == "succeeded"}
    reached: set[tuple[str, str]] = set()

    def answer(question: Question) -> Outputs | None:
        task = ended.get(question.place)
        if task is None:
            return None
        reached.add(question.place)
        outputs = question.placeholders()
        for name, value in outputs.items():
            if isinstance(value, dsl.Artifact):
                metadata = dict(task["artifacts"].get(name, {}))
                value.uri = metadata.pop("uri", "")
                value.metadata.update(metadata)
            else:
                outputs[name] = task["parameters"].get(name, value)
        return outputs

    asked = walk(pipeline, told["parameters"], answer, imports=False)
    return [question for question in asked if question.place in reached]


def differences(now: Question, before: Question) -> list[str]:
    """What a task's question has that it had not before, in words."""
    found = []
    if now.image != before.image:
        found.append(f"the code changed: image {before.image} → {now.image}")
    if now.command != before.command:
        found.append("the command changed")
    for name in sorted({*now.environment, *before.environment}):
        if now.environment.get(name) != before.environment.get(name):
            found.append(f"the environment changed: {name}")
    for name in sorted({*now.arguments, *before.arguments}):
        value, old = now.arguments.get(name), before.arguments.get(name)
        if makers := _makers(value):
            found.append(f"input {name} is made anew by {', '.join(makers)}")
        elif _is_artifact(value) or _is_artifact(old):
            if _identity(value) != _identity(old):
                found.append(f"input {name} is another: {_uris(old)} → {_uris(value)}")
        elif value != old:
            found.append(f"parameter {name}: {_shown(old)} → {_shown(value)}")
    return found


def _reasons(question: Question, before: Mapping[tuple[str, str], Question], any_run: bool, kept: Any) -> list[str]:
    if not question.cached:
        return ["never cached: it reads or changes what is outside the run"]
    entry = Path(kept.cache_root) / f"{question.key(kept)}.json"
    if entry.is_file():
        gone = [uri for uri in _uris_of_entry(entry) if not Path(uri).exists()]
        return [f"the cached output is gone: {', '.join(gone)}" if gone else f"the cache entry cannot be read: {entry}"]
    old = before.get(question.place)
    if old is None:
        made = [f"input {name} is made anew by {', '.join(makers)}" for name, value in question.arguments.items()
                if (makers := _makers(value))]  # fmt: skip
        return made or ["it was not in the run before" if any_run else "there is no run before"]
    return differences(question, old) or ["not in the cache: the run before kept none, or its entry was removed"]


def _makers(value: Any) -> list[str]:
    listed = value if isinstance(value, list) else [value]
    uris = [item.uri for item in listed if isinstance(item, dsl.Artifact) and item.uri.startswith(MADE_ANEW)]
    return sorted({uri.removeprefix(MADE_ANEW).partition("/")[0] for uri in uris})


def _is_artifact(value: Any) -> bool:
    return isinstance(value, dsl.Artifact) or (isinstance(value, list) and any(map(_is_artifact, value)))


def _identity(value: Any) -> Any:
    listed = value if isinstance(value, list) else [value]
    return [(item.uri, item.metadata) if isinstance(item, dsl.Artifact) else item for item in listed]


def _uris(value: Any) -> str:
    listed = value if isinstance(value, list) else [value]
    return ", ".join(item.uri if isinstance(item, dsl.Artifact) else "none" for item in listed)


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _uris_of_entry(entry: Path) -> list[str]:
    try:
        values = json.loads(entry.read_text(encoding="utf-8")).values()
    except (OSError, ValueError, AttributeError):
        return []
    listed = [item for value in values if isinstance(value, dict) for item in value.get("artifacts", [value])]
    return [item["uri"] for item in listed if isinstance(item, dict) and item.get("uri")]
