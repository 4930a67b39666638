"""Where a single row's time goes in a model: its trees, the gathering of its inputs, the call itself, the rest."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper

CALLS, VARIED = 4_000, 512


def single_row(file: Path, rows: np.ndarray, names: list[str]) -> dict[str, float]:
    """Median time [µs] of a call with one row, by what is called; `rows` (N, F) in the order of `names`.

    The bare ensembles are the model's own trees of median and bound, each as one node on one tensor of all inputs.
    """
    model = onnx.load(file)
    trees = next(node for node in model.graph.node if node.op_type == "TreeEnsembleRegressor")
    concat = helper.make_node("Concat", names, ["x"], axis=1)
    whole, single = [("x", len(names))], [(name, 1) for name in names]
    pair = [_only(trees, 0, "a", drop_last=0), _only(trees, 1, "b", drop_last=2)]
    bare = _session(pair, whole, ["a", "b"])
    called = {
        "bare": _bound(bare, whole, rows),
        "model": _bound(_load(model), single, rows),
        "gathering": _bound(_session([concat], single, ["x"]), single, rows),
        "gathered": _bound(_session([concat, *pair], single, ["a", "b"]), single, rows),
        "nothing": _bound(_session([helper.make_node("Identity", ["x"], ["a"])], whole, ["a"]), whole, rows),
        "bare, fed": _fed(bare, whole, rows),
        "model, fed": _fed(_load(model), single, rows),
    }
    return {name: _p50(call) for name, call in called.items()}


def _only(trees: onnx.NodeProto, target: int, output: str, *, drop_last: int) -> onnx.NodeProto:
    """The trees of one target as a node of their own; the bound's last two are its offsets."""
    had = {attribute.name: helper.get_attribute_value(attribute) for attribute in trees.attribute}
    kept = {tree for tree, of in zip(had["target_treeids"], had["target_ids"], strict=True) if of == target}
    kept -= set(sorted(kept)[len(kept) - drop_last :])
    chosen: dict[str, Any] = {}
    for prefix, key in (("nodes_", "nodes_treeids"), ("target_", "target_treeids")):
        places = [place for place, tree in enumerate(had[key]) if tree in kept]
        chosen |= {name: [values[at] for at in places] for name, values in had.items() if name.startswith(prefix)}
    chosen["target_ids"] = [0] * len(chosen["target_ids"])
    base = [had["base_values"][target]]
    kind, domain = "TreeEnsembleRegressor", "ai.onnx.ml"
    return helper.make_node(kind, ["x"], [output], domain=domain, n_targets=1, base_values=base, **chosen)


def _session(nodes: list[onnx.NodeProto], inputs: list[tuple[str, int]], outputs: list[str]) -> ort.InferenceSession:
    given = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", width]) for name, width in inputs]
    told = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", None]) for name in outputs]
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("ai.onnx.ml", 3)]
    return _load(helper.make_model(helper.make_graph(nodes, "part", given, told), opset_imports=opsets, ir_version=9))


def _load(model: onnx.ModelProto) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _feeds(inputs: list[tuple[str, int]], rows: np.ndarray) -> list[dict[str, np.ndarray]]:
    """Rows that differ from call to call: one repeated row would teach the branch predictor."""
    chosen = [rows[[at % rows.shape[0]]] for at in range(VARIED)]
    if len(inputs) == 1:
        return [{"x": row} for row in chosen]
    return [{name: row[:, [at]] for at, (name, _) in enumerate(inputs)} for row in chosen]


def _fed(session: ort.InferenceSession, inputs: list[tuple[str, int]], rows: np.ndarray) -> Callable[[int], float]:
    names, feeds = [output.name for output in session.get_outputs()], _feeds(inputs, rows)

    def call(number: int) -> float:
        feed = feeds[number % VARIED]
        start = time.perf_counter_ns()
        session.run(names, feed)
        return time.perf_counter_ns() - start

    return call


def _bound(session: ort.InferenceSession, inputs: list[tuple[str, int]], rows: np.ndarray) -> Callable[[int], float]:
    """Inputs are written into memory that the session knows already, as a server does it; writing is not timed."""
    binding, feeds = session.io_binding(), _feeds(inputs, rows)
    values = {name: ort.OrtValue.ortvalue_from_numpy(value) for name, value in feeds[0].items()}
    for name, value in values.items():
        binding.bind_ortvalue_input(name, value)
    for output in session.get_outputs():
        binding.bind_output(output.name)

    def call(number: int) -> float:
        for name, value in feeds[number % VARIED].items():
            values[name].update_inplace(value)
        start = time.perf_counter_ns()
        session.run_with_iobinding(binding)
        return time.perf_counter_ns() - start

    return call


def _p50(call: Callable[[int], float]) -> float:
    return float(np.median([call(number) for number in range(CALLS)])) / 1e3
