"""Models of contract 1 and 2, both trained for real, behind the real server, and clients of either version."""

import json
import shutil
from collections.abc import Callable
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stepkit import tables

from tests import older
from tests.conftest import HOUSE, Chain, command
from tests.older import Older
from tests.serving.conftest import NAME, Server, Store, answers_in_process, column, tensor

OUTPUTS = ("stopping_distance_m", "stopping_distance_upper_m", "out_of_range")
GOLDEN = {n: json.loads((HOUSE / "tests" / "data" / f"contract-v{n}.json").read_text()) for n in (1, 2)}


@pytest.fixture(scope="module")
def v1(tiny: Chain, tmp_path_factory: pytest.TempPathFactory) -> Older:
    return older.make(tiny, tmp_path_factory.mktemp("older"))


@pytest.fixture
def server(tiny: Chain, v1: Older, store: Store, start: Callable[..., Server]) -> Server:
    """A server that has a model of each contract under that contract's number, and serves the first."""
    for version, model in (("1", v1.model), ("2", tiny.model)):
        folder = store.root / NAME / version
        folder.mkdir(parents=True)
        shutil.copyfile(model / "model.onnx", folder / "model.onnx")
    store.point("1", shadow="2")
    made = start("--model-store", str(store.root))
    made.wait_for_version("1")
    return made


def of_version_1(v1: Older, rows: int = 50) -> dict[str, list[float | None]]:
    """Rows as a client of version 1 knows them: its 13 inputs, null where a reading is missing."""
    table, _ = tables.read_table(v1.holdout)
    columns = {name: table[name].head(rows).to_list() for name in older.V1.names}
    assert len(columns) == 13
    return {name: [None if isnan(value) else value for value in values] for name, values in columns.items()}


def asked(server: Server, rows: dict[str, list[float | None]], version: str = "") -> dict[str, list[float]]:
    """The server's answers by output name; the request must be understood."""
    body = {"inputs": [tensor(name, *values) for name, values in rows.items()]}
    reply = server.infer(body, f"/versions/{version}" if version else "")
    assert reply.status == 200, reply.body
    return {output["name"]: output["data"] for output in reply.json["outputs"]}


def in_process(model: Path, rows: dict[str, list[float | None]]) -> dict[str, Any]:
    nan = float("nan")
    columns = {name: column(*(nan if value is None else value for value in values)) for name, values in rows.items()}
    return answers_in_process(model / "model.onnx", **columns)


def test_each_model_publishes_its_own_contract(server: Server, v1: Older) -> None:
    """Metadata and tensors are those of the model that answers, whatever the newest version is."""
    for version, inputs in ((1, 13), (2, 14)):
        metadata = server.ask("GET", f"/v2/models/{NAME}/versions/{version}").json
        assert metadata["parameters"]["contract"] == GOLDEN[version]
        assert metadata["parameters"]["contract"]["version"] == version
        assert len(metadata["inputs"]) == inputs


def test_a_client_of_version_1_is_answered_by_a_model_of_2(server: Server, tiny: Chain, v1: Older) -> None:
    """What it does not send counts as missing: the answers are those of the graph asked with NaN there."""
    rows = of_version_1(v1)
    found = asked(server, rows, version="2")
    (added,) = {feature["name"] for feature in GOLDEN[2]["features"]} - set(older.V1.names)
    expected = in_process(tiny.model, rows | {added: [None] * 50})
    for name in OUTPUTS:
        np.testing.assert_array_equal(np.array(found[name], dtype=np.float32), expected[name].ravel())
    assert found == asked(server, rows | {added: [None] * 50}, version="2")
    assert max(found["out_of_range"]) == 0.0


def test_a_model_of_version_1_is_served_as_before(server: Server, v1: Older) -> None:
    """The newer server answers for it what its graph answers."""
    rows = of_version_1(v1)
    found, expected = asked(server, rows, version="1"), in_process(v1.model, rows)
    for name in OUTPUTS:
        np.testing.assert_array_equal(np.array(found[name], dtype=np.float32), expected[name].ravel())


def test_the_same_request_goes_on_when_the_model_changes(server: Server, store: Store, v1: Older) -> None:
    """While the primary moves from a model of 1 to one of 2 and back, an old client's request needs no change."""
    rows = of_version_1(v1)
    answers = {}
    for version in ("1", "2", "1"):
        store.point(version, shadow="2" if version == "1" else "1")
        server.wait_for_version(version)
        answers[version] = asked(server, rows)
        assert answers[version] == asked(server, rows, version=version)
    assert answers["1"] != answers["2"]


def test_what_version_1_does_not_know_is_refused_by_its_name(server: Server, v1: Older) -> None:
    """A client of 2 that sends all it has to a model of 1 is told which input is unknown, and which are known."""
    (added,) = {feature["name"] for feature in GOLDEN[2]["features"]} - set(older.V1.names)
    body = {"inputs": [tensor(name, *values) for name, values in (of_version_1(v1, 1) | {added: [4.0]}).items()]}
    reply = server.infer(body, "/versions/1")
    assert reply.status == 400
    assert f"unknown name {added}" in reply.json["error"]
    assert older.V1.names[0] in reply.json["error"]


def test_a_truck_is_fit_for_version_2_alone(server: Server, v1: Older) -> None:
    """The class that only 2 knows gets the worst case and a flag from a model of 1."""
    truck = of_version_1(v1, 1) | {"vehicle_class": [4.0], "mass_estimate_kg": [9_000.0], "tyre_pressure_kpa": [800.0]}
    assert asked(server, truck, version="1")["out_of_range"] == [1.0]
    assert asked(server, truck, version="2")["out_of_range"] == [0.0]


@pytest.mark.parametrize("version", ["1", "2"])
def test_the_client_asks_what_is_published(version: str, server: Server, store: Store) -> None:
    """`brakeline-ask` reads the contract of the model that is served, and gets answers from either version."""
    store.point(version)
    server.wait_for_version(version)
    done = command("brakeline-ask", "--server", server.url, "--json")
    assert done.code == 0, done.stderr
    assert [line["speed_mph"] for line in json.loads(done.stdout)["highway_code"]] == [20, 30, 40, 50, 60, 70]
