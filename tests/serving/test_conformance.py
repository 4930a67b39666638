"""The protocol as `tritonclient` uses it: the same suite through each of its four clients."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from tritonclient.utils import InferenceServerException

from tests.serving.clients import KINDS, Client
from tests.serving.conftest import CONTRACT, NAME, Sabotage, Server, Store, answers_in_process, column, tensor

NAN = float("nan")
ASKED = {"speed_mps": column(10.0, 20.0, NAN), "grade": column(0.5, NAN, 0.25)}
FINITE = {"speed_mps": column(10.0, 20.0, 0.1), "grade": column(0.5, -0.25, 0.25)}  # JSON as a standard has no NaN
# What a refusal is called, by transport.
CODES = {"unknown": ("404", "StatusCode.NOT_FOUND"), "wrong": ("400", "StatusCode.INVALID_ARGUMENT")}


@pytest.fixture(params=KINDS)
def client(live: Server, request: pytest.FixtureRequest) -> Iterator[Client]:
    made = Client(request.param, live.address, live.grpc_address)
    yield made
    made.close()


def _expected(live: Server, version: str, asked: dict[str, Any]) -> dict[str, Any]:
    file = live.log.parent / "models" / NAME / version / "model.onnx"
    return answers_in_process(file, **asked)


def _same(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert list(found) == list(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)


def test_health_is_told(client: Client) -> None:
    """Live, ready, and ready by model and version; no for what is not served."""
    assert client.call("is_server_live") is True
    assert client.call("is_server_ready") is True
    for name, version, ready in ((NAME, "", True), (NAME, "4", True), (NAME, "5", False), ("other", "", False)):
        assert client.call("is_model_ready", name, version) is ready


def test_metadata_and_configuration_are_told(client: Client) -> None:
    """Names, tensors and the contract with units and ranges, in the forms of each transport."""
    assert client.call("get_server_metadata")["name"] == "brakeline-serving"
    told = client.call("get_model_metadata", NAME, "4")
    assert told["versions"][:2] == ["3", "4"]
    assert [tensor["name"] for tensor in told["inputs"]] == ["speed_mps", "grade"]
    assert [int(size) for size in told["inputs"][0]["shape"]] == [-1, 1]
    assert {tensor["datatype"] for tensor in told["inputs"] + told["outputs"]} == {"FP32"}
    config = client.call("get_model_config", NAME)
    config = config.get("config", config)
    assert config["max_batch_size"] == 10_000
    assert config["input"][0]["data_type"] == "TYPE_FP32"
    assert json.loads(config["parameters"]["brakeline.contract"]["string_value"]) == CONTRACT


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("outputs", [None, ["unfit"], ["unfit", "way_m"]])
@pytest.mark.parametrize("version", ["3", "4"])
def test_rows_get_the_models_own_answers(
    client: Client, live: Server, binary: bool, outputs: list[str] | None, version: str
) -> None:
    """Batches, missing values and any subset of the outputs, in JSON and binary, by version: bit for bit."""
    asked = ASKED if binary else FINITE
    answer = client.infer(NAME, asked, outputs, binary, model_version=version)
    expected = _expected(live, version, asked)
    _same(answer.outputs, {name: expected[name] for name in outputs or expected})
    assert answer.version == version


def test_id_and_parameters_come_back(client: Client) -> None:
    """What a client sends along is in the reply, but for what only steers its form."""
    given = {"drive": "d-7", "attempt": 2, "night": True}
    answer = client.infer(NAME, ASKED, request_id="stop-1", parameters=given)
    assert answer.id == "stop-1"
    assert answer.parameters == given


@pytest.mark.parametrize("packed", ["gzip", "deflate"])
def test_compressed_requests_and_replies_are_the_same(client: Client, live: Server, packed: str) -> None:
    """Either way compressed, binary and JSON: the answers do not change."""
    rows = {name: np.tile(values, (100, 1)) for name, values in FINITE.items()}
    options: dict[str, Any] = {"compression_algorithm": packed}
    if not client.is_grpc:
        options = {"request_compression_algorithm": packed, "response_compression_algorithm": packed}
    for binary in (True, False):
        answer = client.infer(NAME, rows, binary=binary, **options)
        _same(answer.outputs, _expected(live, "3", rows))


def test_a_full_batch_is_answered(client: Client) -> None:
    """10,000 rows, the most that is allowed, and one more is refused."""
    speed = np.linspace(0, 70, 10_001, dtype=np.float32).reshape(-1, 1)
    answer = client.infer(NAME, {"speed_mps": speed[:-1]})
    np.testing.assert_array_equal(answer.outputs["way_m"], 2 * speed[:-1])
    with pytest.raises(InferenceServerException, match="1 to 10000 rows"):
        client.infer(NAME, {"speed_mps": speed})


@pytest.mark.parametrize(
    ("columns", "options", "kind", "says"),
    [
        ({"velocity": column(1.0)}, {}, "wrong", "unknown name velocity"),
        ({"grade": column(0.1)}, {}, "wrong", "missing speed_mps"),
        ({"speed_mps": column(1.0, 2.0), "grade": column(0.1)}, {}, "wrong", "grade: shape: found 1 rows"),
        ({"speed_mps": np.ones((1, 2), np.float32)}, {}, "wrong", "speed_mps: shape: found"),
        ({"speed_mps": column(1.0)}, {"outputs": ["nothing"]}, "wrong", "unknown name nothing"),
        ({"speed_mps": column(1.0)}, {"model_version": "9"}, "unknown", "version: found 9, allowed 3, 4"),
        ({"speed_mps": column(1.0)}, {"request_id": "x" * 2000}, "wrong", "id: found 2000 characters"),
    ],
)
def test_refusals_say_what_is_wrong(
    client: Client, columns: dict[str, Any], options: dict[str, Any], kind: str, says: str
) -> None:
    """Each transport's own status, and the same words: field, found, allowed."""
    with pytest.raises(InferenceServerException) as raised:
        client.infer(NAME, columns, **options)
    assert raised.value.status() == CODES[kind][client.is_grpc]
    assert says in raised.value.message()


def test_an_unknown_model_is_refused(client: Client) -> None:
    """Inference, metadata, configuration and statistics of another model are not found."""
    for ask in (
        lambda: client.infer("other", ASKED),
        lambda: client.call("get_model_metadata", "other"),
        lambda: client.call("get_model_config", "other"),
        lambda: client.call("get_inference_statistics", "other"),
        lambda: client.call("load_model", "other"),
        lambda: client.call("unload_model", "other"),
    ):
        with pytest.raises(InferenceServerException) as raised:
            ask()
        assert raised.value.status() == CODES["unknown"][client.is_grpc]


def _stats(client: Client, *of: str) -> dict[str, dict[str, Any]]:
    found = client.call("get_inference_statistics", *of)["model_stats"]
    return {each["version"]: each for each in found}


def test_statistics_count_requests_rows_and_runs(client: Client) -> None:
    """By version, of one model and of all, with the times that the parts took."""
    before = _stats(client, NAME)["4"]
    for _ in range(3):
        client.infer(NAME, ASKED, model_version="4")
    after = _stats(client)["4"]
    assert int(after["inference_count"]) - int(before.get("inference_count", 0)) == 9
    assert int(after["execution_count"]) - int(before.get("execution_count", 0)) == 3
    success, earlier = (each["inference_stats"]["success"] for each in (after, before))
    assert int(success["count"]) - int(earlier.get("count", 0)) == 3
    parts = [int(after["inference_stats"][f"compute_{part}"]["ns"]) for part in ("input", "infer", "output")]
    assert 0 < sum(parts) <= int(success["ns"])
    assert list(_stats(client, NAME, "3")) == ["3"]


@pytest.fixture
def stored(store: Store, start: Callable[..., Server]) -> Server:
    """Versions 1 to 3 and a bad one, of which 1 is served, by two workers."""
    for number in (1, 2, 3):
        store.add(str(number), scale=float(number))
    store.add("9", sabotage=Sabotage(without=("brakeline.golden",)))
    store.point("1")
    server = start("--model-store", str(store.root), "--grpc-port", "0", "--workers", "2")
    server.wait_for_version("1")
    return server


def _policy(*versions: str) -> str:
    return json.dumps({"version_policy": {"specific": {"versions": list(versions)}}})


@pytest.mark.parametrize("kind", KINDS)
def test_versions_are_loaded_and_unloaded_by_request(stored: Server, kind: str) -> None:
    """A version asked for is served beside the primary by every worker; one that is bad is refused with its reason."""
    client = Client(kind, stored.address, stored.grpc_address)

    def index() -> dict[str, tuple[str, str]]:
        told = client.call("get_model_repository_index")
        rows = told["models"] if client.is_grpc else told
        return {row["version"]: (row["state"], row.get("reason", "")) for row in rows}

    assert index() == {"1": ("READY", "")} | dict.fromkeys("239", ("UNAVAILABLE", "not loaded"))
    client.call("load_model", NAME, config=_policy("2", "3"))
    for _ in range(8):
        reply = stored.infer({"inputs": [tensor("speed_mps", 10.0)]}, "/versions/3")
        assert reply.json["outputs"][0]["data"] == [30.0]
    assert client.infer(NAME, ASKED, model_version="2").outputs["way_m"][0] == 20.5
    with pytest.raises(InferenceServerException, match="golden"):
        client.call("load_model", NAME, config=_policy("9"))
    client.call("load_model", NAME)
    client.call("unload_model", NAME)
    assert not client.call("is_server_ready")
    assert not client.call("is_model_ready", NAME)
    with pytest.raises(InferenceServerException, match="no version of"):
        client.infer(NAME, ASKED)
    client.call("load_model", NAME)
    assert client.call("is_model_ready", NAME)
    assert not client.call("is_model_ready", NAME, "2")
    assert client.infer(NAME, ASKED).outputs["way_m"][0] == 10.5
    client.close()
