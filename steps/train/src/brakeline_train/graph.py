"""The one ONNX graph: named raw sensor inputs to named outputs, with calibration and fail-safe inside.

    distance = d_ref exp(median),  upper = max(distance, d_upper_ref exp(upper quantile + offset))   fit inputs
    distance = upper = d_worst                                                                 unfit inputs

Unfit is: outside the contract's ranges, missing where nothing may be, or readings that cannot all be true. Every input
and output is a float32 tensor (N, 1); NaN is a missing reading. All that is a lookup is one tree ensemble, and what is
computed for several outputs is computed side by side in the columns of one tensor: a node costs more than its numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from stepkit.contract import Contract

from brakeline_train import envelope, reference
from brakeline_train.calibrate import Offsets
from brakeline_train.ensemble import Ensemble
from brakeline_train.envelope import Seen
from brakeline_train.quantiles import QuantilePair

OPSET, ML_OPSET, IR_VERSION = 20, 3, 9

OUTPUTS: dict[str, tuple[str, str]] = {
    "stopping_distance_m": ("m", "Median of the way to standstill"),
    "stopping_distance_upper_m": ("m", "Bound that holds for 99 of 100 stops; the worst case for unfit inputs"),
    "deceleration_lower_mps2": ("m/s²", "Mean deceleration that goes with the bound, v²/(2 upper)"),
    "required_deceleration_mps2": ("m/s²", "Closing speed²/(2 gap) to the object ahead; NaN without one"),
    "ood_score": ("1", "How unlike the training data: 0 usual, 3 and more beyond it"),
    "out_of_range": ("1", "1 where the inputs cannot be trusted and the worst case is given"),
}
_MEDIAN, _UPPER, _VIOLATIONS, _SURPRISE = range(4)
_LEAST_GAP_M = 0.1


@dataclass
class _Graph:
    """Nodes in the order they are written; each helper returns the name of its result."""

    nodes: list[NodeProto] = field(default_factory=list)
    constants: dict[str, np.ndarray] = field(default_factory=dict)

    def op(self, kind: str, *inputs: str | float | Sequence[float], name: str = "", **attributes: object) -> str:
        names = [value if isinstance(value, str) else self.constant(value) for value in inputs]
        result = name or f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, names, [result], **attributes))
        return result

    def split(self, tensor: str, widths: Sequence[int], results: Sequence[str]) -> None:
        sizes = self._keep("i_" + "_".join(map(str, widths)), np.array(widths, dtype=np.int64))
        self.nodes.append(helper.make_node("Split", [tensor, sizes], list(results), axis=1))

    def constant(self, value: float | Sequence[float]) -> str:
        numbers = np.array(value, dtype=np.float32)
        return self._keep(
            "c_" + "_".join(map(str, numbers.ravel())), numbers.reshape(1, -1) if numbers.ndim else numbers
        )

    def _keep(self, name: str, value: np.ndarray) -> str:
        self.constants[name] = value
        return name


def build(pair: QuantilePair, offsets: Offsets, seen: Sequence[Seen | None], contract: Contract) -> ModelProto:
    """Put the fitted parts together. The bytes of the model depend on the arguments alone."""
    graph = _Graph()
    speed, closing, gap = (contract.by_role(role).name for role in ("speed", "range_rate", "range"))
    matrix = graph.op("Concat", *contract.names, axis=1)
    graph.nodes.append(_lookup(pair, offsets, seen, contract).node(matrix, "lookup"))
    graph.split("lookup", (2, 1, 1), ("logs", "violations", "ood_score"))
    unfit = graph.op("Greater", "violations", 0.5)
    _stops(graph, speed, contract.by_role("speed").high)
    learned = graph.op("Mul", graph.op("Exp", "logs"), "references")
    graph.split(graph.op("Where", unfit, "worst", learned), (1, 1), ("stopping_distance_m", "raw_upper"))
    graph.op("Max", "raw_upper", "stopping_distance_m", name="stopping_distance_upper_m")
    graph.op("Div", "half_square", "stopping_distance_upper_m", name="deceleration_lower_mps2")
    closing_mps = graph.op("Min", closing, 0.0)
    per_gap = graph.op("Div", closing_mps, graph.op("Max", gap, _LEAST_GAP_M))
    graph.op("Mul", graph.op("Mul", per_gap, 0.5), closing_mps, name="required_deceleration_mps2")
    graph.op("Cast", unfit, name="out_of_range", to=TensorProto.FLOAT)
    return _model(graph, contract)


def _stops(graph: _Graph, speed: str, highest_mps: float) -> None:
    """Both references, `reference.worst_distance_m` and v²/2 side by side: (a v + b) v in four columns.

    Where the speed is no speed (missing, negative), the contract's highest stands in for it.
    """
    certain = graph.op("Where", graph.op("GreaterOrEqual", speed, 0.0), speed, highest_mps)
    # Clip has its bounds in one node; NaN is gone by now.
    v = graph.op("Clip", certain, reference.LEAST_SPEED_MPS, reference.MOST_SPEED_MPS)
    usual = 0.5 / reference.DECELERATION_MPS2
    factors = (usual, usual, 0.5 / reference.WORST_DECELERATION_MPS2, 0.5)
    delays = (reference.RESPONSE_TIME_S, reference.UPPER_RESPONSE_TIME_S, reference.WORST_RESPONSE_TIME_S, 0.0)
    slopes = graph.op("Add", graph.op("Mul", v, factors), delays)
    graph.split(graph.op("Mul", slopes, v), (2, 1, 1), ("references", "worst", "half_square"))


def _lookup(pair: QuantilePair, offsets: Offsets, seen: Sequence[Seen | None], contract: Contract) -> Ensemble:
    lookup = Ensemble(targets=4)
    lookup.add_booster(pair.median, pair.columns, _MEDIAN)
    lookup.add_booster(pair.upper, pair.columns, _UPPER)
    friction = contract.names.index(contract.by_role("friction").name)
    edges = [float(np.float32(edge)) for edge in offsets.edges]
    lookup.add_steps(friction, edges, offsets.by_bin, offsets.if_missing, _UPPER)
    kind = contract.names.index(contract.by_role("vehicle_class").name)
    lookup.add_steps(kind, offsets.class_edges.tolist(), offsets.by_class, max(offsets.by_class), _UPPER)
    envelope.add_range_violations(lookup, contract, _VIOLATIONS)
    envelope.add_impossible(lookup, contract, _VIOLATIONS)
    envelope.add_surprise(lookup, list(seen), _SURPRISE)
    return lookup


def _model(graph: _Graph, contract: Contract) -> ModelProto:
    def tensors(names: Sequence[str]) -> list[object]:
        return [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", 1]) for name in names]

    constants = [numpy_helper.from_array(value, name) for name, value in sorted(graph.constants.items())]
    body = helper.make_graph(graph.nodes, "brakeline", tensors(contract.names), tensors(list(OUTPUTS)), constants)
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
    return helper.make_model(body, opset_imports=opsets, ir_version=IR_VERSION, producer_name="brakeline-train")
