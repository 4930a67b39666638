"""What an answer costs, counted and not timed, so that the same model costs the same on every machine."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import helper
from stepkit import artifacts

# What a graph may be made of, by domain: each maps a row to a row, in time that its sizes alone decide. None draws,
# loops, looks at other rows or reads a file.
ALLOWED = {
    "": {
        "Abs", "Add", "And", "Cast", "Clip", "Concat", "Constant", "Div", "Equal", "Exp", "Gather", "Greater",
        "GreaterOrEqual", "Identity", "IsInf", "IsNaN", "Less", "LessOrEqual", "Log", "Max", "Min", "Mul", "Neg", "Not",
        "Or", "Reciprocal", "Split", "Sqrt", "Sub", "Where", "Xor",
    },
    "ai.onnx.ml": {"TreeEnsembleRegressor"},
}  # fmt: skip
# Beside the named columns; a graph that stacks rows could let one row answer for another.
_ACROSS_COLUMNS = {"Concat": 1, "Split": 1, "Gather": 1}


@dataclass(frozen=True)
class Cost:
    """Nodes of the graph, comparisons that one row can need at most in all trees, bytes of graph and whole artifact."""

    nodes: int
    comparisons: int
    size_bytes: int
    artifact_bytes: int
    strangers: tuple[str, ...]  # what the graph may not hold, each once


def count(file: Path) -> Cost:
    """Count the cost of a model file in its artifact's folder."""
    model = onnx.load(file, load_external_data=False)
    trees = [node for node in model.graph.node if node.op_type == "TreeEnsembleRegressor"]
    comparisons = sum(_depths(node) for node in trees)
    sizes = file.stat().st_size, artifacts.size_of(file.parent)
    return Cost(len(model.graph.node), comparisons, *sizes, tuple(sorted(_strangers(model))))


def _strangers(model: onnx.ModelProto) -> set[str]:
    """Operators off the list or across rows, graphs within nodes, functions, and weights in other files."""
    found = {f"function {function.name}" for function in model.functions}
    for node in model.graph.node:
        if node.op_type not in ALLOWED.get(node.domain, set()):
            found.add(f"{node.domain or 'ai.onnx'}.{node.op_type}")
        given = {attribute.name: attribute for attribute in node.attribute}
        if any(
            attribute.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS) for attribute in node.attribute
        ):
            found.add(f"graph within {node.op_type}")
        axis = _ACROSS_COLUMNS.get(node.op_type)
        if axis is not None and ("axis" not in given or given["axis"].i != axis):
            found.add(f"{node.op_type} across rows")
    found |= {f"external data of {tensor.name}" for tensor in model.graph.initializer if tensor.data_location}
    return found | {f"sparse {tensor.values.name}" for tensor in model.graph.sparse_initializer}


def _depths(node: onnx.NodeProto) -> int:
    """Sum of the depths of an ensemble's trees; of those that may be in a graph, and what else there is has a gate."""
    found = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    children: dict[int, dict[int, tuple[int, int]]] = defaultdict(dict)
    columns = (found[f"nodes_{name}"] for name in ("treeids", "nodeids", "modes", "truenodeids", "falsenodeids"))
    for tree, number, mode, yes, no in zip(*columns, strict=True):
        if mode != b"LEAF":
            children[tree][number] = (yes, no)
    return sum(_depth(branches) for branches in children.values())


def _depth(branches: dict[int, tuple[int, int]]) -> int:
    depth, level, seen = 0, [0], set[int]()
    while level := [number for number in level if number in branches and number not in seen]:
        seen.update(level)
        level = [child for number in level for child in branches[number]]
        depth += 1
    return depth
