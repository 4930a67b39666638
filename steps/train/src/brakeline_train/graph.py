"""The one ONNX graph: named raw sensor inputs to named outputs, with calibration and fail-safe inside.

    distance = d_ref exp(median),  upper = d_ref exp(max(median, upper quantile + offset))     fit inputs
    distance = upper = d_worst                                                                 unfit inputs

Unfit is: outside the contract's ranges, or missing where nothing may be. Every input and output is a float32
tensor (N, 1); NaN is a missing reading.
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
    "out_of_range": ("1", "1 where the inputs break the contract and the worst case is given"),
}
_MEDIAN, _UPPER, _VIOLATIONS, _SURPRISE = range(4)
_LEAST_GAP_M = 0.1


@dataclass
class _Graph:
    """Nodes in the order they are written; each helper returns the name of its result."""

    nodes: list[NodeProto] = field(default_factory=list)
    constants: dict[str, np.ndarray] = field(default_factory=dict)

    def op(self, kind: str, *inputs: str | float, name: str = "", **attributes: object) -> str:
        names = [self.constant(value) if isinstance(value, float) else value for value in inputs]
        result = name or f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, names, [result], **attributes))
        return result

    def constant(self, value: float) -> str:
        name = f"c_{np.float32(value)!s}"
        self.constants[name] = np.array(value, dtype=np.float32)
        return name


def build(pair: QuantilePair, offsets: Offsets, seen: Sequence[Seen | None], contract: Contract) -> ModelProto:
    """Put the fitted parts together. The bytes of the model depend on the arguments alone."""
    graph = _Graph()
    speed, friction, grade, closing, gap = (
        contract.by_role(role).name for role in ("speed", "friction", "grade", "range_rate", "range")
    )
    matrix = graph.op("Concat", *contract.names, axis=1)
    lookup = _lookup(pair, offsets, seen, contract)
    graph.nodes.append(lookup.node(matrix, "lookup"))
    targets = [f"lookup_{number}" for number in range(lookup.targets)]
    graph.nodes.append(helper.make_node("Split", ["lookup"], targets, axis=1, num_outputs=lookup.targets))
    ref = _reference(graph, speed, friction, grade)
    unfit = graph.op("Greater", targets[_VIOLATIONS], 0.5)
    worst = _worst(graph, speed, contract)
    bound_log = graph.op("Max", targets[_UPPER], targets[_MEDIAN])
    for log, output in ((targets[_MEDIAN], "stopping_distance_m"), (bound_log, "stopping_distance_upper_m")):
        learned = graph.op("Mul", ref, graph.op("Exp", log))
        graph.op("Where", unfit, worst, learned, name=output)
    square = graph.op("Mul", speed, speed)
    double = graph.op("Mul", "stopping_distance_upper_m", 2.0)
    graph.op("Div", square, double, name="deceleration_lower_mps2")
    closing_mps = graph.op("Max", graph.op("Neg", closing), 0.0)
    room = graph.op("Mul", graph.op("Max", gap, _LEAST_GAP_M), 2.0)
    graph.op("Div", graph.op("Mul", closing_mps, closing_mps), room, name="required_deceleration_mps2")
    graph.op("Identity", targets[_SURPRISE], name="ood_score")
    graph.op("Cast", unfit, name="out_of_range", to=TensorProto.FLOAT)
    return _model(graph, contract)


def _lookup(pair: QuantilePair, offsets: Offsets, seen: Sequence[Seen | None], contract: Contract) -> Ensemble:
    lookup = Ensemble(targets=4)
    lookup.add_booster(pair.median, pair.columns, _MEDIAN)
    lookup.add_booster(pair.upper, pair.columns, _UPPER)
    friction = contract.names.index(contract.by_role("friction").name)
    edges = [float(np.float32(edge)) for edge in offsets.edges]
    lookup.add_steps(friction, edges, offsets.by_bin, offsets.if_missing, _UPPER)
    envelope.add_range_violations(lookup, contract, _VIOLATIONS)
    envelope.add_surprise(lookup, list(seen), _SURPRISE)
    return lookup


def _reference(graph: _Graph, speed: str, friction: str, grade: str) -> str:
    """`reference.reference_distance_m`, operation by operation in the same order."""
    known = graph.op("Where", graph.op("IsNaN", friction), reference.FRICTION_IF_MISSING, friction)
    mu = graph.op("Min", graph.op("Max", known, reference.FRICTION_LOW), reference.FRICTION_HIGH)
    slope = graph.op("Where", graph.op("IsNaN", grade), 0.0, grade)
    by_mu = graph.op("Mul", mu, reference.UTILISATION * reference.GRAVITY_MPS2)
    by_tyre = graph.op("Add", by_mu, graph.op("Mul", slope, reference.GRAVITY_MPS2))
    twice = graph.op("Mul", graph.op("Max", by_tyre, reference.LEAST_DECELERATION_MPS2), 2.0)
    braking = graph.op("Div", graph.op("Mul", speed, speed), twice)
    whole = graph.op("Add", graph.op("Mul", speed, reference.RESPONSE_TIME_S), braking)
    return graph.op("Max", whole, 1e-3)


def _worst(graph: _Graph, speed: str, contract: Contract) -> str:
    """`reference.worst_distance_m` at the measured speed, or at the contract's highest if that is not one."""
    limits = contract.by_role("speed")
    usable = graph.op("GreaterOrEqual", speed, limits.low)
    certain = graph.op("Where", usable, speed, limits.high)
    reach = graph.op("Mul", certain, reference.WORST_RESPONSE_TIME_S)
    braking = graph.op("Div", graph.op("Mul", certain, certain), 2.0 * reference.WORST_DECELERATION_MPS2)
    return graph.op("Add", reach, braking)


def _model(graph: _Graph, contract: Contract) -> ModelProto:
    def tensors(names: Sequence[str]) -> list[object]:
        return [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", 1]) for name in names]

    constants = [numpy_helper.from_array(value, name) for name, value in sorted(graph.constants.items())]
    body = helper.make_graph(graph.nodes, "brakeline", tensors(contract.names), tensors(list(OUTPUTS)), constants)
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
    return helper.make_model(body, opset_imports=opsets, ir_version=IR_VERSION, producer_name="brakeline-train")
