"""Requests that arrive together are one run of the model, and every way of reading a request reads the same."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brakeline_serving import infer
from brakeline_serving import model as models
from brakeline_serving.ask import Ask
from brakeline_serving.cells import BATCH_ROWS
from brakeline_serving.codec import Codec, rows_of
from brakeline_serving.errors import ServingError
from brakeline_serving.lane import MOST_ROWS
from brakeline_serving.messages import Request, Response
from brakeline_serving.model import Model
from brakeline_serving.store import Served

from tests.conftest import Chain
from tests.serving.conftest import NAME, column, make_model, tensor
from tests.serving.parts import Parts, answered, make_parts

INFER = f"/v2/models/{NAME}/infer".encode()


def _request(*speeds: float, path: bytes = INFER) -> Request:
    body = json.dumps({"inputs": [tensor("speed_mps", *speeds)]}).encode()
    return Request("POST", path, {}, body)


def _runs(parts: Parts) -> dict[float, int]:
    """How many runs of the model there were, by the bucket of their size."""
    counts = parts.plane.counters.board.total("batch", len(BATCH_ROWS))
    return {bound: int(count) for bound, count in zip(BATCH_ROWS, counts, strict=True) if count}


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    made = make_parts(NAME)
    primary, shadow = (models.load(make_model(tmp_path / v / "m.onnx", scale=float(v)), v, NAME) for v in ("2", "5"))
    made.plane.adopt(Served(primary=primary, shadow=shadow))
    return made


def _ways(responses: list[Response]) -> list[list[float]]:
    return [json.loads(response.body)["outputs"][0]["data"] for response in responses]


def test_what_arrives_in_one_turn_is_one_run(parts: Parts) -> None:
    """30 requests of one row and one of three: one run of 33 rows, and each gets its own answers."""
    requests = [_request(float(n)) for n in range(30)]
    responses = answered(parts, *requests[:10], _request(50.0, 51.0, 52.0), *requests[10:])
    expected = [[2.0 * n] for n in range(30)]
    expected.insert(10, [100.0, 102.0, 104.0])
    assert _ways(responses) == expected
    assert _runs(parts) == {64.0: 1}


def test_a_request_alone_is_a_run_of_its_own(parts: Parts) -> None:
    """It waits for nobody."""
    for _ in range(3):
        answered(parts, _request(1.0))
    assert _runs(parts) == {1.0: 3}


def test_more_than_a_run_holds_are_several_runs(parts: Parts) -> None:
    """Of 300 rows that arrive together no run has more than 128, and all are answered in their order."""
    responses = answered(parts, *(_request(float(n)) for n in range(300)))
    assert _ways(responses) == [[2.0 * n] for n in range(300)]
    assert sum(_runs(parts).values()) == -(-300 // MOST_ROWS)


def test_versions_are_not_mixed_in_a_run(parts: Parts) -> None:
    """Requests for two versions in turn are each answered by their own."""
    other = f"/v2/models/{NAME}/versions/5/infer".encode()
    responses = answered(parts, *(_request(float(n), path=other if n % 2 else INFER) for n in range(20)))
    assert _ways(responses) == [[(5.0 if n % 2 else 2.0) * n] for n in range(20)]


def test_a_wrong_request_does_not_harm_those_beside_it(parts: Parts) -> None:
    """In the middle of a turn one is refused, and the others are one run."""
    responses = answered(parts, _request(1.0), Request("POST", INFER, {}, b"{"), _request(2.0))
    assert [response.status for response in responses] == [200, 400, 200]
    assert _runs(parts) == {2.0: 1}


def test_the_queue_of_large_requests_is_bounded(tmp_path: Path) -> None:
    """When 1,000 rows may wait, the second request of 800 is told to come later."""
    parts = make_parts(NAME, bulk_rows=1000)
    parts.plane.adopt(Served(primary=models.load(make_model(tmp_path / "m.onnx"), "1", NAME)))
    first, second, small = answered(parts, _request(*[1.0] * 800), _request(*[1.0] * 800), _request(3.0))
    assert (first.status, second.status, small.status) == (200, 503, 200)
    assert b"Retry-After: 1\r\n" in second.extra
    assert "1000" in json.loads(second.body)["error"]
    assert _ways([first]) == [[2.0] * 800]
    assert answered(parts, _request(*[1.0] * 800))[0].status == 200


def test_the_real_graphs_answers_do_not_depend_on_the_run(tiny: Chain) -> None:
    """Alone, in runs of any size and in one whole, 1,000 rows get the same bits: batching is free to batch."""
    model = models.load(tiny.model / "model.onnx", "1")
    chance = np.random.default_rng(7)
    low, high = (np.array([getattr(each, side) for each in model.contract.features]) for side in ("low", "high"))
    rows = chance.uniform(low - 0.02 * (high - low), high, (1000, len(low))).astype(np.float32)
    rows[chance.random(rows.shape) < 0.1] = np.nan
    columns = {name: rows[:, [at]] for at, name in enumerate(model.features)}
    whole = np.concatenate(model.run(columns, tuple(model.outputs)), axis=1)
    for size in (1, 2, 3, 5, 8, 13, 64, 127, 128, 500, 1000):
        for start in range(0, 1000, size):
            part = rows[start : start + size]
            told = model.lane.run(part.tobytes(), len(part))
            assert told.T.tobytes() == whole[start : start + size].tobytes()


def _slowly(model: Model, body: bytes, json_bytes: int | None) -> Any:
    """A request as `infer` reads it, without any shortcut: rows, outputs, which of them binary, id, parameters."""
    request, raw = infer.decode(body, json_bytes)
    names = infer.wanted_outputs(model, request)
    rows = rows_of(infer.columns_of(model, request, raw), model.features)
    binary = infer.binary_outputs(request, names)
    return rows, tuple(names), binary if any(binary) else (), request.id, request.parameters


def _of(ask: Ask) -> Any:
    return ask.rows, ask.form.names, ask.form.binary, ask.id, ask.parameters


def _a_request(chance: random.Random) -> tuple[bytes, int | None]:
    """A request in one of the usual forms, sometimes with something unusual or wrong in it."""
    count = chance.choice([1, 1, 1, 2, 3])
    binary = chance.random() < 0.4
    numbers = [chance.choice([0, 1, -1.5, 7.25, 1e39, 1e300, 123456.789, None]) for _ in range(2 * count)]
    inputs: list[dict[str, Any]] = []
    raw = b""
    for at, name in enumerate(chance.sample(["speed_mps", "grade"], chance.choice([1, 2, 2, 2]))):
        values = numbers[at * count : (at + 1) * count]
        shape = chance.choice([[count, 1], [count, 1], [count], [1, count]])
        made: dict[str, Any] = {"name": name, "shape": shape, "datatype": chance.choice(["FP32"] * 20 + ["FP64"])}
        if binary and chance.random() < 0.95:
            part = np.array([1e3 if v is None else min(v, 1e30) for v in values], "<f4").tobytes()
            raw += part
            made["parameters"] = {"binary_data_size": len(part)}
        else:
            nested = [[value] for value in values]
            made["data"] = nested if chance.random() < 0.1 else values
        inputs.append(made)
    body: dict[str, Any] = {"inputs": inputs}
    if chance.random() < 0.4:
        names = chance.sample(["way_m", "unfit", "none"], chance.choice([0, 1, 1, 2]))
        body["outputs"] = [{"name": n} | ({"parameters": {"binary_data": True}} if binary else {}) for n in names]
    if chance.random() < 0.3:
        body["id"] = chance.choice(["a", "", "é" * 10, "x" * 1001])
    if chance.random() < 0.3:
        body["parameters"] = chance.choice([{}, {"binary_data_output": binary}, {"n": 1, "s": "x", "b": True}])
    head = json.dumps(body).encode()
    return head + raw, len(head) if binary else None


def test_the_short_way_reads_what_the_long_way_reads(tmp_path: Path) -> None:
    """5,000 seeded requests, right and wrong, each read twice by a codec that remembers: the same rows or refusal."""
    model = models.load(make_model(tmp_path / "m.onnx"), "1", NAME)
    codec, chance = Codec(NAME, "1", model), random.Random(7)
    outcomes = {"read": 0, "refused": 0}
    for _ in range(5_000):
        body, json_bytes = _a_request(chance)
        try:
            expected, refusal = _slowly(model, body, json_bytes), None
        except ServingError as error:
            expected, refusal = None, str(error)
        for _ in range(2):
            try:
                assert _of(codec.read(body, json_bytes)) == expected
                outcomes["read"] += 1
            except ServingError as error:
                assert refusal is not None or "characters" in str(error), body
                outcomes["refused"] += 1
    assert min(outcomes.values()) > 1_000


def test_what_a_binary_request_left_behind_is_not_mistaken_for_another(tmp_path: Path) -> None:
    """The same JSON before other bytes: other rows; before too few or too many: refused."""
    model = models.load(make_model(tmp_path / "m.onnx"), "1", NAME)
    tensors = [
        {"name": name, "shape": [1, 1], "datatype": "FP32", "parameters": {"binary_data_size": 4}}
        for name in ("speed_mps", "grade")
    ]
    head = json.dumps({"inputs": tensors}).encode()
    for speed in (1.0, 2.0, 3.0):
        rows = np.array([speed, 0.5], np.float32).tobytes()
        assert model.codec.read(head + rows, len(head)).rows == rows
        for wrong in (rows[:-1], rows + b"x", b""):
            with pytest.raises(ServingError, match="binary_data_size"):
                model.codec.read(head + wrong, len(head))
    assert rows_of({"speed_mps": column(3.0), "grade": column(0.5)}, model.features) == rows
