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
            self._node(2 * number, "BRANCH_LEQ", edge, column)
            self._node(2 * number + 1, "LEAF", 0.0, 0)
            self._weight(2 * number + 1, value, target)
        self._node(2 * len(values), "LEAF", 0.0, 0)
        self._weight(2 * len(values), if_missing, target)
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

    def _node(self, number: int, mode: str, edge: float, column: int) -> None:
        leaf = mode == "LEAF"
        row = (
            0 if leaf else number + 2,
            column,
            1.0,
            0,
            mode,
            number,
            self.trees,
            0 if leaf else number + 1,
            edge,
        )
        for name, value in zip(_NODE_ATTRIBUTES, row, strict=True):
            self.columns[name].append(value)

    def _weight(self, number: int, value: float, target: int) -> None:
        for name, entry in zip(_TARGET_ATTRIBUTES, (target, number, self.trees, value), strict=True):
            self.columns[name].append(entry)
