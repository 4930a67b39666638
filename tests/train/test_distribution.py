from __future__ import annotations

import numpy as np
import pytest
from brakeline_train import distribution
from stepkit import contract as data_contract

from tests.conftest import HOUSE

CONTRACT = data_contract.parse((HOUSE / "tests" / "data" / "contract-v2.json").read_text())
NAN = float("nan")


def _seen(values: list[float]) -> distribution.Histogram:
    inputs = np.full((len(values), len(CONTRACT.names)), NAN, dtype=np.float32)
    inputs[:, 0] = values
    found = distribution.seen_in(inputs, CONTRACT)
    assert list(found) == CONTRACT.names[:1]
    return found[CONTRACT.names[0]]


def test_a_tenth_of_the_known_readings_is_in_each_bin() -> None:
    """1 to 100 in any order: edges 11, 21, … 91, the edge in the bin below it; missing ones are counted apart."""
    found = _seen([float(value) for value in np.random.default_rng(7).permutation(np.arange(1, 101))] + [NAN] * 3)
    assert found["edges"] == [11.0, 21.0, 31.0, 41.0, 51.0, 61.0, 71.0, 81.0, 91.0]
    assert found["counts"] == [11, *[10] * 8, 9]
    assert found["missing"] == 3


@pytest.mark.parametrize(
    ("values", "edges", "counts"), [([2.0] * 5, [2.0], [5, 0]), ([0.0, 1.0], [0.0, 1.0], [1, 1, 0])]
)
def test_few_different_readings_make_few_edges(values: list[float], edges: list[float], counts: list[int]) -> None:
    """A class or a constant has as many edges as it has values below its highest bin; they rise."""
    assert _seen(values) == {"edges": edges, "counts": counts, "missing": 0}
