"""Random damage to the trees, as a flipped bit, a bad conversion or a careless hand would do: seeded, of growing share.

Three kinds: leaves whose value is moved, thresholds that are moved, branches whose children are swapped. Only the
boosted trees are hit: range checks and rules have sabotages of their own.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx
from brakeline_train.ensemble import Ensemble

from tests.validate.sabotages import trees

KINDS = ("leaves", "thresholds", "children")
# Of the nodes of a kind, from a single one in tens of thousands on.
SHARES = (1e-4, 1e-3, 1e-2, 1e-1)
# A leaf moves by so much of a log distance; a threshold by so many of the spread of its reading's thresholds.
_LEAF_MOVE, _THRESHOLD_MOVE = 0.3, 0.5


@dataclass(frozen=True)
class Mutant:
    """One way to be damaged."""

    kind: str
    share: float
    number: int

    def damage(self, model: onnx.ModelProto) -> None:
        """Damage a graph in place; the same mutant does the same each time."""
        seed = np.random.SeedSequence((KINDS.index(self.kind), SHARES.index(self.share), self.number))
        rng, ensemble = np.random.default_rng(seed), trees.trees_of(model)
        boosted = trees.boosted_trees(ensemble)
        if self.kind == "leaves":
            of = np.isin(ensemble.columns["target_treeids"], boosted)
            hit = _some(rng, np.flatnonzero(of), self.share)
            weights = np.array(ensemble.columns["target_weights"])
            weights[hit] += rng.choice([-1.0, 1.0], hit.size) * _LEAF_MOVE
            ensemble.columns["target_weights"] = weights.tolist()
        else:
            inner = np.array(ensemble.columns["nodes_modes"]) != "LEAF"
            hit = _some(rng, np.flatnonzero(inner & np.isin(ensemble.columns["nodes_treeids"], boosted)), self.share)
            _move(rng, ensemble, hit) if self.kind == "thresholds" else _swap(ensemble, hit)
        trees.put_back(model, ensemble)


def every(numbers: int) -> Iterator[Mutant]:
    """So many mutants of each kind and share."""
    for kind in KINDS:
        for share in SHARES:
            for number in range(numbers):
                yield Mutant(kind, share, number)


def _some(rng: np.random.Generator, places: np.ndarray, share: float) -> np.ndarray:
    return rng.choice(places, max(1, round(share * places.size)), replace=False)


def _move(rng: np.random.Generator, ensemble: Ensemble, hit: np.ndarray) -> None:
    edges, column = np.array(ensemble.columns["nodes_values"]), np.array(ensemble.columns["nodes_featureids"])
    for each in np.unique(column[hit]):
        same = column == each
        spread = float(np.std(edges[same & np.isfinite(edges)]))
        moved = hit[column[hit] == each]
        edges[moved] += rng.choice([-1.0, 1.0], moved.size) * _THRESHOLD_MOVE * spread
    ensemble.columns["nodes_values"] = edges.tolist()


def _swap(ensemble: Ensemble, hit: np.ndarray) -> None:
    yes, no = (np.array(ensemble.columns[f"nodes_{name}nodeids"]) for name in ("true", "false"))
    yes[hit], no[hit] = no[hit].copy(), yes[hit].copy()
    ensemble.columns["nodes_truenodeids"], ensemble.columns["nodes_falsenodeids"] = yes.tolist(), no.tolist()
