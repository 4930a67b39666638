"""What an answer costs, counted and not timed, so that the same model costs the same on every machine."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import onnx
from onnx import helper


@dataclass(frozen=True)
class Cost:
    """Nodes of the graph, comparisons that one row can need at most in all trees, bytes of the file."""

    nodes: int
    comparisons: int
    size_bytes: int


def count(file: Path) -> Cost:
    """Count the cost of a model file."""
    graph = onnx.load(file).graph
    trees = [node for node in graph.node if node.op_type.startswith("TreeEnsemble")]
    return Cost(len(graph.node), sum(_depths(node) for node in trees), file.stat().st_size)


def _depths(node: onnx.NodeProto) -> int:
    """Sum of the depths of an ensemble's trees."""
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
