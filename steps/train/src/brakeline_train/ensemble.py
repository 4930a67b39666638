"""Everything that is a lookup, as one ONNX tree ensemble: boosters, conformal offsets, envelope and surprise.

One `TreeEnsembleRegressor` with several targets costs one node's overhead per request; comparisons by a dozen
small nodes would cost more than the trees themselves.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from onnx import NodeProto, helper
from skl2onnx import to_onnx
from sklearn.ensemble import HistGradientBoostingRegressor

_NODE_ATTRIBUTES = (
    "nodes_falsenodeids",
    "nodes_featureids",
    "nodes_hitrates",
    "nodes_missing_value_tracks_true",
    "nodes_modes",
    "nodes_nodeids",
    "nodes_treeids",
    "nodes_truenodeids",
    "nodes_values",
)
_TARGET_ATTRIBUTES = ("target_ids", "target_nodeids", "target_treeids", "target_weights")


@dataclass
class Ensemble:
    """Trees over the columns of one input matrix, summed into `targets` outputs."""

    targets: int
    base: list[float] = field(init=False)
    trees: int = field(default=0, init=False)
    columns: dict[str, list[Any]] = field(init=False)

    def __post_init__(self) -> None:
        self.base = [0.0] * self.targets
        self.columns = {name: [] for name in (*_NODE_ATTRIBUTES, *_TARGET_ATTRIBUTES)}

    def add_booster(self, booster: HistGradientBoostingRegressor, inputs: Sequence[int], target: int) -> None:
        """Add a fitted booster; its column k is column `inputs[k]` of the matrix."""
        sample = np.zeros((1, len(inputs)), dtype=np.float32)
        (node,) = to_onnx(booster, sample, name="booster").graph.node
        found = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        self.base[target] += float(found["base_values"][0])
        first = self.trees
        found["nodes_featureids"] = [inputs[index] for index in found["nodes_featureids"]]
        found["nodes_treeids"] = [first + index for index in found["nodes_treeids"]]
        found["target_treeids"] = [first + index for index in found["target_treeids"]]
        found["target_ids"] = [target] * len(found["target_ids"])
        found["nodes_modes"] = [mode.decode() for mode in found["nodes_modes"]]
        for name, values in self.columns.items():
            values.extend(found[name])
        self.trees = 1 + max(found["nodes_treeids"])

    def add_steps(
        self, column: int, edges: Sequence[float], values: Sequence[float], if_missing: float, target: int
    ) -> None:
        """Add a step function of one column: `values[k]` where exactly k edges lie below it.

        A value equal to an edge belongs to the step below. NaN gives `if_missing`.
        """
        # Every comparison with NaN is false, so behind an edge at infinity only NaN is left.
        for number, (edge, value) in enumerate(zip((*edges, float("inf")), values, strict=True)):
            self._branch(2 * number, column, edge, if_true=2 * number + 1, if_false=2 * number + 2)
            self._leaf(2 * number + 1, value, target)
        self._leaf(2 * len(values), if_missing, target)
        self.trees += 1

    def add_rule(self, bounds: Sequence[tuple[int, float, float]], value: float, target: int) -> None:
        """Add `value` where every column lies above its low and not above its high bound, and none is NaN."""
        for number, (column, low, high) in zip(range(0, 4 * len(bounds), 4), bounds, strict=True):
            # Not above low: out. Above high, or NaN, which no comparison holds for: out.
            self._branch(number, column, low, if_true=number + 1, if_false=number + 2)
            self._leaf(number + 1, 0.0, target)
            self._branch(number + 2, column, high, if_true=number + 4, if_false=number + 3)
            self._leaf(number + 3, 0.0, target)
        self._leaf(4 * len(bounds), value, target)
        self.trees += 1

    def node(self, matrix: str, output: str) -> NodeProto:
        """The ONNX node that maps `matrix` (N, F) to `output` (N, targets)."""
        return helper.make_node(
            "TreeEnsembleRegressor",
            [matrix],
            [output],
            domain="ai.onnx.ml",
            n_targets=self.targets,
            base_values=self.base,
            post_transform="NONE",
            **self.columns,
        )

    def _branch(self, number: int, column: int, edge: float, if_true: int, if_false: int) -> None:
        self._write(number, "BRANCH_LEQ", column, edge, if_true, if_false)

    def _leaf(self, number: int, value: float, target: int) -> None:
        self._write(number, "LEAF", 0, 0.0, 0, 0)
        for name, entry in zip(_TARGET_ATTRIBUTES, (target, number, self.trees, value), strict=True):
            self.columns[name].append(entry)

    def _write(self, number: int, mode: str, column: int, edge: float, if_true: int, if_false: int) -> None:
        # One mode for all branches: ONNX Runtime walks such trees without looking at it.
        row = (if_false, column, 1.0, 0, mode, number, self.trees, if_true, edge)
        for name, value in zip(_NODE_ATTRIBUTES, row, strict=True):
            self.columns[name].append(value)
