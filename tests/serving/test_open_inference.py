from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tritonclient.http as triton

from tests.serving.conftest import CONTRACT, NAME, Server, column, tensor

NAN = float("nan")


@pytest.fixture
def client(live: Server) -> Iterator[Any]:
    made = triton.InferenceServerClient(live.address)
    yield made
    made.close()


def _input(name: str, values: np.ndarray[Any, Any], binary: bool) -> Any:
    made = triton.InferInput(name, list(values.shape), "FP32")
    return made.set_data_from_numpy(values, binary_data=binary)


def test_tritonclient_finds_server_and_model_ready(client: Any) -> None:
    """The conformance client's health calls say yes for what is served and no for the rest."""
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(NAME)
    assert client.is_model_ready(NAME, "3")
    assert client.is_model_ready(NAME, "4")
    assert not client.is_model_ready(NAME, "5")
    assert not client.is_model_ready("another")


def test_metadata_publish_the_contract(client: Any, live: Server) -> None:
    """A client learns tensors, units and ranges, and which file answers, from the metadata alone."""
    assert client.get_server_metadata()["name"] == "brakeline-serving"
    metadata = client.get_model_metadata(NAME)
    assert metadata["versions"] == ["3", "4"]
    assert metadata["platform"] == "onnxruntime_onnx"
    assert metadata["inputs"][0] == {"name": "speed_mps", "datatype": "FP32", "shape": [-1, 1]}
    assert [output["name"] for output in metadata["outputs"]] == ["way_m", "unfit"]
    parameters = metadata["parameters"]
    assert parameters["contract"] == CONTRACT
    assert parameters["outputs"]["way_m"]["unit"] == "m"
    assert parameters["version"] == "3"
    assert client.get_model_metadata(NAME, "4")["parameters"]["version"] == "4"
    file = live.log.parent / "models" / NAME / "3" / "model.onnx"
    assert parameters["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert client.get_model_config(NAME)["input"][0]["data_type"] == "TYPE_FP32"


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False, None])
def test_tritonclient_gets_the_right_answer_in_every_mode(
    client: Any, binary_in: bool, binary_out: bool | None
) -> None:
    """JSON or binary, in or out, asked for or by default: the same rows give the same answers."""
    speed, grade = column(10.0, 20.0, 30.0), column(0.5, 0.25, -0.25)
    names = ["way_m", "unfit"]
    outputs = None
    if binary_out is not None:
        outputs = [triton.InferRequestedOutput(name, binary_data=binary_out) for name in names]
    inputs = [_input("speed_mps", speed, binary_in), _input("grade", grade, binary_in)]
    result = client.infer(NAME, inputs, outputs=outputs, request_id="drive-7")
    assert result.get_response()["id"] == "drive-7"
    assert result.get_response()["model_version"] == "3"
    np.testing.assert_array_equal(result.as_numpy("way_m"), 2 * speed + grade)
    np.testing.assert_array_equal(result.as_numpy("unfit"), column(0, 0, 0))


def test_missing_values_are_the_models_business(client: Any, live: Server) -> None:
    """NaN in binary and null in JSON both reach the model as missing, and what is NaN comes back as null."""
    speed = column(NAN, 10.0)
    result = client.infer(NAME, [_input("speed_mps", speed, True), _input("grade", column(NAN, 0.5), True)])
    np.testing.assert_array_equal(result.as_numpy("way_m"), column(NAN, 20.5))
    reply = live.infer({"inputs": [tensor("speed_mps", None, 10.0), tensor("grade", None, 0.5)]})
    assert [output["data"] for output in reply.json["outputs"]] == [[None, 20.5], [1.0, 0.0]]


def test_infinite_answers_are_null_in_json(live: Server) -> None:
    """A number beyond float32 becomes infinite, and the reply is JSON all the same."""
    reply = live.infer({"inputs": [tensor("speed_mps", 1e300)]})
    assert reply.json["outputs"][0]["data"] == [None]


def test_a_feature_that_may_be_missing_may_be_left_out(client: Any, live: Server) -> None:
    """Leaving an optional feature out is the same as sending NaN, for one row and for many."""
    result = client.infer(NAME, [_input("speed_mps", column(10.0, 20.0), True)])
    np.testing.assert_array_equal(result.as_numpy("way_m"), column(20.0, 40.0))
    assert live.infer({"inputs": [tensor("speed_mps", 7.0)]}).json["outputs"][0]["data"] == [14.0]


def test_only_the_outputs_asked_for_come_back(client: Any) -> None:
    """Any subset of the outputs, in the order asked for, each in its own mode."""
    outputs = [triton.InferRequestedOutput("unfit", binary_data=False), triton.InferRequestedOutput("way_m")]
    result = client.infer(NAME, [_input("speed_mps", column(10.0), False)], outputs=outputs)
    assert [output["name"] for output in result.get_response()["outputs"]] == ["unfit", "way_m"]
    assert result.as_numpy("way_m") == 20.0
    only = client.infer(NAME, [_input("speed_mps", column(10.0), True)], outputs=outputs[:1])
    assert only.as_numpy("way_m") is None
    assert only.as_numpy("unfit") == 0.0


def test_versions_are_addressable(client: Any) -> None:
    """Primary and shadow answer under their own version; the bare name is the primary."""
    inputs = [_input("speed_mps", column(10.0), True)]
    for version, way_m in (("", 20.0), ("3", 20.0), ("4", 50.0)):
        assert client.infer(NAME, inputs, model_version=version).as_numpy("way_m") == way_m


@pytest.mark.parametrize(
    ("shape", "data"), [([2], [1, 2]), ([2, 1], [1.0, 2.0]), ([2, 1], [[1], [2]]), ([2], [[1.0], [2.0]])]
)
def test_rows_may_be_flat_or_nested(live: Server, shape: list[int], data: list[Any]) -> None:
    """[N] and [N, 1], flat and nested, whole numbers and fractions mean the same rows."""
    reply = live.infer({"inputs": [tensor("speed_mps") | {"shape": shape, "data": data}]})
    assert reply.json["outputs"][0] == {
        "name": "way_m",
        "datatype": "FP32",
        "shape": [2, 1],
        "data": [2.0, 4.0],
    }


def test_a_full_batch_is_answered_row_by_row(client: Any) -> None:
    """10,000 different rows come back in their order."""
    speed = np.random.default_rng(7).uniform(0, 70, (10_000, 1)).astype(np.float32)
    result = client.infer(NAME, [_input("speed_mps", speed, True)])
    np.testing.assert_array_equal(result.as_numpy("way_m"), 2 * speed)


def test_parameters_that_mean_nothing_here_are_tolerated(live: Server) -> None:
    """A request with a priority or a field of a later protocol is answered."""
    body = {"inputs": [tensor("speed_mps", 7.0)], "parameters": {"priority": 3, "own": "x"}, "later": [1]}
    reply = live.infer(body)
    assert reply.status == 200
    assert "id" not in reply.json


def test_a_binary_tensor_need_not_be_aligned(live: Server) -> None:
    """Wherever the JSON ends, the raw values after it are read right."""
    for padding in range(4):
        given = tensor("speed_mps") | {"shape": [1], "parameters": {"binary_data_size": 4}}
        del given["data"]
        head = json.dumps({"inputs": [given]}).encode() + b" " * padding
        headers = {"Inference-Header-Content-Length": str(len(head))}
        reply = live.infer(head + struct.pack("<f", 7.5), headers=headers)
        assert reply.json["outputs"][0]["data"] == [15.0]


def test_metrics_count_requests_rows_and_the_fail_safe(live: Server) -> None:
    """What is asked shows in /metrics, out-of-range rows though the client did not want the flag."""
    lines = (
        'brakeline_requests_total{endpoint="infer",status="200"}',
        'brakeline_requests_total{endpoint="infer",status="400"}',
        "brakeline_rows_total",
        "brakeline_out_of_range_total",
        "brakeline_infer_seconds_count",
    )
    before = [live.metric(line) for line in lines]
    live.infer({"inputs": [tensor("speed_mps", None, 1.0, None)], "outputs": [{"name": "way_m"}]})
    live.infer({"inputs": []})
    assert [live.metric(line) - was for line, was in zip(lines, before, strict=True)] == [1, 1, 3, 2, 1]
    page = live.ask("GET", "/metrics").body.decode()
    assert f'brakeline_model_info{{model="{NAME}",role="primary",sha256="' in page
    assert 'brakeline_infer_seconds_bucket{le="2e-05"}' in page
