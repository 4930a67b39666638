"""Profile `monitoring`: a real Prometheus judges the server by the manifests' rules, under real traffic.

BRAKELINE_RULES_FASTER is 20 here: the expressions and limits are the cluster's, every window, offset and waiting time
in them is a twentieth. Five minutes are 15 s, the quarter of an hour that drift must hold is 45 s.
"""

from __future__ import annotations

import http.client
import io
import json
import os
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests import engine
from tests.compose import project
from tests.compose.project import Project
from tests.images import store
from tests.loop.traffic import World
from tests.serving.conftest import NAME, tensor
from tests.telemetry import dashboard, manifests
from tests.telemetry.prometheus import Prometheus

pytestmark = pytest.mark.slow
FASTER = 20
DRIFT = ("BrakelineFeatureDrift", "BrakelineOutOfRange", "BrakelineBoundWidened", "BrakelineMarginLost")
FOR_S, WINDOW_S = 900 / FASTER, 300 / FASTER
BATCH, PATIENCE_S = 200, 120.0
# Queries whose source is a cluster's, or that a server in order has nothing to say to.
NOT_HERE = {
    "Share of 5xx": "no request fails on a server that is well",
    "Refused": "nothing is refused",
    "Model store reachable": "the model store is a folder",
    "Since a scheduled run succeeded": "compose has no pipelines API server",
    "Failed runs": "compose has no pipelines API server",
    "Runs": "compose has no pipelines API server",
    "Volumes": "compose has no kubelet",
    "Quotas": "compose has no quotas",
}


@dataclass
class Traffic:
    """Rows of a world, sent all the time by a thread; the world may be changed."""

    port: int
    world: World
    sent: int = 0
    wrong: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Ask until it is over: a request of many rows each quarter of a second."""
        rng = np.random.default_rng(0)
        while not self.over.wait(0.25):
            rows = self.world.rows[rng.integers(self.world.rows.height, size=BATCH).tolist()]
            columns = [tensor(name, *rows[name].fill_nan(None).to_list()) for name in self.world.names]
            status = ask(self.port, {"inputs": columns})
            self.sent += BATCH
            if status != 200:
                self.wrong.append(f"status {status}")


def ask(port: int, body: object) -> int:
    """One request for an inference; its status."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", f"/v2/models/{NAME}/infer", json.dumps(body))
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


@dataclass(frozen=True)
class Watched:
    """The stack of one test run: its project, its Prometheus, its traffic."""

    project: Project
    prometheus: Prometheus
    traffic: Traffic


def port(made: Project, service: str, inner: int) -> int:
    """Where a service's port is published on this machine."""
    container = made.container(service)
    container.reload()
    return int(container.ports[f"{inner}/tcp"][0]["HostPort"])


def wait_until(holds: Callable[[], object], what: str, patience_s: float = PATIENCE_S) -> None:
    """Wait for what comes in its own time."""
    end = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(1)


def holdout(made: Project, folder: Path) -> World:
    """The rows that the chain kept back, distributed as its training data."""
    stream, _ = made.container("assemble").get_archive("/state/artifacts/holdout")
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as archive:
        archive.extractall(folder, filter="data")
    file = next(folder.rglob("*.parquet"))
    contract = json.loads(pl.read_parquet_metadata(file)["brakeline.contract"])
    return World(pl.read_parquet(folder / "holdout" / "*.parquet"), contract)


def add_shadow(made: Project) -> None:
    """The same model once more, as the primary's shadow."""
    code = (
        "import shutil, json, pathlib; at = pathlib.Path('/state/models') / 'stopping-distance';"
        "shutil.copytree(at / '1', at / '2'); (at / 'new').write_text(json.dumps({'primary': '1', 'shadow': '2'}));"
        "(at / 'new').replace(at / 'serving.json')"
    )
    client, server = engine.client(), made.container("server")
    client.containers.run(
        server.image, ["/opt/brakeline/bin/python", "-c", code], remove=True, user="1001:0", network_mode="none",
        volumes={f"{made.name}_models": {"bind": "/state/models"}},
    )  # fmt: skip


@contextmanager
def flowing(traffic: Traffic) -> Iterator[Traffic]:
    """Traffic for as long as this lasts."""
    thread = threading.Thread(target=traffic.run)
    thread.start()
    try:
        yield traffic
    finally:
        traffic.over.set()
        thread.join()


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """The chain with its model deployed, a Prometheus beside it, and rows like the training data's on the way."""
    words = project.any_program()
    engine.built()
    store.reference("prometheus")
    settings = {**project.PASSING, "BRAKELINE_RULES_FASTER": str(FASTER)}
    made = Project(words, f"brakeline-test-watched-{os.getpid()}", settings)
    try:
        done = made.call("--profile", "monitoring", "up", "-d")
        assert done.code == 0, done.out
        add_shadow(made)
        prometheus = Prometheus(f"http://127.0.0.1:{port(made, 'prometheus', 9090)}")
        world = holdout(made, tmp_path_factory.mktemp("holdout"))
        wait_until(lambda: prometheus.numbers('brakeline_model_info{role="shadow"}'), "no shadow is served")
        with flowing(Traffic(port(made, "server", 8080), world)) as traffic:
            yield Watched(made, prometheus, traffic)
        assert not traffic.wrong
    finally:
        made.down()


@pytest.mark.parametrize("flavour", project.FLAVOURS)
def test_it_comes_up_under_either_compose(flavour: str) -> None:
    """Server and Prometheus alone, as well as behind the chain: both are healthy, and the server is read."""
    words = project.program(flavour)
    engine.built()
    store.reference("prometheus")
    made = Project(words, f"brakeline-test-watches-{os.getpid()}")
    try:
        done = made.call("--profile", "monitoring", "up", "-d", "prometheus")
        assert done.code == 0, done.out
        wait_until(lambda: _health(made) == "healthy", "it does not get healthy")
        asked = Prometheus(f"http://127.0.0.1:{port(made, 'prometheus', 9090)}")
        wait_until(lambda: asked.numbers("up") == [1.0], "the server is not read")
        assert asked.query("brakeline_model_info") == []
    finally:
        made.down()


def _health(made: Project) -> str:
    container = made.container("prometheus")
    container.reload()
    return str(container.attrs["State"]["Health"]["Status"])


def test_the_rules_are_the_manifests(watched: Watched) -> None:
    """Each rule by its name, in its order, with its words; none has failed."""
    wait_until(lambda: all(rule["health"] == "ok" for rule in watched.prometheus.rules()), "rules are not well")
    judged = watched.prometheus.rules()
    ours = [rule for rule in manifests.rules() if rule.file == "rules.yaml"]
    assert {rule["name"] for rule in judged} == {rule.name for rule in ours}
    alerts = {rule["name"]: rule for rule in judged if rule["type"] == "alerting"}
    for rule in ours:
        if rule.is_alert:
            assert alerts[rule.name]["duration"] == pytest.approx(rule.for_s / FASTER)
            assert alerts[rule.name]["annotations"] == rule.annotations


def test_every_query_of_the_dashboard_has_data_under_traffic(watched: Watched) -> None:
    """Rendered as Grafana would, each query gives numbers, but for those whose source is not here: these give none."""
    assert ask(watched.traffic.port, {"inputs": "none"}) == 400
    wait_until(lambda: watched.prometheus.numbers("brakeline:bound_spread:new_metres"), "no width of the new model")
    time.sleep(WINDOW_S)
    given = {name: watched.prometheus.numbers(query) for name, query in dashboard.queries().items()}
    without = {name.rpartition(" ")[0] for name, numbers in given.items() if not numbers}
    assert without == NOT_HERE.keys()


def test_drift_is_told_when_the_roads_get_slick_and_not_before(watched: Watched) -> None:
    """Rows like the training data's: no alert of drift is even pending. Half the friction: it is told, of that."""
    friction = watched.traffic.world.named("friction")
    names = "|".join(DRIFT)
    begun = time.monotonic()
    wait_until(lambda: time.monotonic() - begun > FOR_S + 2 * WINDOW_S, "time passes")
    assert min(watched.prometheus.numbers('brakeline:feature_rows:window{version="1"}')) >= 1000
    assert watched.prometheus.query(f'max_over_time(ALERTS{{alertname=~"{names}"}}[1h])') == []
    good = watched.traffic.world
    watched.traffic.world = good.slick()
    changed = time.monotonic()
    try:
        wait_until(lambda: "BrakelineFeatureDrift" in watched.prometheus.alerts("firing"), "drift is not told")
        assert time.monotonic() - changed >= FOR_S
        (told,) = watched.prometheus.alerts("firing")["BrakelineFeatureDrift"]
        assert (told["feature"], told["version"], told["severity"]) == (friction, "1", "warning")
    finally:
        watched.traffic.world = good
    wait_until(lambda: "BrakelineFeatureDrift" not in watched.prometheus.alerts("firing"), "drift is told for ever")


def test_a_prometheus_that_starts_anew_has_its_data(watched: Watched) -> None:
    """What it has read lies in its volume: after a stop and a start it knows of before."""
    (before,) = watched.prometheus.numbers("min_over_time(brakeline_rows_total[10m])")
    container = watched.project.container("prometheus")
    container.restart(timeout=30)
    again = Prometheus(f"http://127.0.0.1:{port(watched.project, 'prometheus', 9090)}")
    wait_until(lambda: _answers(again), "it does not come back")
    assert min(again.numbers("min_over_time(brakeline_rows_total[10m])")) == before


def _answers(prometheus: Prometheus) -> bool:
    try:
        return bool(prometheus.numbers("min_over_time(brakeline_rows_total[10m])"))
    except OSError:
        return False
