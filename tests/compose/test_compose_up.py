"""`docker compose up`, under both versions of Compose: deployed and answering, repeated, refused, failed."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests import engine
from tests.compose import project
from tests.compose.project import Project
from tests.images import store
from tests.test_equality import ARTIFACTS, by_processes

pytestmark = pytest.mark.slow
WORKING = ("synthesize", "assemble", "search", "rank", "refine", "fit")


@pytest.fixture(params=project.FLAVOURS, scope="module")
def up(request: pytest.FixtureRequest) -> Iterator[Project]:
    """A project whose model passes, up with its smoke test."""
    words = project.program(request.param)
    engine.built()
    made = Project(words, f"brakeline-test-{os.getpid()}", project.PASSING)
    try:
        done = made.call("--profile", "smoke", "up", "-d")
        assert done.code == 0, done.out
        yield made
    finally:
        made.down()


@pytest.fixture(params=project.FLAVOURS)
def fresh(request: pytest.FixtureRequest) -> Iterator[Project]:
    """A project that is not up yet."""
    words = project.program(request.param)
    engine.built()
    made = Project(words, f"brakeline-test-fresh-{os.getpid()}", project.REFUSED)
    try:
        yield made
    finally:
        made.down()


def test_up_ends_with_an_answering_model(up: Project) -> None:
    """A real client in a container of its own gets the answers of a braking model."""
    smoke = up.container("smoke")
    assert smoke.wait()["StatusCode"] == 0, smoke.logs().decode()
    assert "Highway Code" in smoke.logs().decode()
    assert up.container("server").status == "running"


def test_the_bytes_are_those_of_the_process_runner(up: Project, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Commands chained by hand in compose.yaml make what the compiled pipeline makes."""
    found = {name: up.sha256(task, name) for name, task in ARTIFACTS.items()}
    subject = up.results("register")[-1]
    assert {**found, "subject": str(subject["sha256"])} == by_processes(tmp_path_factory)


def test_a_second_up_does_only_what_changed(up: Project) -> None:
    """The steps see that their outputs stand; validate works anew, since there is a champion now."""
    done = up.call("up", "-d")
    assert done.code == 0, done.out
    for service in WORKING:
        assert [result["status"] for result in up.results(service)] == ["done", "unchanged"], service
    assert up.results("register")[-1]["version"] == "1"
    assert [result["attempts"]["models"] for result in up.results("record")] == [1, 1]
    done = up.call("up", "-d")
    assert done.code == 0, done.out
    assert [result["status"] for result in up.results("validate")] == ["done", "done", "unchanged"]


def test_the_chains_end_may_be_in_a_real_s3_store(up: Project) -> None:
    """Kept, deployed to and served from the store: a client in a container gets the answers of the model there."""
    store.reference("seaweedfs")
    in_s3 = replace(up, program=[*up.program, "-f", "compose.yaml", "-f", "compose.s3.yaml"])
    done = in_s3.call("--profile", "store", "up", "-d", "s3-smoke")
    assert done.code == 0, done.out
    smoke = in_s3.container("s3-smoke")
    assert smoke.wait()["StatusCode"] == 0, smoke.logs().decode()
    assert "Highway Code" in smoke.logs().decode()
    (kept,), (deployed,) = in_s3.results("s3-register"), in_s3.results("s3-deploy")
    assert kept["uri"] == f"s3://pipeline-artifacts/registered/{kept['sha256']}"
    assert (deployed["sha256"], deployed["values_proven"]) == (kept["sha256"], 18)
    assert in_s3.container("s3-server").status == "running"


def test_a_refused_model_stops_the_chain_at_register(fresh: Project) -> None:
    """The attempt is counted, register ends with 65 and its reasons, `up` fails, deploy never starts, none serves."""
    done = fresh.call("up", "-d")
    assert done.code != 0
    assert fresh.results("record")[-1]["attempts"] == {"models": 1, "refused": 1, "number": 1}
    register = fresh.container("register")
    assert register.attrs["State"]["ExitCode"] == 65
    assert "did not pass its gates" in register.logs().decode()
    assert not fresh.was_started("deploy")
    assert fresh.container("server").status == "running"
    ask = ["brakeline-ask", "--server", "http://server:8080"]
    asked = fresh.call("--profile", "smoke", "run", "--rm", "-T", "--no-deps", "smoke", *ask)
    assert asked.code == 69, asked.out


def test_a_failing_step_stops_the_chain_with_its_message(fresh: Project, tmp_path: Path) -> None:
    """Recorded stops that break the contract: `up` fails and shows assemble's own words; nothing after it ran."""
    tmp_path.chmod(0o755)
    bad = tmp_path / "stops.csv"
    units = "# unit: wheel_speed_mps = m/s, stopping_distance_m = m\n"
    bad.write_text(f"{units}wheel_speed_mps,vehicle_class,stopping_distance_m\n20,1,-4\n")
    done = fresh.call("up", "-d", settings={"BRAKELINE_RECORDED": str(bad)})
    assert done.code != 0
    assemble = fresh.container("assemble")
    assert assemble.attrs["State"]["ExitCode"] == 65
    assert "stopping_distance_m" in assemble.logs().decode()
    assert not fresh.was_started("search")
