"""`brakeline runs` and `brakeline wait`: how a run goes on, how it ended, and what of it the exit status says."""

import json
import os
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest
from brakeline import cluster, cluster_cache, following
from brakeline.access import Access, Refused, Unavailable
from brakeline.cli import app
from typer.testing import CliRunner

from tests.cluster.conftest import SMALL
from tests.cluster.kfp_server import Api, Fault
from tests.conftest import BIN


@pytest.mark.parametrize(
    ("gate", "status", "code", "word"),
    [
        ("passed", "succeeded", 0, ""),
        ("refused", "refused", 65, "gates"),
        ("failed", "failed", 70, "fit failed: task fit failed"),
        ("broken", "failed", 70, "without promote"),
    ],
)
def test_the_end_is_judged_by_what_was_made(
    way: Access, api: Api, gate: str, status: str, code: int, word: str
) -> None:
    """A refused model is a run that succeeded without a registered version; one without its last task is no success."""
    api.state.gate = gate
    run_id = cluster.submit(way, SMALL).run_id
    said: list[str] = []
    found = following.wait(way, run_id, said.append, first_pause_s=0.01)
    assert (found["status"], following.EXIT_CODES[found["status"]]) == (status, code)
    assert word in found["error"]
    assert any(line.startswith("synthesize: 2 succeeded") for line in said)
    assert not any("driver" in line or "root" in line for line in said)


def test_a_run_without_deploy_ends_well_at_registered(way: Access, api: Api) -> None:
    """`--no-deploy` asks for no deployment, so none is missed."""
    api.state.gate = "broken"
    run_id = cluster.submit(way, replace(SMALL, auto_deploy=False)).run_id
    assert following.wait(way, run_id, print, first_pause_s=0.01)["status"] == "succeeded"


def test_waiting_outlives_faults_and_a_new_token(way: Access, api: Api) -> None:
    """A reset and a failure amid the waiting are asked again, and a token that was renewed meanwhile is taken."""
    run_id = cluster.submit(way, SMALL).run_id
    api.faults += [Fault("GetRun", "reset"), Fault("GetRun", 502), Fault("GetRun", "lost")]

    def renew(_: str) -> None:
        api.token = "renewed"
        Path(os.environ["BRAKELINE_KFP_TOKEN_FILE"]).write_text(api.token)

    assert following.wait(way, run_id, renew, first_pause_s=0.01)["status"] == "succeeded"
    assert len(api.authorizations) == 2


def test_waiting_has_an_end(way: Access, api: Api) -> None:
    """69 after the time that was given, and the run is left."""
    api.state.looks = 10_000
    run_id = cluster.submit(way, SMALL).run_id
    with pytest.raises(Unavailable, match="goes on"):
        following.wait(way, run_id, print, timeout_s=0.05, first_pause_s=0.02)
    assert api.state.runs[run_id]["state"] == "RUNNING"


def test_an_unknown_run_is_65(way: Access) -> None:
    """The id is told back."""
    with pytest.raises(Refused, match="nobody"):
        following.wait(way, "nobody", print)


def test_sigterm_ends_the_waiting_and_leaves_the_run(way: Access, api: Api) -> None:
    """Exit status 143, one JSON object, and the run goes on."""
    api.state.looks = 10_000
    run_id = cluster.submit(way, SMALL).run_id
    words = [str(BIN / "brakeline"), "wait", run_id, "--json"]
    child = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ))
    deadline = time.monotonic() + 30
    while "RunService_GetRun" not in api.calls and time.monotonic() < deadline:
        time.sleep(0.05)
    # The first answer is in, and the pause after it has begun.
    time.sleep(0.3)
    child.send_signal(signal.SIGTERM)
    stdout, stderr = child.communicate(timeout=20)
    assert child.returncode == 143, stderr
    assert json.loads(stdout)["status"] == "left"
    assert api.state.runs[run_id]["state"] == "RUNNING"
    assert "RunService_TerminateRun" not in api.calls


def test_runs_are_listed_and_filtered(way: Access, api: Api) -> None:
    """The newest first, by experiment, state and name, over as many pages as there are."""
    made = [cluster.submit(way, SMALL, once_key=str(number)) for number in range(3)]
    following.wait(way, made[0].run_id, lambda _: None, first_pause_s=0.01)
    assert [run["run"] for run in following.runs(way)] == [item.run_id for item in reversed(made)]
    assert [run["run"] for run in following.runs(way, state="succeeded")] == [made[0].run_id]
    assert [run["run"] for run in following.runs(way, name=made[1].name[-8:])] == [made[1].run_id]
    assert len(following.runs(way, experiment="stopping-distance", limit=2)) == 2
    with pytest.raises(Refused, match="none of this name"):
        following.runs(way, experiment="another")
    for number in range(230):
        api.state.runs[str(number)] = {**api.state.runs[made[1].run_id], "run_id": str(number)}
    assert len(following.runs(way, limit=500)) == 233


def test_the_verbs_speak_json(way: Access) -> None:
    """One object each."""
    run_id = cluster.submit(way, SMALL).run_id
    listed = CliRunner().invoke(app, ["runs", "--json"])
    assert json.loads(listed.stdout)["runs"][0]["run"] == run_id
    shown = CliRunner().invoke(app, ["runs"], env={"COLUMNS": "200"})
    assert run_id in shown.stdout


def test_of_a_clusters_cache_is_told_what_can_be_known(way: Access, api: Api) -> None:
    """What differs from the newest run will run; the rest may hit, and it is said that the cluster alone knows."""
    before = cluster_cache.of_next_submit(way, SMALL)
    assert before["against"] is None and {task["verdict"] for task in before["tasks"]} == {"unknown", "runs"}
    run = cluster.submit(way, SMALL)
    same = {task["task"]: task for task in cluster_cache.of_next_submit(way, SMALL)["tasks"]}
    assert {name for name, task in same.items() if task["verdict"] == "may hit"} == {
        "synthesize", "assemble", "floor", "search", "rank", "refine", "fit",
    }  # fmt: skip
    assert "the cluster alone knows" in same["fit"]["why"][0] and run.name in same["fit"]["why"][0]
    assert same["validate"]["why"] == ["input champion is made anew by champion"]
    more = {task["task"]: task for task in cluster_cache.of_next_submit(way, replace(SMALL, trials=9))["tasks"]}
    assert more["search"]["why"] == ["parameter trials: 8 → 9"]
    assert more["assemble"]["verdict"] == "may hit" and more["fit"]["verdict"] == "runs"
    assert len(api.state.runs) == 1
