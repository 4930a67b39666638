"""The gate as a whole: it fails closed, can be replayed, passes the honest; `test_sabotages.py` has what it refuses."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from brakeline_validate import examine, gates, sweeps
from brakeline_validate.candidate import Candidate
from brakeline_validate.examine import Findings, Holdout
from brakeline_validate.gates import Gate, Judged
from stepkit import artifacts
from stepkit.errors import StepError

from tests.conftest import Chain, command
from tests.validate.sabotages import graphs
from tests.validate.sabotages.attempt import cut, failed


@pytest.fixture(scope="module")
def holdout(good: Chain) -> Holdout:
    return Holdout.read(good.holdout).first(20_000)


# Gates that have no figure where neither floor nor faulty drives are given; those of the loop `failed` leaves out.
NOT_SHOWN = {"behind the limit", "behind the limit, relative", "better than possible", "faults beyond their limit"}


def test_the_honest_model_passes(good: Chain, holdout: Holdout) -> None:
    """The model that the sabotages were made from passes on the same rows, as far as they show it."""
    assert failed(examine.examine(Candidate.load(good.model), None, holdout)) == NOT_SHOWN


def test_a_model_for_another_contract_fails_without_being_asked(good: Chain, holdout: Holdout, tmp_path: Path) -> None:
    """A stale contract is one failed gate, and no figure is made up for the others."""

    stale = cut(graphs.stale)(good, tmp_path)
    findings = examine.examine(Candidate.load(stale.model), None, holdout)
    assert failed(findings) == {"contract"}
    assert findings.overall is None


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1.0000001])
def test_a_gate_fails_closed(value: float) -> None:
    """NaN, infinity, or anything above the limit fails; the limit itself passes."""
    gate = Gate("any", 1.0, "share", "because", "people")
    assert not Judged(gate, value).passed
    assert Judged(gate, 1.0).passed


def test_a_figure_that_was_not_measured_fails_its_gate() -> None:
    """Leaving a figure out is no way through."""
    assert not any(judged.passed for judged in gates.judge({}, {}))


def test_a_small_holdout_is_no_evidence(good: Chain, holdout: Holdout) -> None:
    """The honest model is refused on 19,999 rows: what was not shown is not passed."""
    small = examine.examine(Candidate.load(good.model), None, holdout.first(19_999))
    assert failed(small) == NOT_SHOWN | {"rows lacking"}


def test_no_gates_are_no_pass() -> None:
    """An empty list of gates is not a passed examination."""
    assert not Findings([]).passed


def test_a_worse_model_does_not_replace_the_champion(good: Chain, holdout: Holdout, tmp_path: Path) -> None:
    """The same holdout decides: a median 8 % off is refused beside the champion, the champion's twin is not."""
    champion = Candidate.load(good.model)
    worse = cut(graphs.scaled(graphs.MEDIAN, 1.08))(good, tmp_path)
    assert "worse than champion" in failed(examine.examine(Candidate.load(worse.model), champion, holdout))
    assert failed(examine.examine(champion, champion, holdout)) == NOT_SHOWN


def test_a_dead_gate_would_show(good: Chain, holdout: Holdout) -> None:
    """The sweeps do find what they look for: with speed and friction swapped in meaning, both report steps."""
    model = Candidate.load(good.model)
    rows = holdout.inputs[:200]
    for role, low, high in (("speed", 5.0, 40.0), ("friction", 0.9, 0.2)):
        backwards = np.tile(np.linspace(high, low, 8), (len(rows), 1))
        found = sweeps._judge(role, backwards, sweeps.bounds(model, rows, role, backwards))
        assert found.against > 0.5
        assert found.deepest > 0.5


def test_the_verdict_can_be_replayed_to_the_byte(good: Chain, tmp_path: Path) -> None:
    """The same model, holdout and champion give the same verdict and dossier."""
    words = ["brakeline-validate", "validate", "--model", good.model, "--holdout", good.holdout]
    words += ["--champion", good.champion, "--floor", good.floor, "--faulty", good.faulty]
    for output in ("verdict", "dossier", "metrics", "measurements", "lineage"):
        words += [f"--{output}", tmp_path / output]
    assert command(*words).code == 0
    assert (tmp_path / "verdict").read_bytes() == good.verdict.read_bytes()
    assert (tmp_path / "dossier").read_bytes() == good.dossier.read_bytes()


def test_the_training_dataset_is_no_holdout(good: Chain, tmp_path: Path) -> None:
    """Rows that the model was fitted on flatter it: bad data, named, and no verdict."""
    words: list[object] = ["brakeline-validate", "validate", "--model", good.model, "--holdout", good.dataset]
    words += ["--champion", good.champion, "--floor", good.floor, "--faulty", good.faulty]
    for output in ("verdict", "dossier", "metrics", "measurements", "lineage"):
        words += [f"--{output}", tmp_path / output]
    done = command(*words)
    assert done.code == 65
    assert f"{good.dataset}: sha256: found {artifacts.sha256_of(good.dataset)}" in done.stderr
    assert not (tmp_path / "verdict").exists()


def test_no_clock_is_in_the_verdict(good: Chain) -> None:
    """Nothing timed decides: no key of the verdict speaks of seconds, but for those that a car drove."""
    told = re.sub(r'"braked_s":', "", good.verdict.read_text())
    assert not re.search(r"seconds|_ms|_us|_s\"|latency", told)
    assert json.loads(good.measurements.read_text())["single_row_p50_us"] > 0


def test_the_dossier_needs_nothing_from_outside(good: Chain) -> None:
    """One page, verdict first, every gate in it, and no address to fetch from."""
    page = good.dossier.read_text()
    assert page.index("Passed") < page.index("What was checked")
    for gate in gates.TABLE:
        assert gate.name in page
    fetched = re.findall(r"(?:src|href)=\"(?!#|data:)[^\"]*\"|@import|url\((?!#|&quot;#)", page)
    assert fetched == []


@pytest.mark.parametrize("damage", ["no graph", "half a graph", "no probes"])
def test_a_broken_model_artifact_is_bad_data(damage: str, good: Chain, holdout: Holdout, tmp_path: Path) -> None:
    """What cannot be examined is an error, not a verdict."""
    shutil.copytree(good.model, tmp_path / "model")
    graph = tmp_path / "model" / "model.onnx"
    if damage == "no graph":
        graph.unlink()
    elif damage == "half a graph":
        graph.write_bytes(graph.read_bytes()[:1000])
    else:
        (tmp_path / "model" / "probes.parquet").unlink()
    with pytest.raises(StepError) as refused:
        examine.examine(Candidate.load(tmp_path / "model"), None, holdout)
    assert refused.value.exit_code == 65
