"""The model artifact: the graph with its metadata, a golden request, and probe rows with the estimators' answers."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import polars as pl
from numpy.typing import NDArray
from stepkit import artifacts, tables
from stepkit import contract as data_contract
from stepkit.contract import Contract
from stepkit.errors import StepError
from stepkit.verdict import MODEL_FILE

from brakeline_train import envelope, graph, quantiles, reference
from brakeline_train.calibrate import Offsets
from brakeline_train.distribution import Histogram
from brakeline_train.quantiles import QuantilePair
from brakeline_train.rows import Rows

PROBES_FILE, GOLDEN_FILE = "probes.parquet", "golden.json"
# Probed on so many rows at every export; some of them stay in the artifact, so that others can probe it again.
PROBE_ROWS, KEPT_PROBE_ROWS = 100_000, 20_000
# float32 sums of some hundred leaves against float64: a few 1e-6; a wrong branch shows as 1e-3 and more.
PARITY_TOLERANCE = 1e-4


class ParityError(StepError):
    """The exported graph does not answer as the fitted estimators do: a bug, never the data's fault."""


def write(
    folder: Path,
    model: onnx.ModelProto,
    probes: dict[str, NDArray[np.float32]],
    contract: Contract,
    training: dict[str, Any],
    distribution: dict[str, Histogram],
) -> float:
    """Write model, probe rows and golden request into `folder`; returns the worst relative difference at parity.

    Raises ParityError beyond PARITY_TOLERANCE, and where either answer is no number.
    """
    answers = run(model, {name: probes[name] for name in contract.names})
    compared = ("stopping_distance_m", "stopping_distance_upper_m")
    with np.errstate(divide="ignore", invalid="ignore"):
        off = [np.abs(answers[name] - probes[name]) / np.abs(probes[name]) for name in compared]
    # One maximum over all, which keeps a NaN: Python's max() may drop it.
    worst = float(np.max(np.concatenate(off)))
    if not worst <= PARITY_TOLERANCE:
        raise ParityError(f"the graph differs from the estimators by {worst:.2e}, allowed {PARITY_TOLERANCE:.0e}")
    request = golden(model, contract, probes)
    _describe(model, contract, {"golden": request, "training": training, "distribution": distribution})
    folder.mkdir(parents=True)
    artifacts.write_json(folder / GOLDEN_FILE, request)
    with artifacts.writing(folder / MODEL_FILE):
        (folder / MODEL_FILE).write_bytes(model.SerializeToString(deterministic=True))
    kept = pl.DataFrame(probes).gather_every(PROBE_ROWS // KEPT_PROBE_ROWS)
    tables.write_parquet(folder / PROBES_FILE, kept)
    return worst


def probe_rows(pair: QuantilePair, offsets: Offsets, held: Rows, contract: Contract) -> dict[str, NDArray[np.float32]]:
    """PROBE_ROWS rows with the estimators' own answers (N,): of each pair of rows one as drawn, one at a threshold.

    Drawn are held-out rows, and once those are used up, readings of different rows mixed. At a threshold means that one
    reading equals a tree's threshold, or is the float32 next to it on either side.
    """
    rng = np.random.default_rng(held.drive.size)
    inputs = _drawn(rng, held.inputs)
    for at, (column, threshold) in enumerate(_thresholds(pair, rng, PROBE_ROWS // 2)):
        feature, exact = contract.features[column], np.float32(threshold)
        value = (exact, np.nextafter(exact, np.float32(-np.inf)), np.nextafter(exact, np.float32(np.inf)))[at % 3]
        if feature.low <= value <= feature.high:
            inputs[2 * at + 1, column] = value
    median, upper = pair.log_ratios(inputs)
    logs = {
        "stopping_distance_m": median,
        "stopping_distance_upper_m": np.maximum(upper + offsets.of(inputs, contract), median),
    }
    ref = quantiles.reference_of(inputs, contract).astype(np.float64)
    worst = reference.worst_distance_m(inputs[:, contract.names.index(contract.by_role("speed").name)])
    # Drawn rows keep the contract, but faults and mixing make readings that cannot all be true.
    unfit = envelope.impossible(inputs, contract)
    answers = {name: np.where(unfit, worst, ref * np.exp(log)) for name, log in logs.items()}
    columns = {name: inputs[:, index] for index, name in enumerate(contract.names)}
    return columns | {name: values.astype(np.float32) for name, values in answers.items()}


def _drawn(rng: np.random.Generator, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """PROBE_ROWS rows: each row once, in random order; then each reading from a row of its own."""
    rows, features = inputs.shape
    once = rng.permutation(rows)[:PROBE_ROWS]
    mixed = rng.integers(0, rows, (PROBE_ROWS - once.size, features))
    return np.concatenate([inputs[once], np.take_along_axis(inputs, mixed, axis=0)])


def golden(model: onnx.ModelProto, contract: Contract, probes: dict[str, NDArray[np.float32]]) -> dict[str, Any]:
    """A small request and its answers, by which a server or a deployment proves that it serves this model.

    Two ordinary rows and one that must raise the fail-safe. NaN travels as null.
    """
    matrix = np.stack([probes[name] for name in contract.names], axis=1)
    fit = np.flatnonzero(~envelope.impossible(matrix, contract))[:2]
    inputs = {name: probes[name][[*fit, 0]] for name in contract.names}
    inputs[contract.by_role("speed").name][2] = np.nan
    answers = run(model, inputs)
    return {
        "inputs": {name: [_or_null(value) for value in values] for name, values in inputs.items()},
        "outputs": {name: [_or_null(value) for value in values] for name, values in answers.items()},
    }


def run(model: onnx.ModelProto, inputs: dict[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """Answers of the graph on one thread, arrays of shape (N,)."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    found = session.run(names, {name: values.reshape(-1, 1) for name, values in inputs.items()})
    return {name: values.ravel() for name, values in zip(names, found, strict=True)}


def _describe(model: onnx.ModelProto, contract: Contract, told: dict[str, object]) -> None:
    outputs = {name: {"unit": unit, "description": told} for name, (unit, told) in graph.OUTPUTS.items()}
    properties = {
        data_contract.METADATA_KEY: contract.to_json(),
        "brakeline.outputs": _canonical(outputs),
        **{f"brakeline.{name}": _canonical(value) for name, value in told.items()},
    }
    del model.metadata_props[:]
    for key, value in sorted(properties.items()):
        model.metadata_props.add(key=key, value=value)


def _thresholds(pair: QuantilePair, rng: np.random.Generator, wanted: int) -> list[tuple[int, float]]:
    found: list[tuple[int, float]] = []
    for booster in (pair.median, pair.upper):
        for (predictor,) in booster._predictors:
            nodes = predictor.nodes[predictor.nodes["is_leaf"] == 0]
            columns = [pair.columns[index] for index in nodes["feature_idx"]]
            found += zip(columns, nodes["num_threshold"].tolist(), strict=True)
    finite = [entry for entry in found if np.isfinite(entry[1])]
    return [finite[index] for index in rng.integers(0, len(finite), wanted)] if finite else []


def _or_null(value: np.float32) -> float | None:
    return float(value) if np.isfinite(value) else None


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
