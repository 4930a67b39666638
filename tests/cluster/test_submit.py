"""`brakeline submit`: one version by content, one run by key, whatever is lost on the way."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from brakeline import cluster, kfp_client
from brakeline.access import Access, ClusterError, Refused, Unavailable, UnusableAccess
from brakeline.cli import app
from kfp_server_api.exceptions import ApiException
from typer.testing import CliRunner

from tests.cluster.conftest import SMALL, STORE
from tests.cluster.kfp_server import Api, Fault
from tests.orchestrator.object_store import ObjectStore

CREATE = "RunService_CreateRun"


def test_a_run_is_started_with_what_was_asked(way: Access, api: Api, store: ObjectStore) -> None:
    """Pipeline, version, experiment and run are there; parameters are the pipeline's own, addresses the cluster's."""
    made = cluster.submit(way, SMALL, reason="a first try")
    (run,) = api.state.runs.values()
    (experiment,) = api.state.experiments.values()
    given = run["runtime_config"]["parameters"]
    assert made.started and made.run_id == run["run_id"] and made.parameters == given
    assert experiment["display_name"] == "stopping-distance" and run["experiment_id"] == experiment["experiment_id"]
    assert (given["rows"], given["seed"], given["data_shards"]) == (20_000, 0, ["0/2", "1/2"])
    assert (given["registry"], given["keep"]) == ("https://registry.test.invalid", f"{STORE}/registered")
    assert (given["model_store"], given["server"]) == ("kserve://distance-prediction?runtime=brakeline", "")
    assert given["recorded"].startswith(f"{STORE}/recorded/")
    assert store.objects[given["recorded"].removeprefix("s3:/")] == b""
    assert re.fullmatch(r"default-20k-seed0-[0-9a-f]{8}-[0-9a-f]{10}", run["display_name"])
    assert run["description"] == "a first try"
    assert api.token not in json.dumps(run)


def test_no_unsigned_model_is_deployed_where_a_key_is_named(
    way: Access, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No task of a cluster is handed the key, so a run that deploys is refused before anything is sent."""
    monkeypatch.setenv("BRAKELINE_VERIFY_KEY", "key.pub")
    with pytest.raises(UnusableAccess, match=r"BRAKELINE_VERIFY_KEY: found key\.pub.*--no-deploy"):
        cluster.submit(way, SMALL)
    with pytest.raises(UnusableAccess, match="BRAKELINE_VERIFY_KEY"):
        cluster.submit(way, replace(SMALL, auto_deploy=False, others=("auto_deploy=true",)))
    assert not api.state.runs
    assert cluster.submit(way, replace(SMALL, auto_deploy=False)).started
    assert cluster.submit(way, replace(SMALL, others=("auto_deploy=false",), seed=1)).started


def test_the_version_is_named_by_its_content_and_uploaded_once(way: Access, api: Api) -> None:
    """A second submit finds it; what was uploaded names images by digest alone."""
    first, second = cluster.submit(way, SMALL), cluster.submit(way, replace(SMALL, seed=1))
    assert first.version_id == second.version_id
    assert api.calls.count("UploadPipelineVersion") == 1
    executors = next(yaml.safe_load_all(api.state.uploads[-1]))["deploymentSpec"]["executors"].values()
    assert all("@sha256:" in executor["container"]["image"] for executor in executors if "container" in executor)


def test_a_run_without_the_cache_is_a_version_that_takes_nothing_from_it(way: Access, api: Api) -> None:
    """By the command line: no task of it may be cached, and the next plain submit has the plain version again."""
    plain = cluster.submit(way, SMALL)
    words = ["submit", "--rows", "20000", "--holdout-rows", "6000", "--json"]
    found = []
    for more in ((), ("--no-cache",), ("--no-cache",), ()):
        done = CliRunner().invoke(app, [*words, *more])
        assert done.exit_code == 0, done.output
        found.append(json.loads(done.stdout)["version"])
    assert found[0] == found[3] == plain.version != found[1] == found[2]
    spec = next(yaml.safe_load_all(api.state.uploads[-1]))
    tasks = [task for part in (spec["root"], *spec["components"].values())
             for task in part.get("dag", {}).get("tasks", {}).values()]  # fmt: skip
    assert len(tasks) > 13
    assert {json.dumps(task["cachingOptions"]) for task in tasks} == {"{}"}


def test_other_images_are_another_version(way: Access, api: Api, pushed: Callable[..., None]) -> None:
    """A new digest is new content."""
    first = cluster.submit(way, SMALL)
    pushed(local=("train",))
    second = cluster.submit(way, SMALL, allow_local_images=True)
    assert first.version != second.version
    assert len(api.state.versions) == 3  # the pipeline's first upload has the pipeline's own name


@pytest.mark.parametrize("missing", [{"local": ("train",)}, {"old": ("train",)}])
def test_images_that_no_cluster_has_are_refused(
    way: Access, api: Api, pushed: Callable[..., None], missing: dict[str, tuple[str, ...]]
) -> None:
    """Not pushed, or of other sources than those here: the step is named, and nothing is sent."""
    pushed(**missing)
    with pytest.raises(Refused, match=r"train.*--push REGISTRY"):
        cluster.submit(way, SMALL)
    assert api.calls == []


def test_a_key_starts_one_run_whatever_it_is_given(way: Access, api: Api) -> None:
    """The same key finds the run, also with other parameters; another key starts another."""
    first = cluster.submit(way, SMALL, once_key="drift-2026-11-24")
    again = cluster.submit(way, replace(SMALL, seed=7), once_key="drift-2026-11-24")
    other = cluster.submit(way, SMALL, once_key="drift-2026-11-25")
    assert (first.started, again.started, other.started) == (True, False, True)
    assert first.run_id == again.run_id and again.parameters["seed"] == 0
    assert len(api.state.runs) == 2


@pytest.mark.parametrize(
    ("operation", "kind"),
    [(made, kind) for made in ("UploadPipeline", "UploadPipelineVersion", "CreateExperiment", "CreateRun")
     for kind in ("lost", 500)] + [("CreateRun", "reset"), ("CreateRun", 503)],
)  # fmt: skip
def test_a_lost_answer_makes_nothing_twice(way: Access, api: Api, operation: str, kind: int | str) -> None:
    """Whether the change was made before the answer was lost or not: one pipeline, one version, one run."""
    api.faults.append(Fault(operation, kind))
    made = cluster.submit(way, SMALL)
    state = api.state
    assert [len(kept) for kept in (state.pipelines, state.versions, state.experiments, state.runs)] == [1, 2, 1, 1]
    assert made.started and made.run_id in state.runs


def test_reads_are_asked_again(way: Access, api: Api) -> None:
    """A reset, a failure and a busy answer to a listing cost time, not the run."""
    api.faults += [Fault("ListPipelines", "reset"), Fault("ListRuns", 500), Fault("ListExperiments", 429)]
    assert cluster.submit(way, SMALL).started
    assert len(api.state.runs) == 1


def test_a_version_made_by_another_meanwhile_is_taken(way: Access, api: Api) -> None:
    """409 on the version's name: someone else uploaded this content after we looked, so theirs is used."""
    first = cluster.submit(way, SMALL)
    api.faults.append(Fault("ListPipelineVersions", "stale"))
    assert cluster.submit(way, SMALL).version_id == first.version_id
    assert api.calls.count("UploadPipelineVersion") == 2 and len(api.state.versions) == 2


def test_a_service_that_stays_away_ends_with_69(way: Access, api: Api) -> None:
    """Asked five times, then said so; no run is left behind."""
    api.faults.append(Fault(CREATE, 503, times=99))
    with pytest.raises(Unavailable) as failed:
        cluster.submit(way, SMALL)
    assert failed.value.exit_code == 69
    assert api.calls.count(CREATE) == 5 and not api.state.runs


def test_a_slow_api_is_waited_for_within_bounds(way: Access, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that comes too late is a lost one: the run is found, not started again."""
    monkeypatch.setattr(kfp_client, "ANSWER_WITHIN_S", 0.5)
    api.faults.append(Fault(CREATE, "slow"))
    assert cluster.submit(way, SMALL).started
    assert len(api.state.runs) == 1


@pytest.mark.parametrize(
    ("wish", "word"),
    [
        (replace(SMALL, registry="sqlite:///x"), "--registry"),
        (replace(SMALL, server="ftp://x"), "--server"),
        (replace(SMALL, model_store="/models"), "--model-store"),
        (replace(SMALL, others=("finalists=many",)), "--set"),
        (replace(SMALL, others=("finalists=true",)), "number integer"),
        (replace(SMALL, others=("token=x",)), "NAME=VALUE"),
    ],
)
def test_what_a_cluster_cannot_use_is_refused_before_anything_is_sent(
    way: Access, api: Api, wish: object, word: str
) -> None:
    """A path of this machine, an unknown input, a value of another type: named, with what is allowed."""
    with pytest.raises(UnusableAccess, match=word):
        cluster.submit(way, wish)  # type: ignore[arg-type]
    assert api.calls == []


def test_recorded_stops_are_sent_to_the_store_once(way: Access, store: ObjectStore, tmp_path: Path) -> None:
    """A file becomes an object by its content; an object that is there stays as it is."""
    (tmp_path / "stops.csv").write_text("a,b\n1,2\n")
    wish = replace(SMALL, recorded=str(tmp_path / "stops.csv"))
    first, again = cluster.submit(way, wish), cluster.submit(way, wish)
    assert first.parameters["recorded"] == again.parameters["recorded"]
    assert [body for key, body in store.objects.items() if key.endswith("stops.csv")] == [b"a,b\n1,2\n"]
    there = replace(SMALL, recorded="s3://elsewhere/stops.parquet")
    assert cluster.submit(way, there).parameters["recorded"] == "s3://elsewhere/stops.parquet"


def test_a_wrong_client_fails(way: Access, api: Api) -> None:
    """What the published description does not allow is refused: a field, a type, a query and a body of another kind."""
    client = kfp_client.connect(way)
    for wrong in (
        {"display_name": "x", "runtime_config": {"parameters": {}}, "pipeline_version_reference": {"pipeline": "p"}},
        {"display_name": 3},
        {"name": "x"},
        {"display_name": "x", "description": None},
    ):
        with pytest.raises(ApiException) as refused:
            client.runs.run_service_create_run(run=wrong)
        assert refused.value.status == 400
    with pytest.raises(ApiException):
        client.create_recurring_run(
            "e", "n", cron_expression="0 0 3 * * *", max_concurrency=1, pipeline_id="p", version_id="v"
        )
    with pytest.raises(ApiException):
        client.list_runs(filter=json.dumps({"predicates": [{"operation": 1, "key": "colour", "stringValue": "x"}]}))
    assert len(api.violations) == 5 and not api.state.runs
    api.violations.clear()


def test_the_verb_prints_one_object_and_no_token(way: Access, api: Api, capfd: pytest.CaptureFixture[str]) -> None:
    """`--json` is the run on stdout; progress is on stderr; the token is in neither."""
    words = ["submit", "--rows", "20000", "--idempotency", "k", "--wait", "--json"]
    api.state.looks = 1
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["run"] in api.state.runs and found["status"] == "succeeded"
    assert "started" in done.stderr
    assert api.token not in done.output


def test_the_verb_fails_in_words_and_in_json(way: Access, api: Api) -> None:
    """Each error ends with its own status, and says it on both channels."""
    api.token = "another"
    done = CliRunner().invoke(app, ["submit", "--json"])
    assert done.exit_code == 65
    assert json.loads(done.stdout)["exit_code"] == 65
    assert "oc login" in done.stderr


def test_every_refusal_has_an_exit_status() -> None:
    """No error of the cluster's is without one."""
    assert {kind.exit_code for kind in ClusterError.__subclasses__()} == {2, 65, 69}
