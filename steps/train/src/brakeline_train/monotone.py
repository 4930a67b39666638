"""Quantile trees that keep the growth they were told.

scikit-learn honours `monotonic_cst` while it grows a tree, but for a quantile loss it then sets each leaf to the
quantile of its rows (`_update_leaves_values`), which knows of no constraint. Here that is followed by a second look:
every split on a constrained feature gets a level between its two sides that no leaf below it may cross. It happens
within the boosting, so that later trees make up for what a moved leaf lacks.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from sklearn.ensemble._hist_gradient_boosting import gradient_boosting

# What is replaced of scikit-learn, which is pinned; a test holds it to its name and place.
INTERNAL = "_update_leaves_values"


@contextmanager
def kept(growth: Sequence[int]) -> Iterator[None]:
    """Boosters fitted inside keep `growth`: 1, -1 or 0 for feature k never falling, never rising, or free."""
    original = getattr(gradient_boosting, INTERNAL)

    def update(*args: Any, grower: Any, **named: Any) -> None:
        original(*args, grower=grower, **named)
        _bound(grower.root, growth, -np.inf, np.inf)

    setattr(gradient_boosting, INTERNAL, update)
    try:
        yield
    finally:
        setattr(gradient_boosting, INTERNAL, original)


def _bound(node: Any, growth: Sequence[int], low: float, high: float) -> None:
    if node.is_leaf:
        node.value = min(max(float(node.value), low), high)
        return
    sign = growth[int(node.split_info.feature_idx)]
    if sign == 0:
        _bound(node.left_child, growth, low, high)
        _bound(node.right_child, growth, low, high)
        return
    level = min(max(0.5 * (_mean(node.left_child) + _mean(node.right_child)), low), high)
    lower, upper = (node.left_child, node.right_child) if sign > 0 else (node.right_child, node.left_child)
    _bound(lower, growth, low, level)
    _bound(upper, growth, level, high)


def _mean(node: Any) -> float:
    """Mean value of the rows below a node."""
    if node.is_leaf:
        return float(node.value)
    left, right = node.left_child, node.right_child
    total = _mean(left) * int(left.n_samples) + _mean(right) * int(right.n_samples)
    return float(total / int(node.n_samples))
