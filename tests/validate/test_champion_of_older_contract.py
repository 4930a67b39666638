"""A model of version 2 beside a champion of version 1, both made for real: compared where both can answer."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from brakeline_validate import comparison, metrics
from brakeline_validate.candidate import Candidate
from brakeline_validate.comparison import Comparison
from brakeline_validate.examine import Holdout
from stepkit import tables
from stepkit.verdict import model_sha256

from tests import older
from tests.conftest import Chain, command
from tests.older import Older
from tests.steps.verbs import VERBS

(VALIDATE,) = (verb for verb in VERBS if verb.step == "validate")
WORSE = "worse than champion"


@pytest.fixture(scope="module")
def v1(tiny: Chain, tmp_path_factory: pytest.TempPathFactory) -> Older:
    return older.make(tiny, tmp_path_factory.mktemp("older"))


@pytest.fixture(scope="module")
def holdout(tiny: Chain) -> Holdout:
    return Holdout.read(tiny.holdout)


def compared(champion: Candidate, model: Candidate, holdout: Holdout) -> Comparison:
    answers = model.ask(holdout.inputs)
    return comparison.compare(champion, holdout.contract, holdout.inputs, holdout.distance_m, answers)


def gates(chain: Chain, out: Path, **instead: Path) -> dict[str, dict[str, Any]]:
    """The gates of a real verdict, by name."""
    done = command(*VALIDATE.words(chain.folder, out, **instead))
    assert done.code == 0, done.stderr
    return {gate["name"]: gate for gate in json.loads((out / "verdict").read_text())["gates"]}


def live(model: Path, folder: Path) -> Path:
    """A model as register hands over the champion."""
    folder.mkdir()
    shutil.copyfile(model / "model.onnx", folder / "model.onnx")
    (folder / "champion.json").write_text(json.dumps({"version": "1", "sha256": model_sha256(model)}))
    return folder


def test_a_dataset_of_version_1_still_trains(v1: Older) -> None:
    """The model carries the contract of its data, and asks for no more."""
    model = Candidate.load(v1.model)
    assert model.contract == older.V1
    assert len(model.session.get_inputs()) == 13


def test_the_verdict_tells_how_the_two_were_compared(tiny: Chain, v1: Older, tmp_path: Path) -> None:
    """A figure is measured, and its note has both versions and how many rows both could be asked about."""
    gate = gates(tiny, tmp_path / "out", champion=live(v1.model, tmp_path / "live"))[WORSE]
    rows, _ = tables.read_table(v1.holdout)
    assert f"both judged on the {rows.height} of 2000 rows" in gate["note"]
    assert "champion of contract 1, holdout of 2" in gate["note"]


def test_the_champion_answers_as_on_its_own_holdout(tiny: Chain, v1: Older, holdout: Holdout) -> None:
    """Asked with its own columns on the rows in its ranges: the score it has on the data of version 1 itself."""
    champion, model, own = Candidate.load(v1.model), Candidate.load(tiny.model), Holdout.read(v1.holdout)
    found = compared(champion, model, holdout)
    assert found.champion == metrics.score(own.distance_m, champion.ask(own.inputs))
    assert found.model is not None
    assert found.model.rows == own.distance_m.size < holdout.distance_m.size


def test_a_model_worse_than_the_older_champion_is_refused(tiny: Chain, v1: Older, holdout: Holdout) -> None:
    """The comparison can fail: answers a third too short are worse on the shared rows, the champion's own are not."""
    champion, model = Candidate.load(v1.model), Candidate.load(tiny.model)
    answers = {name: 0.67 * values for name, values in model.ask(holdout.inputs).items()}
    asked = (holdout.contract, holdout.inputs, holdout.distance_m)
    assert comparison.compare(champion, *asked, answers).worse > 0.03
    names = holdout.contract.names
    own = champion.ask(holdout.inputs[:, [names.index(name) for name in champion.contract.names]])
    assert comparison.compare(champion, *asked, own).worse == 0.0


def test_rows_beyond_the_older_ranges_do_not_count(tiny: Chain, v1: Older, holdout: Holdout) -> None:
    """However wrong the model is where the champion cannot be asked, the comparison is the same."""
    champion, model = Candidate.load(v1.model), Candidate.load(tiny.model)
    beyond = ~comparison._fit(holdout.inputs[:, : len(older.V1.features)], older.V1)
    assert beyond.any()
    answers = {name: np.where(beyond, 1e6, values) for name, values in model.ask(holdout.inputs).items()}
    found = comparison.compare(champion, holdout.contract, holdout.inputs, holdout.distance_m, answers)
    assert found.worse == compared(champion, model, holdout).worse


def test_few_shared_rows_are_no_comparison(tiny: Chain, v1: Older, holdout: Holdout) -> None:
    """Where hardly a row lies in the older ranges nothing is compared, and the note says so."""
    few = replace(holdout, inputs=holdout.inputs[:1_000], distance_m=holdout.distance_m[:1_000])
    found = compared(Candidate.load(v1.model), Candidate.load(tiny.model), few)
    assert found.worse == 0.0
    assert "not compared" in found.note
    assert "fewer than 1500" in found.note


def test_an_incompatible_champion_is_named_as_such(tiny: Chain, v1: Older, tmp_path: Path) -> None:
    """A champion whose contract is no forerunner is not compared; the note says what stands in the way."""
    other = tmp_path / "other"
    shutil.copytree(v1.model, other, ignore=shutil.ignore_patterns(".lineage.json"))
    graph = onnx.load(other / "model.onnx")
    for entry in graph.metadata_props:
        if entry.key == "brakeline.contract":
            entry.value = entry.value.replace('"high":70.0', '"high":71.0')
    onnx.save(graph, other / "model.onnx")
    gate = gates(tiny, tmp_path / "out", champion=live(other, tmp_path / "live"))[WORSE]
    assert gate["passed"] is True
    assert gate["note"].startswith("not compared: champion of contract 1, holdout of 2, which is no evolution of it")
    assert "0 to 71 became 0 to 70" in gate["note"]


def test_a_newer_champion_is_not_compared(tiny: Chain, v1: Older) -> None:
    """Back to version 1, the champion of 2 asks for what the holdout does not have."""
    found = compared(Candidate.load(tiny.model), Candidate.load(v1.model), Holdout.read(v1.holdout))
    assert found.champion is None
    assert "version 2 became 1" in found.note


def test_without_a_champion_the_note_says_so(tiny: Chain) -> None:
    """No champion is another thing than one that could not be asked."""
    told = {gate["name"]: gate["note"] for gate in json.loads(tiny.verdict.read_text())["gates"]}
    assert told[WORSE] == "no champion yet"


def test_a_candidate_of_version_1_fails_the_contract_gate(tiny: Chain, v1: Older, tmp_path: Path) -> None:
    """On a holdout of version 2 a model of 1 is refused without being asked: old inputs do not answer for trucks."""
    found = gates(tiny, tmp_path / "out", model=v1.model)
    assert list(found) == ["contract"]
    assert found["contract"]["passed"] is False
