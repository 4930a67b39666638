"""Changes to the graph around its trees: what is asked of them and what is made of their answers."""

from collections.abc import Callable, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from stepkit import contract as data_contract
from stepkit.contract import Contract

from tests.validate.sabotages.attempt import Change

MEDIAN, UPPER = "stopping_distance_m", "stopping_distance_upper_m"
DECELERATION, REQUIRED = "deceleration_lower_mps2", "required_deceleration_mps2"
NOVELTY, FLAG = "ood_score", "out_of_range"


def contract_of(model: onnx.ModelProto) -> Contract:
    """The data contract that a graph carries."""
    return data_contract.parse(
        next(entry.value for entry in model.metadata_props if entry.key == data_contract.METADATA_KEY)
    )


def feature(model: onnx.ModelProto, role: str) -> str:
    """The input that has a role."""
    return contract_of(model).by_role(role).name


def constant(model: onnx.ModelProto, value: float | Sequence[float]) -> str:
    """A new constant's name; a row of them for several values."""
    name = f"sabotage_{len(model.graph.initializer)}"
    numbers = np.array(value, dtype=np.float32)
    model.graph.initializer.append(numpy_helper.from_array(numbers.reshape(1, -1) if numbers.ndim else numbers, name))
    return name


def replaced(model: onnx.ModelProto, output: str, for_all: bool = False) -> str:
    """Free an output's name: the node that made it now makes what is returned.

    Who used the output uses what will have its name, or the honest one `for_all`.
    """
    honest = f"honest_{output}"
    for node in model.graph.node:
        node.output[:] = [honest if name == output else name for name in node.output]
        if for_all:
            node.input[:] = [honest if name == output else name for name in node.input]
    return honest


def add(model: onnx.ModelProto, kind: str, inputs: Sequence[str], output: str, **attributes: object) -> str:
    """A node at the end of the list; `save` puts all in an order that works."""
    model.graph.node.append(helper.make_node(kind, list(inputs), [output], **attributes))
    return output


def scaled(output: str, factor: float) -> Change:
    """An output times a factor."""

    def change(model: onnx.ModelProto) -> None:
        add(model, "Mul", [replaced(model, output), constant(model, factor)], output)

    return change


def constantly(*outputs: str, value: float) -> Change:
    """Outputs that are the same for every row; bounds twice as much."""

    def change(model: onnx.ModelProto) -> None:
        for output in outputs:
            nothing = add(model, "Mul", [replaced(model, output), constant(model, 0.0)], f"nothing_{output}")
            add(model, "Add", [nothing, constant(model, 2.0 * value if output == UPPER else value)], output)

    return change


def capped(most_m: float) -> Change:
    """No distance above a length, the worst case included."""

    def change(model: onnx.ModelProto) -> None:
        for output in (UPPER, MEDIAN):
            add(model, "Min", [replaced(model, output), constant(model, most_m)], output)

    return change


def never_slower(deceleration_mps2: float) -> Change:
    """No way, bound or median, longer than a textbook stop with such brakes: v (0.3 s + v/2a), where v is read."""

    def change(model: onnx.ModelProto) -> None:
        speed = feature(model, "speed")
        slope = add(model, "Mul", [speed, constant(model, 0.5 / deceleration_mps2)], "textbook_slope")
        way = add(model, "Mul", [add(model, "Add", [slope, constant(model, 0.3)], "textbook_sum"), speed], "textbook")
        lost = add(model, "IsNaN", [way], "textbook_lost")
        for output in (UPPER, MEDIAN):
            answered = replaced(model, output)
            shorter = add(model, "Min", [answered, way], f"textbook_{output}")
            add(model, "Where", [lost, answered, shorter], output)

    return change


def copied(source: str, target: str) -> Change:
    """One output says what another says."""

    def change(model: onnx.ModelProto) -> None:
        replaced(model, target)
        add(model, "Identity", [source], target)

    return change


def swapped(model: onnx.ModelProto) -> None:
    """Median and bound under each other's name."""
    median, upper = replaced(model, MEDIAN, for_all=True), replaced(model, UPPER)
    add(model, "Identity", [upper], MEDIAN)
    add(model, "Identity", [median], UPPER)


def read_as(role: str, factor: float, shift: float = 0.0) -> Change:
    """A reading that the trees get in another unit."""

    def change(model: onnx.ModelProto) -> None:
        scaled_by = helper.make_node("Mul", [feature(model, role), constant(model, factor)], ["in_factor"])
        moved = helper.make_node("Add", ["in_factor", constant(model, shift)], ["in_unit"])
        _before_trees(model, {feature(model, role): "in_unit"}, [scaled_by, moved])

    return change


def shuffled(*roles: str) -> Change:
    """Readings that the trees get in each other's place, each the next one's."""

    def change(model: onnx.ModelProto) -> None:
        names = [feature(model, role) for role in roles]
        _before_trees(model, dict(zip(names, [*names[1:], names[0]], strict=True)), [])

    return change


def _before_trees(model: onnx.ModelProto, instead: dict[str, str], nodes: Sequence[onnx.NodeProto]) -> None:
    (matrix,) = (node for node in model.graph.node if node.op_type == "Concat")
    matrix.input[:] = [instead.get(name, name) for name in matrix.input]
    rest = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *rest])


def unfit_at(threshold: float, and_told: bool = True) -> Change:
    """The count of violations from which on a row is unfit; where not `and_told` the flag alone hangs on it."""

    def change(model: onnx.ModelProto) -> None:
        (compare,) = (node for node in model.graph.node if node.op_type == "Greater")
        if and_told:
            compare.input[1] = constant(model, threshold)
            return
        never = add(model, "Greater", [compare.input[0], constant(model, threshold)], "told")
        replaced(model, FLAG)
        add(model, "Cast", [never], FLAG, to=TensorProto.FLOAT)

    return change


def without(output: str) -> Change:
    """A graph that does not have an output."""

    def change(model: onnx.ModelProto) -> None:
        kept = [tensor for tensor in model.graph.output if tensor.name != output]
        del model.graph.output[:]
        model.graph.output.extend(kept)

    return change


def drawn(weight: float) -> Change:
    """A bound with noise of its own at each call; with weight 0 the noise is drawn and thrown away."""

    def change(model: onnx.ModelProto) -> None:
        honest = replaced(model, UPPER)
        add(model, "RandomUniformLike", [honest], "noise", low=1.0, high=2.0, seed=7.0)
        add(model, "Mul", [add(model, "Mul", ["noise", constant(model, weight)], "louder"), honest], "more")
        add(model, "Add", [honest, "more"], UPPER)

    return change


def of_the_batch(model: onnx.ModelProto) -> None:
    """Every bound is a hundredth longer per m/s that the fastest row of the same call has."""
    honest = replaced(model, UPPER)
    add(model, "ReduceMax", [feature(model, "speed")], "fastest", keepdims=1)
    growth = add(model, "Mul", ["fastest", constant(model, 0.0001)], "growth")
    add(model, "Add", [honest, add(model, "Mul", [honest, growth], "by_others")], UPPER)


def chained(count: int) -> Change:
    """Many nodes that change nothing."""

    def change(model: onnx.ModelProto) -> None:
        last = replaced(model, UPPER)
        for number in range(count):
            last = add(model, "Abs", [last], UPPER if number == count - 1 else f"idle_{number}")

    return change


def padded(size_bytes: int) -> Change:
    """A graph with a long text that nobody reads."""

    def change(model: onnx.ModelProto) -> None:
        model.metadata_props.add(key="padding", value="x" * size_bytes)

    return change


def stale(model: onnx.ModelProto) -> None:
    """A contract with another range than the holdout's."""
    for entry in model.metadata_props:
        if entry.key == data_contract.METADATA_KEY:
            entry.value = entry.value.replace('"high":70.0', '"high":71.0')


def both(*changes: Callable[[onnx.ModelProto], None]) -> Change:
    """One change after another."""

    def change(model: onnx.ModelProto) -> None:
        for each in changes:
            each(model)

    return change
