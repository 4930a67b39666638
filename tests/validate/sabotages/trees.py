"""Changes to the trees: the graph's one ensemble of boosters, offsets, range checks, rules and surprise."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from brakeline_train.ensemble import Ensemble
from numpy.typing import NDArray
from onnx import helper

from tests.validate.sabotages.attempt import Change
from tests.validate.sabotages.graphs import contract_of

MEDIAN, UPPER, VIOLATIONS, SURPRISE = range(4)
# What lies between these, by role.
Box = dict[str, tuple[float, float]]
Numbers = NDArray[np.float64]


def trees_of(model: onnx.ModelProto) -> Ensemble:
    """The graph's ensemble, to be read or added to."""
    given = {entry.name: helper.get_attribute_value(entry) for entry in _node(model).attribute}
    ensemble = Ensemble(given["n_targets"])
    ensemble.base = list(given["base_values"])
    ensemble.columns = {name: list(given[name]) for name in ensemble.columns}
    ensemble.columns["nodes_modes"] = [mode.decode() for mode in ensemble.columns["nodes_modes"]]
    ensemble.trees = 1 + max(ensemble.columns["nodes_treeids"])
    return ensemble


def put_back(model: onnx.ModelProto, ensemble: Ensemble) -> None:
    """Write the ensemble into its node."""
    node = _node(model)
    node.CopyFrom(ensemble.node(node.input[0], node.output[0]))


def with_trees(change: Callable[[Ensemble, Callable[[str], int]], None]) -> Change:
    """A change of the ensemble, which is told the column of a role."""

    def whole(model: onnx.ModelProto) -> None:
        contract, ensemble = contract_of(model), trees_of(model)
        change(ensemble, lambda role: contract.names.index(contract.by_role(role).name))
        put_back(model, ensemble)

    return whole


def in_box(box: Box, value: float, target: int = UPPER) -> Change:
    """Add `value` to a log (or a count) where every reading of the box is there and within it."""

    def change(ensemble: Ensemble, column: Callable[[str], int]) -> None:
        ensemble.add_rule([(column(role), low, high) for role, (low, high) in box.items()], value, target)

    return with_trees(change)


def by_steps(
    role: str, edges: Sequence[float], values: Sequence[float], if_missing: float = 0.0, target: int = UPPER
) -> Change:
    """Add a step function of one reading, and another value where it is missing."""

    def change(ensemble: Ensemble, column: Callable[[str], int]) -> None:
        ensemble.add_steps(column(role), edges, values, if_missing, target)

    return with_trees(change)


def saw(role: str, low: float, high: float, teeth: int, depth: float) -> Change:
    """A bound that falls back by `depth` of its log again and again along a reading."""
    edges = np.linspace(low, high, 2 * teeth + 1).tolist()
    return by_steps(role, edges, [-depth * (number % 2) for number in range(len(edges) + 1)])


def kept(share: float, from_the_end: bool = False) -> Change:
    """Only so many of each booster's trees; the others give 0."""

    def change(ensemble: Ensemble, column: Callable[[str], int]) -> None:
        leaves = _Leaves.of(ensemble)
        for target in (MEDIAN, UPPER):
            trees = _boosted(ensemble, leaves, target)
            gone = trees[: round((1 - share) * len(trees))] if from_the_end else trees[round(share * len(trees)) :]
            leaves.silence(np.isin(leaves.tree, gone))
        leaves.write(ensemble)

    return with_trees(change)


def coarse(levels: int) -> Change:
    """Thresholds and leaves rounded to so many levels between their least and most."""

    def change(ensemble: Ensemble, column: Callable[[str], int]) -> None:
        columns, leaves = ensemble.columns, _Leaves.of(ensemble)
        edges = np.array(columns["nodes_values"])
        of, inner = np.array(columns["nodes_featureids"]), np.array(columns["nodes_modes"]) != "LEAF"
        for each in np.unique(of):
            chosen = inner & (of == each) & np.isfinite(edges)
            edges[chosen] = _rounded(edges[chosen], levels)
        columns["nodes_values"] = edges.tolist()
        for target in (MEDIAN, UPPER):
            leaves.weight[leaves.target == target] = _rounded(leaves.weight[leaves.target == target], levels)
        leaves.write(ensemble)

    return with_trees(change)


def moved_thresholds(factor: float) -> Change:
    """Every threshold times a factor."""

    def change(ensemble: Ensemble, column: Callable[[str], int]) -> None:
        ensemble.columns["nodes_values"] = [value * factor for value in ensemble.columns["nodes_values"]]

    return with_trees(change)


def without_check(role: str) -> Change:
    """The range check of one reading always finds it in its range."""

    def change(ensemble: Ensemble, column: Callable[[str], int]) -> None:
        leaves = _Leaves.of(ensemble)
        checks = _trees_about(ensemble, leaves, VIOLATIONS, {column(role)})
        leaves.silence(np.isin(leaves.tree, checks))
        leaves.write(ensemble)

    return with_trees(change)


def without_rules(*roles: str) -> Change:
    """The rules on these readings together are never broken."""

    def change(ensemble: Ensemble, column: Callable[[str], int]) -> None:
        leaves = _Leaves.of(ensemble)
        rules = _trees_about(ensemble, leaves, VIOLATIONS, {column(role) for role in roles})
        leaves.silence(np.isin(leaves.tree, rules))
        leaves.write(ensemble)

    return with_trees(change)


def always(target: int, value: float) -> Change:
    """A target that is the same for every row, whatever the trees say."""

    def change(ensemble: Ensemble, column: Callable[[str], int]) -> None:
        leaves = _Leaves.of(ensemble)
        leaves.silence(leaves.target == target)
        leaves.write(ensemble)
        ensemble.base[target] = value

    return with_trees(change)


def idle(count: int, depth: int = 12) -> Change:
    """Many deep trees whose leaves are 0."""

    def change(ensemble: Ensemble, column: Callable[[str], int]) -> None:
        for number in range(count):
            edges = (np.arange(depth) + number / count).tolist()
            ensemble.add_steps(column("speed"), edges, [0.0] * (depth + 1), 0.0, UPPER)

    return with_trees(change)


def boosted_trees(ensemble: Ensemble) -> np.ndarray:
    """The numbers of all trees of both boosters."""
    leaves = _Leaves.of(ensemble)
    return np.concatenate([_boosted(ensemble, leaves, target) for target in (MEDIAN, UPPER)])


@dataclass
class _Leaves:
    """The leaves' columns as arrays; `write` puts the weights back."""

    tree: np.ndarray
    target: np.ndarray
    weight: np.ndarray

    @classmethod
    def of(cls, ensemble: Ensemble) -> "_Leaves":
        names = ("target_treeids", "target_ids", "target_weights")
        return cls(*(np.array(ensemble.columns[name]) for name in names))

    def silence(self, chosen: np.ndarray) -> None:
        self.weight[chosen] = 0.0

    def write(self, ensemble: Ensemble) -> None:
        ensemble.columns["target_weights"] = self.weight.tolist()


def _boosted(ensemble: Ensemble, leaves: _Leaves, target: int) -> np.ndarray:
    """A target's boosted trees in their order: those that look at more than one reading, or come before such."""
    trees, columns = np.unique(leaves.tree[leaves.target == target]), _columns_by_tree(ensemble)
    several = [tree for tree in trees if len(columns[tree]) > 1]
    boosted: np.ndarray = trees[trees <= max(several)]
    return boosted


def _trees_about(ensemble: Ensemble, leaves: _Leaves, target: int, columns: set[int]) -> list[int]:
    """A target's trees that look at exactly these columns."""
    found = _columns_by_tree(ensemble)
    return [tree for tree in np.unique(leaves.tree[leaves.target == target]) if found[tree] == columns]


def _columns_by_tree(ensemble: Ensemble) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {}
    columns = (ensemble.columns[f"nodes_{name}"] for name in ("treeids", "featureids", "modes"))
    for tree, column, mode in zip(*columns, strict=True):
        found.setdefault(tree, set()).update({column} if mode != "LEAF" else ())
    return found


def _rounded(values: Numbers, levels: int) -> Numbers:
    low, high = float(values.min(initial=np.inf)), float(values.max(initial=-np.inf))
    if not values.size or low == high:
        return values
    step = (high - low) / (levels - 1)
    rounded: Numbers = low + np.round((values - low) / step) * step
    return rounded


def _node(model: onnx.ModelProto) -> onnx.NodeProto:
    (node,) = (node for node in model.graph.node if node.op_type == "TreeEnsembleRegressor")
    return node
