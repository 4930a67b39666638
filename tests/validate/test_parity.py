"""Parity: one answer that is no number, on either side and in any column, is a difference that no limit passes."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import polars as pl
import pytest
from brakeline_validate import physical
from brakeline_validate.candidate import FLAG, MEDIAN, UPPER, Candidate

from tests.conftest import Chain
from tests.validate.sabotages.attempt import GOLDEN, copy

Answers = dict[str, np.ndarray]
LIMIT = 1e-4


def test_the_model_as_it_was_exported_agrees(tiny: Chain) -> None:
    """What the cases below change is within the limit before."""
    assert physical.parity(Candidate.load(tiny.model)) <= LIMIT


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.0])
@pytest.mark.parametrize("name", [MEDIAN, UPPER])
def test_a_probe_without_a_number_is_no_parity(name: str, value: float, tiny: Chain, tmp_path: Path) -> None:
    """One of 20,000 estimators' answers is spoilt, in the first column compared or the second."""
    model = copy(tiny, tmp_path)
    probes = pl.read_parquet(model / physical.PROBES_FILE)
    spoilt = probes[name].to_numpy().copy()
    spoilt[7] = value
    probes.with_columns(pl.Series(name, spoilt)).write_parquet(model / physical.PROBES_FILE)
    assert physical.parity(Candidate.load(model)) == float("inf")


@pytest.mark.parametrize("name", [MEDIAN, UPPER])
def test_an_answer_of_the_graph_that_is_no_number_is_no_parity(name: str, tiny: Chain) -> None:
    """One of the graph's answers to the probe rows is NaN, and all of the estimators' are there."""

    class Silent(Candidate):
        def ask(
            self, inputs: np.ndarray, names: Sequence[str] = (MEDIAN, UPPER, FLAG), at_once: int = 1_000
        ) -> Answers:
            answers = super().ask(inputs, names, at_once)
            if len(inputs) > 1_000:  # the probes, not the golden request
                answers[name][7] = np.nan
            return answers

    assert physical.parity(Silent(**vars(Candidate.load(tiny.model)))) == float("inf")


@pytest.mark.parametrize("name", [MEDIAN, UPPER, FLAG])
def test_a_golden_answer_without_a_number_is_no_parity(name: str, tiny: Chain, tmp_path: Path) -> None:
    """A null where the golden request had a number."""
    model = copy(tiny, tmp_path)
    graph = onnx.load(model / "model.onnx")
    (entry,) = (each for each in graph.metadata_props if each.key == GOLDEN)
    golden = json.loads(entry.value)
    golden["outputs"][name][0] = None
    entry.value = json.dumps(golden)
    (model / "model.onnx").write_bytes(graph.SerializeToString())
    assert physical.parity(Candidate.load(model)) == float("inf")


def test_an_answer_below_nothing_counts_by_its_size(tiny: Chain, tmp_path: Path) -> None:
    """A negative estimator's answer is a difference as any, not one below every limit."""
    model = copy(tiny, tmp_path)
    probes = pl.read_parquet(model / physical.PROBES_FILE)
    probes.with_columns(-pl.col(UPPER)).write_parquet(model / physical.PROBES_FILE)
    assert physical.parity(Candidate.load(model)) == pytest.approx(2.0, rel=1e-3)
