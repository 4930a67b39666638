"""What the server tells of its traffic: metrics, logs, traces, the shadow's difference, predictions."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import tritonclient.http as triton
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import Chain
from tests.serving.conftest import (
    CONTRACT,
    NAME,
    Sabotage,
    Server,
    Store,
    answers_in_process,
    column,
    make_model,
    tensor,
)

Start = Callable[..., Server]
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRAINING = {
    "speed_mps": {"edges": [10.0, 20.0], "counts": [50, 30, 20], "missing": 0},
    "grade": {"edges": [0.0], "counts": [40, 40], "missing": 20},
}
WITH_TRAINING = Sabotage(replaced={"brakeline.distribution": json.dumps(TRAINING)})


def _samples(server: Server, name: str) -> dict[tuple[str, ...], float]:
    """A metric's samples by the values of their labels in alphabetical order, as a parser of Prometheus' reads them."""
    page = server.ask("GET", "/metrics").body.decode()
    return {
        tuple(value for _, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name == name
    }


def test_readings_are_counted_on_the_training_datas_edges(start: Start, tmp_path: Path) -> None:
    """Per feature: rows up to each edge and above, missing ones, the training's shares, and the index by hand."""
    server = start("--model", str(make_model(tmp_path / "m.onnx", sabotage=WITH_TRAINING)))
    server.infer({"inputs": [tensor("speed_mps", 5.0, 10.0, 15.0, 25.0), tensor("grade", 0.1, None, 0.1, -0.1)]})
    found = _samples(server, "brakeline_feature_bucket")
    assert found == {
        ("speed_mps", "10.0", "1"): 2,
        ("speed_mps", "20.0", "1"): 3,
        ("speed_mps", "+Inf", "1"): 4,
        ("grade", "0.0", "1"): 1,
        ("grade", "+Inf", "1"): 3,
    }
    assert _samples(server, "brakeline_feature_missing_total") == {("speed_mps", "1"): 0, ("grade", "1"): 1}
    shares = _samples(server, "brakeline_feature_training_share")
    assert {labels for labels in shares if "speed_mps" in labels} == {
        ("-Inf", "speed_mps", "10.0", "1"),
        ("10.0", "speed_mps", "20.0", "1"),
        ("20.0", "speed_mps", "+Inf", "1"),
    }
    assert shares["10.0", "speed_mps", "20.0", "1"] == pytest.approx(0.8)
    p, q = np.array([0.5, 0.25, 0.25]), np.array([0.5, 0.3, 0.2])
    by_hand = float(np.sum((p - q) * np.log(p / q)))
    assert _samples(server, "brakeline_feature_psi")["speed_mps", "1"] == pytest.approx(by_hand)


@pytest.mark.parametrize(
    "told",
    [
        {"velocity": TRAINING["grade"]},
        {"grade": {"edges": [1.0, 1.0], "counts": [1, 1, 1], "missing": 0}},
        {"grade": {"edges": [1.0], "counts": [1], "missing": 0}},
        {"grade": {"edges": [], "counts": [1], "missing": 0}},
    ],
)
def test_a_model_that_tells_nonsense_of_its_training_is_refused(start: Start, store: Store, told: Any) -> None:
    """Edges that do not rise, or another feature's, are found when the model is loaded."""
    store.add("1", sabotage=Sabotage(replaced={"brakeline.distribution": json.dumps(told)}))
    store.point("1")
    server = start("--model-store", str(store.root))
    server.wait_until(lambda: "brakeline.distribution" in server.ask("GET", "/v2/health/ready").json["error"])


def test_margin_spread_and_distribution_are_told_of_the_real_model(start: Start, tiny: Chain) -> None:
    """Rows out of range and out of distribution, bound less median and gap less bound [m], against the graph's own."""
    server = start("--model", str(tiny.model))
    metadata = server.ask("GET", f"/v2/models/{NAME}").json
    features = metadata["parameters"]["contract"]["features"]
    by_role = {feature["role"]: feature["name"] for feature in features}
    rows: dict[str, list[float | None]] = {feature["name"]: [None] * 4 for feature in features}
    rows[by_role["speed"]] = [10.0, 20.0, 30.0, 500.0]
    rows[by_role["vehicle_class"]] = [1.0] * 4
    rows[by_role["range"]] = [300.0, 0.5, None, 100.0]
    rows[by_role["air_temperature"]] = [15.0, 15.0, 55.0, 15.0]
    server.infer({"inputs": [tensor(name, *values) for name, values in rows.items()]})
    nan = float("nan")
    columns = {name: column(*(nan if v is None else v for v in values)) for name, values in rows.items()}
    told = {name: values.ravel() for name, values in answers_in_process(tiny.model / "model.onnx", **columns).items()}
    assert server.metric("brakeline_out_of_range_total") == told["out_of_range"].sum() == 1
    assert server.metric("brakeline_out_of_distribution_total") == (told["ood_score"] >= 3).sum()
    spread = (told["stopping_distance_upper_m"] - told["stopping_distance_m"])[:3]
    assert _samples(server, "brakeline_bound_spread_metres_bucket")["+Inf", "1"] == 3
    assert server.metric('brakeline_bound_spread_mean_metres{version="1"}') == pytest.approx(spread.mean(), rel=1e-5)
    margin = [300.0 - told["stopping_distance_upper_m"][0], 0.5 - told["stopping_distance_upper_m"][1]]
    assert _samples(server, "brakeline_margin_metres_bucket")["+Inf", "1"] == 2
    assert server.metric('brakeline_margin_mean_metres{version="1"}') == pytest.approx(sum(margin) / 2, rel=1e-5)
    assert _samples(server, "brakeline_feature_psi").keys() == {(name, "1") for name in metadata_names(metadata)}


def metadata_names(metadata: dict[str, Any]) -> list[str]:
    return [tensor["name"] for tensor in metadata["inputs"]]


def test_a_shadow_that_has_no_answer_is_far_from_the_primary(start: Start, store: Store) -> None:
    """Where one of the two says a number and the other none, a trial counts a row as beyond any difference."""
    targets = Sabotage(replaced={"brakeline.contract": json.dumps(CONTRACT)})
    store.add("1", sabotage=targets)
    _silent_above(store.add("2", sabotage=targets), 20.0)
    store.point("1", shadow="2")
    server = start("--model-store", str(store.root))
    server.wait_for_version("1")
    assert server.infer({"inputs": [tensor("speed_mps", 4.0, 30.0, 8.0, 21.0)]}).status == 200

    def found(le: str) -> float:
        return _samples(server, "brakeline_shadow_difference_metres_bucket")[le, "2"]

    server.wait_until(lambda: found("+Inf") == 4)
    assert found("20.0") == 2


def _silent_above(file: Path, speed_mps: float) -> None:
    """Make a model's way NaN beyond a speed."""
    model = onnx.load(str(file))
    graph = model.graph
    (way,) = [node for node in graph.node if "way_m" in node.output]
    way.output[:] = ["known"]
    for name, value in (("limit", speed_mps), ("silence", math.nan)):
        graph.initializer.append(onnx.helper.make_tensor(name, onnx.TensorProto.FLOAT, [1], [value]))
    graph.node.append(onnx.helper.make_node("Greater", ["speed_mps", "limit"], ["fast"]))
    graph.node.append(onnx.helper.make_node("Where", ["fast", "silence", "known"], ["way_m"]))
    onnx.save(model, str(file))


def test_the_shadow_gets_a_copy_and_its_difference_is_told(start: Start, store: Store) -> None:
    """Version 2 answers 0.5 m more per 1 m/s than version 1: the difference is in metres, and no client sees it."""
    targets = Sabotage(replaced={"brakeline.contract": json.dumps(CONTRACT)})
    store.add("1", scale=2.0, sabotage=targets)
    store.add("2", scale=2.5, sabotage=targets)
    store.add("3", scale=9.0, sabotage=targets)
    store.point("1", shadow="2")
    server = start("--model-store", str(store.root))
    server.wait_for_version("1")
    reply = server.infer({"inputs": [tensor("speed_mps", 4.0, 30.0, 8.0)]})
    assert reply.json["model_version"] == "1"
    assert reply.json["outputs"][0]["data"] == [8.0, 60.0, 16.0]

    def found(le: str, version: str = "2") -> float:
        return _samples(server, "brakeline_shadow_difference_metres_bucket")[le, version]

    assert server.ask("POST", f"/v2/repository/models/{NAME}/load", {"parameters": {"version": "3"}}).status == 200
    for asked in ("2", "3"):  # by name: no traffic of the primary's
        assert server.infer({"inputs": [tensor("speed_mps", 50.0)]}, f"/versions/{asked}").status == 200
    server.wait_until(lambda: found("+Inf") == 3)
    assert server.metric('brakeline_shadow_difference_mean_metres{version="2"}') == pytest.approx(7.0)
    assert found("2.0") == 1
    assert found("+Inf", "1") == 0
    assert server.metric("brakeline_shadow_rows_dropped_total") == 0


def test_errors_are_counted_by_reason_and_batches_by_size(start: Start, tmp_path: Path) -> None:
    """Each refusal has a reason; each run of the model a size; each answer a time in buckets of microseconds."""
    server = start("--model", str(make_model(tmp_path / "m.onnx")))
    server.infer(b"no JSON")
    server.infer({"inputs": []})
    server.infer({"inputs": [tensor("speed_mps", *range(200))]})
    server.infer({"inputs": [tensor("speed_mps", 1.0)]})
    server.ask("GET", "/nowhere")
    found = _samples(server, "brakeline_errors_total")
    assert found == {("malformed",): 1, ("input_missing",): 1, ("unknown_path",): 1}
    assert _samples(server, "brakeline_batch_rows_bucket")[("1.0",)] == 1
    assert _samples(server, "brakeline_batch_rows_sum")[()] == 201
    buckets = _samples(server, "brakeline_infer_seconds_bucket")
    assert buckets[("1e-05",)] <= buckets[("1.0",)] <= buckets[("+Inf",)] == 2


def test_predictions_are_kept_with_their_ids(start: Start, tmp_path: Path) -> None:
    """Every request at a share of 1: id, trace, version, inputs and the very answers that the client got."""
    folder = tmp_path / "kept"
    model = str(make_model(tmp_path / "m.onnx"))
    server = start("--model", model, "--prediction-log", str(folder), "--prediction-share", "1")
    reply = server.infer(
        {"id": "stop-1", "inputs": [tensor("speed_mps", 4.0, None), tensor("grade", 0.5, 0.25)]},
        headers={"traceparent": TRACE},
    )
    server.infer({"inputs": [tensor("speed_mps", 1.0)]})
    server.wait_until(lambda: server.metric("brakeline_predictions_logged_total") == 2)
    lines = [json.loads(line) for line in (folder / "predictions-0.jsonl").read_text().splitlines()]
    assert {key: lines[0][key] for key in ("id", "traceparent", "model", "version")} == {
        "id": "stop-1", "traceparent": TRACE, "model": NAME, "version": "1",
    }  # fmt: skip
    assert lines[0]["inputs"] == {"speed_mps": [4.0, None], "grade": [0.5, 0.25]}
    assert lines[0]["outputs"] == {output["name"]: output["data"] for output in reply.json["outputs"]}
    assert lines[1]["id"] is None


def test_the_prediction_log_is_a_sample_and_bounded(start: Start, tmp_path: Path) -> None:
    """A tenth of 2,000 requests, and of many large ones no more bytes than allowed."""
    folder = tmp_path / "kept"
    words = ["--model", str(make_model(tmp_path / "m.onnx")), "--prediction-log", str(folder), "--prediction-mib", "1"]
    server = start(*words, "--prediction-share", "0.1")
    client = triton.InferenceServerClient(server.address)
    given = triton.InferInput("speed_mps", [100, 1], "FP32").set_data_from_numpy(column(*range(100)))
    for _ in range(2000):
        client.infer(NAME, [given])
    client.close()
    assert server.stop() == 0
    files = sorted(folder.iterdir())
    assert len(files) <= 4
    assert sum(file.stat().st_size for file in files) < 1024 * 1024 * 1.3
    kept = sum(len(file.read_text().splitlines()) for file in files)
    assert 120 < kept < 290  # 200 expected; six standard deviations are 80


def test_the_access_log_has_a_line_for_each_request_and_its_trace(start: Start, tmp_path: Path) -> None:
    """Off unless asked for; then JSON with status, bytes, time and the caller's W3C trace context."""
    model = str(make_model(tmp_path / "m.onnx"))
    quiet, server = start("--model", model), start("--model", model, "--access-log")
    for each in (quiet, server):
        each.infer({"inputs": [tensor("speed_mps", 1.0)]}, headers={"traceparent": TRACE})
        each.ask("GET", "/nowhere")
        assert each.stop() == 0
    assert "access" not in quiet.log.read_text()
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    infer, nowhere = [line for line in lines if line["event"] == "access"]
    assert (infer["method"], infer["status"], infer["traceparent"]) == ("POST", 200, TRACE)
    assert infer["path"].endswith("/infer")
    assert 0 < infer["duration_us"] < 15e6
    assert infer["response_bytes"] > infer["request_bytes"] / 2 > 0
    assert (nowhere["path"], nowhere["status"]) == ("/nowhere", 404)
