"""`brakeline logs`: of the pods first, of the store then, and always told what was tried."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from brakeline import cluster, step_logs
from brakeline.access import Access, Refused, Unavailable
from brakeline.cli import app
from brakeline.platform import TASK_LABEL
from typer.testing import CliRunner

from tests.cluster import pods as kubernetes
from tests.cluster.conftest import SMALL
from tests.cluster.kfp_server import Api
from tests.cluster.pods import Pods
from tests.orchestrator.object_store import ObjectStore

ROOT = "s3://pipeline-artifacts/runs"


@pytest.fixture
def pods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pods]:
    with kubernetes.serving(tmp_path) as made:
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        yield made


@pytest.fixture
def run_id(way: Access) -> str:
    return cluster.submit(way, SMALL).run_id


def of(run: str, task: str = "") -> dict[str, str]:
    return {"pipeline/runid": run, **({TASK_LABEL: task} if task else {})}


def test_logs_are_of_the_runs_own_pods(way: Access, pods: Pods, run_id: str) -> None:
    """By our label, or by the node's name where an installation drops labels; drivers and other runs are left out."""
    pods.add("a", "fit says\n", of(run_id, "fit"))
    pods.add("b", "assemble says\n", of(run_id), node="brakeline-x1.root.assemble.executor")
    pods.add("c", "a driver\n", of(run_id), node="brakeline-x1.root.assemble-driver")
    pods.add("d", "another run\n", of("another", "fit"))
    found = step_logs.of_run(way, run_id)
    assert [(log["task"], log["from"], log["text"]) for log in found.logs] == [
        ("fit", "pod a", "fit says\n"),
        ("assemble", "pod b", "assemble says\n"),
    ]


def test_each_iteration_of_a_loop_is_there(way: Access, pods: Pods, run_id: str) -> None:
    """A task in a loop has a pod for each shard."""
    pods.add("s0", "shard 0", of(run_id, "search"))
    pods.add("s1", "shard 1", of(run_id, "search"))
    assert [log["text"] for log in step_logs.of_run(way, run_id, "search").logs] == ["shard 0", "shard 1"]


def test_what_the_pods_have_not_the_store_may_have(way: Access, pods: Pods, store: ObjectStore, run_id: str) -> None:
    """The launcher's artifact below the run's root; of what is elsewhere nothing is taken."""
    pods.add("a", "fit says", of(run_id, "fit"))
    key = f"/pipeline-artifacts/runs/brakeline/{run_id}/search/0a1b/executor-logs-1"
    store.objects[key] = "search said ümlaut".encode()
    store.objects["/pipeline-artifacts/runs/brakeline/another/search/0a1b/executor-logs"] = b"another"
    store.objects[key.replace("executor-logs-1", "results")] = b"no log"
    found = step_logs.of_run(way, run_id, root=ROOT)
    assert {(log["task"], log["text"]) for log in found.logs} == {("fit", "fit says"), ("search", "search said ümlaut")}
    assert [log["from"] for log in found.logs if log["task"] == "search"] == [f"s3:/{key}"]


def test_an_archived_log_is_found_by_its_pods_name(
    way: Access, api: Api, pods: Pods, store: ObjectStore, run_id: str
) -> None:
    """Argo's archive knows pods alone; the API knows which task they were."""
    api.state.pods = {"fit": "brakeline-x1-system-container-impl-77"}
    store.objects["/pipeline-artifacts/runs/brakeline-x1/2026/11/brakeline-x1-system-container-impl-77/main.log"] = (
        b"old"
    )
    (log,) = step_logs.of_run(way, run_id, "fit", root=ROOT).logs
    assert (log["task"], log["text"]) == ("fit", "old")


@pytest.mark.parametrize("how", ["denied", "gone", "unsaid"])
def test_with_no_log_anywhere_it_says_what_was_tried(way: Access, pods: Pods, run_id: str, how: str) -> None:
    """Status 69, and the reason at each place."""
    pods.denied = how == "denied"
    if how == "gone":
        pods.add("a", None, of(run_id, "fit"))
    with pytest.raises(Unavailable) as failed:
        step_logs.of_run(way, run_id, "fit", root="" if how == "unsaid" else ROOT)
    words = {
        "denied": "403: pods is forbidden",
        "gone": "log of pod a: 404: no log of a",
        "unsaid": "BRAKELINE_ARTIFACTS",
    }
    assert words[how] in str(failed.value) and pods.token not in str(failed.value)


def test_without_a_kubeconfig_the_store_is_still_asked(way: Access, store: ObjectStore, run_id: str) -> None:
    """No pods' API is a reason, no end."""
    store.objects[f"/pipeline-artifacts/runs/brakeline/{run_id}/fit/1/executor-logs"] = b"kept"
    found = step_logs.of_run(way, run_id, "fit", root=ROOT)
    assert found.logs[0]["text"] == "kept" and "no kubeconfig" in found.tried[0]


def test_an_unknown_task_is_refused_with_those_there_are(way: Access, run_id: str) -> None:
    """A word mistyped is no run without logs."""
    with pytest.raises(Refused, match="allowed are synthesize"):
        step_logs.of_run(way, run_id, "fti")


def test_the_verb_prints_logs_and_json(way: Access, pods: Pods, run_id: str) -> None:
    """People read each log under its task and place; a machine one object; what was tried is on stderr."""
    pods.add("a", "fit says [bold]\n", of(run_id, "fit"))
    people = CliRunner().invoke(app, ["logs", run_id, "fit"])
    assert people.exit_code == 0 and "── fit, pod a" in people.stdout and "fit says [bold]" in people.stdout
    machine = CliRunner().invoke(app, ["logs", run_id, "--json"])
    assert json.loads(machine.stdout)["logs"][0]["text"] == "fit says [bold]\n"
    assert "pods of namespace distance-prediction" in machine.stderr
