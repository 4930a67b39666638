"""A service that is down, slow or lying, and a server under load meanwhile: nobody is answered wrong, and none fails.

Each fault meets the work that needs the service; that work says so, and goes on once the service does.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from brakeline import cluster, kfp_client
from brakeline import refusals as orchestrators
from brakeline.access import Access, access
from brakeline_deploy import kube
from brakeline_register import connection
from brakeline_register.registry import open_registry
from stepkit.errors import StepError

from tests.cluster import kfp_server
from tests.cluster.conftest import SMALL, pushed, store
from tests.cluster.kfp_server import Api
from tests.cluster.published import DESCRIPTION
from tests.deploy import kubernetes_api
from tests.deploy.conftest import POD_TOKEN, Place, certificate, place
from tests.faults.counting import Tally
from tests.faults.coverage import DOWN, LYING, SLOW
from tests.orchestrator import object_store
from tests.register import stand_in
from tests.register.registries import NAME, entry, service
from tests.serving.conftest import Server, Store, make_model, start
from tests.serving.load import Load, requests_and_answers
from tests.serving.test_following_a_store_in_s3 import RemoteStore

__all__ = ["certificate", "place", "pushed", "start", "store"]

Start = Callable[..., Server]
CONNECTIONS, LEAST_ANSWERS = 4, 50


@contextmanager
def under_load(port: int, models: dict[str, Path], tally: Tally, header: bytes = b"") -> Iterator[Load]:
    """Clients that ask all the time; in the end none was answered wrong, and none was left without an answer."""
    requests, answers = requests_and_answers(models)
    asked = [request.replace(b"Host: x\r\n", b"Host: x\r\n" + header) for request in requests]
    with Load(port, CONNECTIONS, asked, answers) as load:
        yield load
        while load.answered < LEAST_ANSWERS and not load.failed:
            load._done.wait(0.02)
    tally.wrong(len(load.wrong))
    tally.failed_requests(len(load.failed))
    assert load.failed == []


@pytest.fixture
def served(start: Start, tmp_path: Path) -> tuple[Server, dict[str, Path]]:
    """A server of one version, and the version's graph."""
    models = Store(tmp_path / "models")
    graph = models.add("1")
    models.point("1")
    server = start("--model-store", str(models.root))
    server.wait_for_version("1")
    return server, {"1": graph}


REGISTRY = {
    "503": (DOWN, stand_in.Fault(status=503, times=99)),
    "breaks off": (DOWN, stand_in.Fault(how="reset", times=99)),
    "slow": (SLOW, stand_in.Fault(how="slow", times=99)),
    "a page": (LYING, stand_in.Fault(how="page", times=99)),
}


@pytest.mark.parametrize("how", REGISTRY)
def test_a_registry_that_fails_under_load(
    how: str, served: tuple[Server, dict[str, Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tally: Tally
) -> None:
    """What asks it ends with an error of ours, no list is empty for it, and the version that was there is there."""
    monkeypatch.setattr(connection, "_FIRST_DELAY_S", 0.005)
    monkeypatch.setenv(connection.TIMEOUT, "0.2")
    with service("0.2.19", tmp_path, monkeypatch) as held, under_load(served[0].port, served[1], tally):
        kept = open_registry(held.url)
        kept.add(NAME, entry("a"))
        kind, fault = REGISTRY[how]
        tally.of(kind)
        held.faults, held.slow_s = [fault], 0.4
        tally.tried(2)
        with pytest.raises(StepError) as read:
            kept.list(NAME)
        with pytest.raises(StepError) as written:
            kept.add(NAME, entry("b"))
        assert {read.value.exit_code, written.value.exit_code} <= {65, 69}
        tally.survived(2)
        held.faults = []
        tally.lost(int([one.version for one in kept.list(NAME)] != ["1"]))
        assert kept.add(NAME, entry("b")).version == "2"


@pytest.mark.parametrize("fault", [DOWN, SLOW, LYING])
def test_a_store_that_fails_under_load(
    fault: str, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tally: Tally
) -> None:
    """Down, slow, broken off, lying about a graph and a pointer: what is served stays, and the next whole one comes."""
    with object_store.serving() as s3:
        for name, value in {**s3.environment(), "TMPDIR": str(tmp_path)}.items():
            monkeypatch.setenv(name, value)
        remote = RemoteStore(s3, tmp_path / "made")
        remote.put("1")
        remote.point("1")
        server = start("--model-store", "s3://bucket/models")
        server.wait_for_version("1")
        graphs = {"1": remote.root / "1" / "model.onnx", "2": make_model(tmp_path / "2" / "model.onnx", 5.0)}
        at = f"/bucket/models/{NAME}"
        tally.of(fault)
        with under_load(server.port, graphs, tally) as load:
            tally.tried()
            if fault == DOWN:
                s3.failures = 10**6
                server.wait_until(lambda: server.metric("brakeline_model_store_reachable") == 0)
            elif fault == SLOW:
                s3.delay_s = 2.0
            else:
                whole = remote.put("2", 5.0)
                s3.objects[f"{at}/2/model.onnx"] = whole[:-1] + bytes([whole[-1] ^ 1])
                remote.point("2")
                server.wait_until(lambda: "sha256" in json.dumps(_refused(server)))
            before = load.answered
            server.wait_until(lambda: load.answered > before + LEAST_ANSWERS)
            assert set(load.by_version) == {"1"}
            s3.failures, s3.delay_s = 0, 0.0
            load.answers["3"] = load.answers["2"]
            remote.put("3", 5.0)
            remote.point("3")
            server.wait_for_version("3")
        tally.survived()


def _refused(server: Server) -> dict[str, str]:
    return dict(server.ask("GET", f"/v2/models/{NAME}").json["parameters"]["refused"])


KFP: dict[int | str, str] = {503: DOWN, "reset": DOWN, "slow": SLOW, "nonsense": LYING}
KUBERNETES = {"500": DOWN, "reset": DOWN, "slow": SLOW, "html": LYING}


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Api]:
    """The KFP API, and an environment that leads to it."""
    if not DESCRIPTION.is_file():
        pytest.skip(f"no {DESCRIPTION.name} beside the repository")
    monkeypatch.setattr(kfp_client, "PAUSES_S", (0.01, 0.01))
    monkeypatch.setattr(kfp_client, "ANSWER_WITHIN_S", 0.5)
    with kfp_server.serving() as made:
        (tmp_path / "kfp-token").write_text(f"{made.token}\n")
        monkeypatch.setenv("BRAKELINE_KFP_URL", made.url)
        monkeypatch.setenv("BRAKELINE_KFP_TOKEN_FILE", str(tmp_path / "kfp-token"))
        monkeypatch.setenv("BRAKELINE_REGISTRY", "https://registry.test.invalid")
        monkeypatch.setenv("BRAKELINE_MODEL_STORE", "kserve://distance-prediction?runtime=brakeline")
        yield made


@pytest.mark.parametrize("kind", KFP)
def test_a_pipelines_api_that_fails_under_load(
    kind: int | str, api: Api, store: object, pushed: Any, served: tuple[Server, dict[str, Path]], tally: Tally
) -> None:
    """No run is half there: it is refused, or was found again; once the API is well there is one."""
    way: Access = access()
    with under_load(served[0].port, served[1], tally):
        tally.of(KFP[kind])
        api.faults.append(kfp_server.Fault("", kind, times=99))
        tally.tried()
        with pytest.raises((orchestrators.Refused, Exception)) as told:
            cluster.submit(way, SMALL)
        assert getattr(told.value, "exit_code", 70) in (65, 69, 75)
        api.faults.clear()
        cluster.submit(way, SMALL)
        tally.lost(int(len(api.state.runs) != 1))
        tally.survived()


@pytest.mark.parametrize("product", ["rhoai-3.5"])
@pytest.mark.parametrize("kind", KUBERNETES)
def test_a_cluster_that_fails_under_load(
    kind: str, place: Place, monkeypatch: pytest.MonkeyPatch, tally: Tally
) -> None:
    """Its pods answer on: the next version is not taken, the one before is what serves, and it is taken afterwards."""
    monkeypatch.setattr(kube, "_LONGEST_PAUSE_S", 0.02)
    monkeypatch.setattr(kube, "_TIMEOUT_S", (2.0, 2.0))
    one, two = place.release("1"), place.release("2", 3.0)
    place.roll_out(one)
    pod = place.controller.pods[one.uri].port
    assert pod is not None
    header = f"Authorization: Bearer {POD_TOKEN}\r\n".encode()
    with under_load(pod, {"1": one.model / "model.onnx"}, tally, header):
        monkeypatch.setattr(kube, "_TIMEOUT_S", (0.5, 0.2))
        tally.of(KUBERNETES[kind])
        place.api.slow_s = 0.5
        place.api.faults += [kubernetes_api.Fault(method, kind, 99) for method in ("GET", "PATCH")]
        tally.tried()
        with pytest.raises(StepError) as told:
            place.roll_out(two, patience_s=3)
        assert told.value.exit_code in (65, 69)
        place.api.faults.clear()
        monkeypatch.setattr(kube, "_TIMEOUT_S", (5.0, 20.0))
        assert place.uri == one.uri
    assert place.roll_out(two)["before"] == "1"
    tally.survived()
