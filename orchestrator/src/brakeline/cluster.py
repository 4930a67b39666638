"""The pipeline on Kubeflow Pipelines: a version by its content, an experiment, a run that is started once."""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from brakeline import images, revision
from brakeline.access import Access, Refused
from brakeline.cluster_inputs import Wish, parameters
from brakeline.kfp_client import connect, once, told

PAGE = 100
_HASH, _KEY = 8, 10


@dataclass(frozen=True)
class Submitted:
    """A run that was started, or was there. `started` says which; `page` is its page in the dashboard of the API."""

    run_id: str
    name: str
    experiment_id: str
    pipeline_id: str
    version_id: str
    version: str
    started: bool
    parameters: dict[str, Any]
    page: str

    def facts(self) -> dict[str, Any]:
        """In one JSON object."""
        return {"run": self.run_id, **{key: value for key, value in asdict(self).items() if key != "run_id"}}


@dataclass(frozen=True)
class Compiled:
    """The pipeline with a cluster's images: its file, its inputs, and its name by content."""

    file: Path
    inputs: Mapping[str, Mapping[str, Any]]
    version: str


def submit(
    access: Access,
    wish: Wish,
    once_key: str = "",
    experiment: str = "",
    reason: str = "",
    allow_local_images: bool = False,
    service_account: str = "",
    tell: Callable[[str], None] = lambda _: None,
    cached: bool = True,
) -> Submitted:
    """Start a run, once: a run that was started by the same `once_key` is found, whatever it was given.

    Without a key each call starts a run of its own, and never two of them when an answer is lost. Two calls with one
    key at the very same moment are not told apart by the API: both may start one. Without `cached` no task comes from
    the cluster's cache. Raises ClusterError, RecordingError.
    """
    client = connect(access)
    with tempfile.TemporaryDirectory() as folder:
        compiled = compile_for_cluster(Path(folder), allow_local_images, cached)
        values = parameters(wish, compiled.inputs)
        pipeline_id, version_id = upload(client, access, compiled, tell)
    experiment_id = experiment_of(client, access, experiment or wish.name)
    key = hashlib.sha256(once_key.encode() if once_key else os.urandom(16)).hexdigest()[:_KEY]
    name = f"{wish.title}-{content_hash(compiled.version, values)}-{key}"
    body = {
        "experiment_id": experiment_id,
        "display_name": name,
        "description": "\n".join(filter(None, (reason, f"once: {once_key}" if once_key else ""))),
        "pipeline_version_reference": {"pipeline_id": pipeline_id, "pipeline_version_id": version_id},
        "runtime_config": {"parameters": values},
        "service_account": service_account,
    }
    body = {name: value for name, value in body.items() if value}

    def make() -> Any:
        with told(f"run {name}"):
            return client.runs.run_service_create_run(run=body)

    run, started = once(lambda: _run_of_key(client, experiment_id, key), make)
    page = f"{access.url}/#/runs/details/{run.run_id}"
    given = values if started else dict((run.runtime_config and run.runtime_config.parameters) or {})
    reference = run.pipeline_version_reference
    used = reference.pipeline_version_id if reference else version_id
    return Submitted(
        run.run_id, run.display_name, experiment_id, pipeline_id, used, compiled.version, started, given, page
    )


def compile_for_cluster(folder: Path, allow_local_images: bool, cached: bool = True) -> Compiled:
    """The pipeline's IR with the pushed images. Raises Refused where one was not pushed, or is not what is here."""
    import yaml  # noqa: PLC0415

    from brakeline import run  # noqa: PLC0415  loads kfp's compiler when it compiles

    named = images.for_cluster()
    if not allow_local_images:
        _refuse_local(named)
    file = run.compile_pipeline(folder / "pipeline.yaml", named, revision.here(), cached)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    documents = list(yaml.load_all(file.read_text(encoding="utf-8"), loader))
    # Of what the documents say, not of how they are written.
    digest = hashlib.sha256(json.dumps(documents, sort_keys=True).encode()).hexdigest()
    return Compiled(file, documents[0]["root"]["inputDefinitions"]["parameters"], f"ir-{digest[:20]}")


def upload(client: Any, access: Access, compiled: Compiled, tell: Callable[[str], None]) -> tuple[str, str]:
    """The ids of the pipeline and of the version with this very content; what is there is not uploaded again."""
    from brakeline.pipeline import NAME  # noqa: PLC0415

    def make_pipeline() -> Any:
        with told(f"pipeline {NAME}"):
            return client.upload_pipeline(str(compiled.file), pipeline_name=NAME, namespace=access.namespace or None)

    def make_version() -> Any:
        with told(f"pipeline version {compiled.version}"):
            return client.upload_pipeline_version(
                str(compiled.file), pipeline_version_name=compiled.version, pipeline_id=pipeline.pipeline_id
            )

    pipeline, _ = once(
        lambda: _named(client.list_pipelines, "pipelines", NAME, namespace=access.namespace or None), make_pipeline
    )
    found = {"pipeline_id": pipeline.pipeline_id}
    version, made = once(
        lambda: _named(client.list_pipeline_versions, "pipeline_versions", compiled.version, **found), make_version
    )
    tell(f"pipeline version {compiled.version} {'uploaded' if made else 'is there'}")
    return str(pipeline.pipeline_id), str(version.pipeline_version_id)


def content_hash(*parts: Any) -> str:
    """A few signs that differ where any part does, in a run's name: equal work is told by equal signs."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:_HASH]


def listed(listing: Callable[..., Any], field: str, what: str, **call: Any) -> Iterator[Any]:
    """All that an API lists, page by page. Raises ClusterError."""
    page = ""
    while True:
        with told(what):
            answer = listing(page_token=page, page_size=PAGE, **call)
        yield from getattr(answer, field) or ()
        page = answer.next_page_token or ""
        if not page:
            return


def where(key: str, value: str, operation: str = "EQUALS") -> str:
    """A filter as the API reads it."""
    return json.dumps({"predicates": [{"operation": operation, "key": key, "stringValue": value}]})


def _named(listing: Callable[..., Any], field: str, name: str, **call: Any) -> Any:
    known = {key: value for key, value in call.items() if value is not None}
    found = listed(
        listing, field, f"{field.replace('_', ' ')} named {name}", filter=where("display_name", name), **known
    )
    return next(iter(found), None)


def experiment_of(client: Any, access: Access, name: str) -> str:
    """The id of the experiment of a name, made where there is none. Raises ClusterError."""
    namespace = access.namespace or None

    def make() -> Any:
        import kfp_server_api  # noqa: PLC0415

        with told(f"experiment {name}"):
            return client.experiments.experiment_service_create_experiment(
                experiment=kfp_server_api.V2beta1Experiment(display_name=name, namespace=namespace)
            )

    found, _ = once(lambda: _named(client.list_experiments, "experiments", name, namespace=namespace), make)
    return str(found.experiment_id)


def _run_of_key(client: Any, experiment_id: str, key: str) -> Any:
    rule = where("display_name", f"-{key}", "IS_SUBSTRING")
    runs = listed(client.list_runs, "runs", "runs of this key", experiment_id=experiment_id, filter=rule)
    return next((run for run in runs if str(run.display_name).endswith(f"-{key}")), None)


def _refuse_local(named: Mapping[str, str]) -> None:
    local = [step for step, reference in named.items() if "@sha256:" not in reference]
    if local:
        raise Refused(
            f"images of {', '.join(local)} are not in a registry by their digest, and no cluster can pull them: run "
            "`python build.py images --push REGISTRY`, or say --allow-local-images"
        )
    if old := [step for step in images.stale() if step in named]:
        raise Refused(
            f"the pushed images of {', '.join(old)} are of other sources than those here: run "
            "`python build.py images --push REGISTRY`, or say --allow-local-images to submit with them"
        )
