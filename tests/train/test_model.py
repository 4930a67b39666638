"""The exported graph: it is the fitted model, and what it adds (offsets, envelope, fail-safe) is right."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import polars as pl
import pytest
from brakeline_train import calibrate, envelope, export, graph, quantiles, reference, rows
from brakeline_train.calibrate import Offsets
from brakeline_train.ensemble import Ensemble
from brakeline_train.quantiles import log_ratio
from numpy.typing import NDArray
from onnx import TensorProto, helper
from stepkit import contract as data_contract
from stepkit.contract import Contract

from tests.conftest import Chain

Inputs = NDArray[np.float32]


@pytest.fixture(scope="module")
def learned(tiny: Chain) -> tuple[rows.Rows, Contract]:
    return rows.read(tiny.dataset)


@pytest.fixture(scope="module")
def session(tiny: Chain) -> ort.InferenceSession:
    return ort.InferenceSession(tiny.model / "model.onnx", providers=["CPUExecutionProvider"])


def ask(session: ort.InferenceSession, inputs: Inputs) -> dict[str, Inputs]:
    names = [entry.name for entry in session.get_outputs()]
    feed = {entry.name: inputs[:, [index]] for index, entry in enumerate(session.get_inputs())}
    return {name: values.ravel() for name, values in zip(names, session.run(names, feed), strict=True)}


def test_of_a_large_dataset_whole_drives_are_kept(tiny: Chain, learned: tuple[rows.Rows, Contract]) -> None:
    """About as many rows as wanted, every drive whole or not at all, the same ones each time."""
    table, _ = learned
    some, _ = rows.read(tiny.dataset, most_rows=800)
    assert some.drive.size == pytest.approx(800, rel=0.2)
    kept = np.isin(table.drive, some.drive)
    assert np.array_equal(some.inputs, table.inputs[kept], equal_nan=True)
    assert np.array_equal(rows.read(tiny.dataset, most_rows=800)[0].drive, some.drive)


def test_no_drive_is_on_two_sides(learned: tuple[rows.Rows, Contract]) -> None:
    """The division holds back whole drives, a quarter of them, and the seed chooses which."""
    table, _ = learned
    fold, other = rows.divide_by_drive(table, 0), rows.divide_by_drive(table, 1)
    assert not set(fold.fit.drive) & set(fold.held.drive)
    assert np.unique(fold.held.drive).size == pytest.approx(0.25 * np.unique(table.drive).size, abs=1)
    assert set(fold.held.drive) != set(other.held.drive)


def test_steps_of_the_ensemble_are_the_step_function() -> None:
    """At edges, an ulp beside them, at both infinities and at NaN: exactly the table's value."""
    edges, values, missing = (-1.5, 0.0, 2.25), (10.0, 20.0, 30.0, 40.0), 7.0
    ensemble = Ensemble(targets=1)
    ensemble.add_steps(0, edges, values, missing, 0)
    points = [-np.inf, np.inf, np.nan, 1e30, -1e30]
    for edge in np.array(edges, dtype=np.float32):
        points += [edge, np.nextafter(edge, np.float32(np.inf)), np.nextafter(edge, np.float32(-np.inf))]
    x = np.array(points, dtype=np.float32).reshape(-1, 1)
    wanted = np.where(np.isnan(x[:, 0]), missing, np.array(values)[np.searchsorted(edges, x[:, 0], side="left")])
    assert run_alone(ensemble, x).tolist() == wanted.tolist()


def test_a_converted_booster_branches_as_the_estimator_does(learned: tuple[rows.Rows, Contract]) -> None:
    """On every threshold and an ulp beside it, the ONNX trees give the estimator's sum of leaves."""
    table, contract = learned
    pair = quantiles.fit(table, contract, {**quantiles.DEFAULTS, "max_iter": 30}, 0)
    ensemble = Ensemble(targets=1)
    ensemble.add_booster(pair.median, pair.columns, 0)
    x = np.repeat(table.inputs[:1], 0, axis=0)
    for (predictor,) in pair.median._predictors:
        for node in predictor.nodes[predictor.nodes["is_leaf"] == 0]:
            edge = np.float32(node["num_threshold"])
            near = [np.nextafter(edge, np.float32(-np.inf)), edge, np.nextafter(edge, np.float32(np.inf))]
            moved = np.repeat(table.inputs[[len(x) % len(table.inputs)]], 3, axis=0)
            moved[:, pair.columns[node["feature_idx"]]] = near
            x = np.vstack([x, moved])
    assert run_alone(ensemble, x) == pytest.approx(pair.median.predict(x[:, list(pair.columns)]), abs=1e-5)


def run_alone(ensemble: Ensemble, x: Inputs) -> Inputs:
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, None]) for name in ("x", "y")]
    body = helper.make_graph([ensemble.node("x", "y")], "alone", tensors[:1], tensors[1:])
    opsets = [helper.make_opsetid("", graph.OPSET), helper.make_opsetid("ai.onnx.ml", graph.ML_OPSET)]
    model = helper.make_model(body, opset_imports=opsets, ir_version=graph.IR_VERSION)
    alone = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found: Inputs = alone.run(None, {"x": x})[0].ravel()
    return found


def test_offsets_make_the_bound_hold_per_bin() -> None:
    """A bound that is too short by a known amount in one bin and missing readings gets exactly that back."""
    rng = np.random.default_rng(0)
    friction = np.where(np.arange(40_000) % 4 == 0, np.nan, rng.uniform(0.05, 1.2, 40_000)).astype(np.float32)
    number = calibrate.bins_of(friction)
    noise = rng.normal(size=friction.size) + number
    for k in range(len(calibrate.FRICTION_EDGES) + 2):
        offset = calibrate._conformal_quantile(noise[number == k])
        assert np.mean(noise[number == k] <= offset) == pytest.approx(0.99, abs=1e-3)
        assert offset == pytest.approx(2.326 + k, abs=0.25)


def test_the_graph_applies_the_offset_of_the_bin(learned: tuple[rows.Rows, Contract], tmp_path: Path) -> None:
    """Moving one bin's offset by log 2 doubles that bin's bounds and no other's."""
    table, contract = learned
    pair = quantiles.fit(table, contract, {**quantiles.DEFAULTS, "max_iter": 10}, 0)
    bins = len(calibrate.FRICTION_EDGES) + 1
    plain, moved = (Offsets(calibrate.FRICTION_EDGES, tuple(np.log(2.0) * (k == at) + 1.0 for k in range(bins)), 1.0)
                    for at in (-1, 3))  # fmt: skip
    seen = envelope.seen_in(table.inputs)
    inputs = {name: table.inputs[:, index] for index, name in enumerate(contract.names)}
    one, two = (export.run(graph.build(pair, offsets, seen, contract), inputs) for offsets in (plain, moved))
    ratio = two["stopping_distance_upper_m"] / one["stopping_distance_upper_m"]
    number = calibrate.bins_of(inputs[contract.by_role("friction").name])
    assert ratio[number == 3] == pytest.approx(2.0, rel=1e-5)
    assert ratio[number != 3] == pytest.approx(1.0, rel=1e-5)


def test_a_class_left_short_gets_an_offset_of_its_own(learned: tuple[rows.Rows, Contract]) -> None:
    """Rows whose class is made to stop longer: only its bound grows, in the estimators' sum and in the graph alike."""
    table, contract = learned
    pair = quantiles.fit(table, contract, {**quantiles.DEFAULTS, "max_iter": 10}, 0)
    kind = table.inputs[:, contract.names.index(contract.by_role("vehicle_class").name)]
    slower = replace(table, distance_m=np.where(kind == 2, 3.0 * table.distance_m, table.distance_m))
    offsets = calibrate.calibrate(pair, slower, contract)
    assert len(offsets.by_class) == 5
    assert min(offsets.by_class) >= 0.0
    short = log_ratio(slower, contract) - pair.log_ratios(table.inputs)[1]
    for k in range(3):
        missed = short[kind == k] > offsets.of(table.inputs[kind == k], contract)
        assert missed.mean() <= 0.0101
    seen = envelope.seen_in(table.inputs)
    inputs = {name: table.inputs[:, index] for index, name in enumerate(contract.names)}
    plain = replace(offsets, by_class=(0.0,) * 5)
    moved = replace(offsets, by_class=(0.0, 0.0, float(np.log(2.0)), 0.0, 0.0))
    one, two = (export.run(graph.build(pair, each, seen, contract), inputs) for each in (plain, moved))
    fit = one["out_of_range"] == 0
    ratio = (two["stopping_distance_upper_m"] / one["stopping_distance_upper_m"])[fit]
    assert ratio[kind[fit] == 2] == pytest.approx(2.0, rel=1e-4)
    assert ratio[kind[fit] != 2] == pytest.approx(1.0, rel=1e-5)


def test_unfit_inputs_get_the_worst_case_and_the_flag(
    session: ort.InferenceSession, learned: tuple[rows.Rows, Contract]
) -> None:
    """Each way to break the contract raises the flag and gives d_worst at the measured or highest speed."""
    table, contract = learned
    row = table.inputs[[5]]
    speed = contract.names.index(contract.by_role("speed").name)
    top = contract.by_role("speed").high
    for column, feature in enumerate(contract.features):
        bad = [np.nextafter(np.float32(feature.high), np.float32(np.inf)), np.inf, -np.inf, feature.low - 1.0]
        for value in bad + ([] if feature.missing_allowed else [np.nan]):
            broken = row.copy()
            broken[0, column] = value
            answers = ask(session, broken)
            measured = broken[0, speed]
            certain = np.float32(measured if measured >= 0 else top)
            worst = reference.worst_distance_m(np.array([certain], dtype=np.float32))
            assert answers["out_of_range"] == 1.0, (feature.name, value)
            assert answers["stopping_distance_m"] == pytest.approx(worst), (feature.name, value)
            assert answers["stopping_distance_upper_m"] == pytest.approx(worst), (feature.name, value)


def test_values_on_the_edge_of_the_contract_are_fit(
    session: ort.InferenceSession, learned: tuple[rows.Rows, Contract]
) -> None:
    """Exactly low and exactly high are allowed, and so is a missing reading where the contract says so."""
    table, contract = learned
    for column, feature in enumerate(contract.features):
        values = [feature.low, feature.high] + ([np.nan] if feature.missing_allowed else [])
        for value in values:
            row = table.inputs[[5]].copy()
            row[0, column] = value
            assert ask(session, row)["out_of_range"] == 0.0, (feature.name, value)


def test_required_deceleration_is_kinematics(
    session: ort.InferenceSession, learned: tuple[rows.Rows, Contract]
) -> None:
    """Closing at 20 m/s on 40 m needs 20²/(2·40) = 5 m/s²; opening needs none; nothing ahead is NaN."""
    table, contract = learned
    inputs = np.repeat(table.inputs[[5]], 3, axis=0)
    gap, rate = (contract.names.index(contract.by_role(role).name) for role in ("range", "range_rate"))
    inputs[:, gap], inputs[:, rate] = [40.0, 40.0, np.nan], [-20.0, 3.0, -20.0]
    found = ask(session, inputs)["required_deceleration_mps2"]
    assert found[:2].tolist() == [5.0, 0.0]
    assert np.isnan(found[2])


def test_surprise_grows_beyond_the_training_data(
    session: ort.InferenceSession, learned: tuple[rows.Rows, Contract]
) -> None:
    """Usual rows score near 0, a reading beyond all of training at least 3."""
    table, contract = learned
    assert np.median(ask(session, table.inputs)["ood_score"]) == 0.0
    hot = table.inputs[:50].copy()
    hot[:, contract.names.index(contract.by_role("disc_temperature").name)] = 890.0
    assert np.all(ask(session, hot)["ood_score"] >= 3.0)


def test_batches_answer_as_single_rows(session: ort.InferenceSession, learned: tuple[rows.Rows, Contract]) -> None:
    """A row's answer does not depend on the rows that come with it."""
    table, _ = learned
    batch = ask(session, table.inputs[:100])
    for index in range(100):
        for name, values in ask(session, table.inputs[[index]]).items():
            assert values.tobytes() == batch[name][[index]].tobytes()


def test_the_artifact_carries_all_that_a_server_needs(tiny: Chain) -> None:
    """Contract, outputs, golden request and lineage in the model's own metadata, keys in order."""
    model = onnx.load(tiny.model / "model.onnx")
    onnx.checker.check_model(model)
    keys = [entry.key for entry in model.metadata_props]
    assert keys == sorted(keys)
    properties = {entry.key: entry.value for entry in model.metadata_props}
    contract = data_contract.parse(properties["brakeline.contract"])
    assert [entry.name for entry in model.graph.input] == contract.names
    assert {entry.name for entry in model.graph.output} == json.loads(properties["brakeline.outputs"]).keys()
    golden = json.loads(properties["brakeline.golden"])
    assert golden == json.loads((tiny.model / "golden.json").read_text())
    assert golden["outputs"]["out_of_range"] == [0.0, 0.0, 1.0]
    training = json.loads(properties["brakeline.training"])
    assert len(training["dataset_sha256"]) == 64
    distribution = json.loads(properties["brakeline.distribution"])
    assert list(distribution) == sorted(contract.names)
    for told in distribution.values():
        assert sum(told["counts"]) + told["missing"] == training["fit_rows"]


def test_probe_rows_hold_the_estimators_answers(tiny: Chain, session: ort.InferenceSession) -> None:
    """Parity can be checked from the artifact alone, without pickles."""
    probes = pl.read_parquet(tiny.model / "probes.parquet")
    names = [entry.name for entry in session.get_inputs()]
    answers = ask(session, probes.select(names).to_numpy().astype(np.float32))
    for name in ("stopping_distance_m", "stopping_distance_upper_m"):
        assert answers[name] == pytest.approx(probes[name].to_numpy(), rel=export.PARITY_TOLERANCE)


def test_a_graph_that_differs_from_the_estimators_is_not_written(tiny: Chain, tmp_path: Path) -> None:
    """Failed parity fails the export, and nothing appears."""
    model = onnx.load(tiny.model / "model.onnx")
    probes = pl.read_parquet(tiny.model / "probes.parquet")
    columns = {name: probes[name].to_numpy().copy() for name in probes.columns}
    columns["stopping_distance_m"] *= np.float32(1.001)
    contract = data_contract.parse({entry.key: entry.value for entry in model.metadata_props}["brakeline.contract"])
    with pytest.raises(export.ParityError, match="differs"):
        export.write(tmp_path / "model", model, columns, contract, {}, {})
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("name", ["stopping_distance_m", "stopping_distance_upper_m"])
def test_a_probe_without_a_number_is_no_parity(name: str, tiny: Chain, tmp_path: Path) -> None:
    """An estimator that has no answer to one probe row fails the export as a wrong answer does."""
    model = onnx.load(tiny.model / "model.onnx")
    probes = pl.read_parquet(tiny.model / "probes.parquet")
    columns = {column: probes[column].to_numpy().copy() for column in probes.columns}
    columns[name][7] = np.nan
    contract = data_contract.parse({entry.key: entry.value for entry in model.metadata_props}["brakeline.contract"])
    with pytest.raises(export.ParityError, match="nan"):
        export.write(tmp_path / "model", model, columns, contract, {}, {})
    assert not (tmp_path / "model").exists()
