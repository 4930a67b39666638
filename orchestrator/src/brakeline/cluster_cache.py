"""What can be told from here of a cluster's cache, task by task, before a run is submitted.

A cluster's key is the task's image, its command, parameters, output specs and the names of its input artifacts. The
names are the cluster's own, and so are its entries: what differs from the newest run is known to run again, what does
not may come from the cache, and only the cluster knows whether it will.
"""

import tempfile
from pathlib import Path
from typing import Any

from brakeline.access import Access
from brakeline.cluster import compile_for_cluster, listed
from brakeline.cluster_inputs import Wish, parameters
from brakeline.forecast import Outputs, Question, differences, walk
from brakeline.kfp_client import connect, told

RUNS, MAY_HIT, UNKNOWN = "runs", "may hit", "unknown"
_SAME = "/as-before/"
_CANNOT_TELL = "nothing differs from run {}: whether its entry is there, the cluster alone knows"


def of_next_submit(access: Access, wish: Wish, allow_local_images: bool = False) -> dict[str, Any]:
    """For each task of the next submit: `runs` and why, or `may hit`; `against` is the run that it is compared with.

    Raises ClusterError, RecordingError.
    """
    client = connect(access)
    with tempfile.TemporaryDirectory() as folder:
        compiled = compile_for_cluster(Path(folder), allow_local_images)
        values = parameters(wish, compiled.inputs)
        run, before = _newest(client, access, Path(folder))
        known = {question.place: question for question in before}
        verdicts: dict[tuple[str, str], tuple[str, list[str]]] = {}

        def answer(question: Question) -> Outputs | None:
            verdicts[question.place] = _verdict(question, known.get(question.place), run)
            return None if verdicts[question.place][0] == RUNS else question.placeholders(_SAME)

        asked = walk(compiled.file, values, answer, imports=False)
    tasks = [
        {"task": item.task, "scope": item.scope, "verdict": verdicts[item.place][0], "why": verdicts[item.place][1]}
        for item in asked
    ]
    return {"against": run.run_id if run else None, "tasks": tasks}


def _verdict(question: Question, before: Question | None, run: Any) -> tuple[str, list[str]]:
    if not question.cached:
        return RUNS, ["never cached: it reads or changes what is outside the run"]
    if run is None:
        return UNKNOWN, ["there is no run of this pipeline to compare with"]
    if before is None:
        return RUNS, ["it was not in the run before"]
    # A cluster's key has no environment in it.
    told = [reason for reason in differences(question, before) if not reason.startswith("the environment")]
    return (RUNS, told) if told else (MAY_HIT, [_CANNOT_TELL.format(run.display_name)])


def _newest(client: Any, access: Access, folder: Path) -> tuple[Any, list[Question]]:
    """The newest run of the pipeline, and the questions that it asked; none where no run's pipeline is known."""
    import yaml  # noqa: PLC0415

    from brakeline.pipeline import NAME  # noqa: PLC0415

    call = {"namespace": access.namespace} if access.namespace else {}
    for run in listed(client.list_runs, "runs", "runs", sort_by="created_at desc", **call):
        reference = run.pipeline_version_reference
        if not reference or not reference.pipeline_version_id:
            continue
        with told(f"pipeline version {reference.pipeline_version_id}"):
            version = client.get_pipeline_version(reference.pipeline_id, reference.pipeline_version_id)
        spec = version.pipeline_spec or {}
        spec = spec.get("pipeline_spec", spec)
        if spec.get("pipelineInfo", {}).get("name") != NAME:
            continue
        file = folder / "before.yaml"
        file.write_text(yaml.safe_dump(spec), encoding="utf-8")
        given = dict((run.runtime_config and run.runtime_config.parameters) or {})
        return run, walk(file, given, lambda question: question.placeholders(_SAME), imports=False)
    return None, []
