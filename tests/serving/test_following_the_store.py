from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton

from tests.serving.conftest import NAME, Sabotage, Server, Store, column, tensor

Start = Callable[..., Server]
WRONG = Sabotage(
    replaced={
        "brakeline.golden": json.dumps(
            {
                "inputs": {"speed_mps": [10.0], "grade": [0.0]},
                "outputs": {"way_m": [999.0], "unfit": [0.0]},
            }
        )
    }
)


def _refused(server: Server) -> dict[str, str]:
    found: dict[str, str] = server.ask("GET", f"/v2/models/{NAME}").json["parameters"]["refused"]
    return found


def test_is_live_without_a_store_and_ready_once_a_model_is_there(start: Start, store: Store) -> None:
    """The server may be up before the first deployment: live, not ready, then ready by itself."""
    server = start("--model-store", str(store.root))
    assert server.ask("GET", "/v2/health/live").status == 200
    for path in ("/v2/health/ready", f"/v2/models/{NAME}", f"/v2/models/{NAME}/ready"):
        reply = server.ask("GET", path)
        assert reply.status == 503
        assert "serve" in reply.json["error"]
    assert server.infer({"inputs": [tensor("speed_mps", 1.0)]}).status == 503
    store.add("1")
    store.point("1")
    server.wait_for_version("1")
    assert server.infer({"inputs": [tensor("speed_mps", 1.0)]}).json["outputs"][0]["data"] == [2.0]


def test_a_swap_under_requests_loses_none_and_never_answers_wrong(start: Start, store: Store) -> None:
    """While versions 1 and 2 take turns, every answer is that of the version it names, and none fails."""
    scales = {"1": 2.0, "2": 5.0}
    for version, scale in scales.items():
        store.add(version, scale)
    store.point("1")
    server = start("--model-store", str(store.root))
    server.wait_for_version("1")
    done = threading.Event()
    wrong: list[str] = []
    seen: set[str] = set()

    def ask(seed: int) -> None:
        client = triton.InferenceServerClient(server.address)
        chance = np.random.default_rng(seed)
        try:
            while not done.is_set():
                speed = chance.uniform(0, 70, (4, 1)).astype(np.float32)
                given = triton.InferInput("speed_mps", [4, 1], "FP32").set_data_from_numpy(speed)
                result = client.infer(NAME, [given])
                version = result.get_response()["model_version"]
                seen.add(version)
                if not np.array_equal(result.as_numpy("way_m"), np.float32(scales[version]) * speed):
                    wrong.append(f"version {version}: {speed.ravel()}")
        except Exception as error:  # noqa: BLE001  any failed request fails the test
            wrong.append(repr(error))
        finally:
            client.close()

    clients = [threading.Thread(target=ask, args=(seed,)) for seed in range(3)]
    for client in clients:
        client.start()
    for version in ("2", "1", "2"):
        store.point(version)
        server.wait_for_version(version)
    done.set()
    for client in clients:
        client.join()
    assert not wrong
    assert seen == {"1", "2"}


def test_a_bad_model_is_refused_and_the_old_one_keeps_serving(start: Start, store: Store) -> None:
    """A new version that does not give its golden answers is refused in log, metrics and metadata."""
    store.add("1", scale=2.0)
    store.point("1")
    server = start("--model-store", str(store.root))
    server.wait_for_version("1")
    store.add("2", sabotage=WRONG)
    store.point("2")
    server.wait_until(lambda: "2" in _refused(server))
    assert "way_m: found [20.0], allowed [999.0]" in _refused(server)["2"]
    assert server.ask("GET", "/v2/health/ready").json["version"] == "1"
    assert server.infer({"inputs": [tensor("speed_mps", 1.0)]}).json["outputs"][0]["data"] == [2.0]
    assert server.infer({"inputs": [tensor("speed_mps", 1.0)]}, "/versions/2").status == 404
    assert server.metric("brakeline_model_refusals_total") == 1
    assert server.metric('brakeline_model_refused{what="2"}') == 1
    assert '"event": "model_refused"' in server.log.read_text()
    store.add("3", scale=3.0)
    store.point("3")
    server.wait_for_version("3")
    assert _refused(server) == {}
    assert server.metric('brakeline_model_refused{what="2"}') == 0


@pytest.mark.parametrize(
    "pointer",
    ["", "{", "[]", '{"primary": 3}', '{"primary": "../../etc"}', '{"shadow": "1"}', '{"primary": "9"}'],
)
def test_a_bad_pointer_is_refused_and_the_old_one_keeps_serving(start: Start, store: Store, pointer: str) -> None:
    """A serving.json that cannot be followed changes nothing but what is reported."""
    store.add("1")
    store.point("1")
    server = start("--model-store", str(store.root))
    server.wait_for_version("1")
    store.write(pointer)
    server.wait_until(lambda: bool(_refused(server)))
    assert server.ask("GET", "/v2/health/ready").json["version"] == "1"


def test_a_pointer_before_its_model_is_followed_once_the_model_arrives(start: Start, store: Store) -> None:
    """On a network file system the pointer may show up first."""
    store.point("1")
    server = start("--model-store", str(store.root))
    server.wait_until(lambda: "No such file" in server.ask("GET", "/v2/health/ready").json["error"])
    store.add("1")
    server.wait_for_version("1")


def test_the_shadow_comes_and_goes_and_cannot_harm_the_primary(start: Start, store: Store) -> None:
    """A shadow is addressable while named; a bad one is refused and the primary is taken all the same."""
    store.add("1", scale=2.0)
    store.add("2", scale=5.0)
    store.add("3", sabotage=WRONG)
    store.point("1", shadow="2")
    server = start("--model-store", str(store.root))
    server.wait_for_version("1")
    body: dict[str, Any] = {"inputs": [tensor("speed_mps", 1.0)]}
    assert server.infer(body, "/versions/2").json["outputs"][0]["data"] == [5.0]
    store.point("2", shadow="3")
    server.wait_for_version("2")
    assert list(_refused(server)) == ["3"]
    assert server.infer(body, "/versions/1").status == 404
    assert server.infer(body, "/versions/3").status == 404


def test_the_store_may_vanish(start: Start, store: Store) -> None:
    """A server that lost sight of its store serves what it has."""
    store.add("1")
    store.point("1")
    server = start("--model-store", str(store.root))
    server.wait_for_version("1")
    (store.root / NAME / "serving.json").unlink()
    server.wait_until(lambda: bool(_refused(server)))
    client = triton.InferenceServerClient(server.address)
    given = triton.InferInput("speed_mps", [1, 1], "FP32").set_data_from_numpy(column(4.0))
    assert client.infer(NAME, [given]).as_numpy("way_m") == 8.0
    client.close()
