"""How many other models were judged on the dataset before: in the verdict, and in a sentence of the dossier."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from brakeline_validate import attempts, dossier, verdict
from brakeline_validate.attempts import Attempts
from brakeline_validate.candidate import Candidate
from brakeline_validate.case import Case
from brakeline_validate.examine import Findings
from stepkit.errors import UnreadableArtifact

from tests.conftest import Chain


@pytest.fixture(scope="module")
def model(tiny: Chain) -> Candidate:
    return Candidate.load(tiny.model)


def champion(folder: Path, **content: object) -> Path:
    (folder / "champion.json").write_text(json.dumps({"version": None, "sha256": None, **content}))
    return folder


def tried(dataset: object, model: str, passed: object = False, holdout: str = "f") -> dict[str, object]:
    return {"dataset_sha256": dataset, "holdout_sha256": holdout * 64, "model_sha256": model, "gate_version": 2,
            "passed": passed}  # fmt: skip


def test_other_models_on_the_same_dataset_count(model: Candidate, tmp_path: Path) -> None:
    """Each once, refused if it ever was; the model itself and other datasets do not count."""
    own = model.training["dataset_sha256"]
    listed = [
        tried(own, model.sha256),
        tried(own, "a" * 64),
        tried(own, "a" * 64, passed=True, holdout="0"),
        tried(own, "b" * 64, passed=True),
        tried("e" * 64, "c" * 64),
        tried(None, "d" * 64),
    ]
    assert attempts.read(champion(tmp_path, attempts=listed), model) == Attempts(others=2, refused=1)
    assert attempts.read(champion(tmp_path, attempts=[]), model) == Attempts(others=0, refused=0)


@pytest.mark.parametrize("passed", ["true", 1, None])
def test_what_does_not_say_that_it_passed_was_refused(passed: object, model: Candidate, tmp_path: Path) -> None:
    """Only the literal `true` is a pass."""
    listed = [tried(model.training["dataset_sha256"], "a" * 64, passed)]
    assert attempts.read(champion(tmp_path, attempts=listed), model) == Attempts(others=1, refused=1)


def test_without_a_list_it_is_not_known(model: Candidate, tmp_path: Path) -> None:
    """A champion folder of an earlier register says nothing, which is another thing than none."""
    assert attempts.read(champion(tmp_path), model) is None


def test_a_model_that_tells_no_dataset_has_unknown_attempts(model: Candidate, tmp_path: Path) -> None:
    """What it learned from cannot be looked up."""
    nameless = replace(model, training={})
    assert attempts.read(champion(tmp_path, attempts=[tried(None, "a" * 64)]), nameless) is None


@pytest.mark.parametrize("listed", [7, ["a"], [{"model_sha256": "a" * 64}], [None]])
def test_a_broken_list_is_bad_data(listed: object, model: Candidate, tmp_path: Path) -> None:
    """It ends with 65 and names the file; attempts that cannot be read are not taken for none."""
    with pytest.raises(UnreadableArtifact, match=r"champion\.json is not a readable list of attempts") as broken:
        attempts.read(champion(tmp_path, attempts=listed), model)
    assert broken.value.exit_code == 65


@pytest.fixture(scope="module")
def case(tiny: Chain) -> Case:
    return Case.read(tiny.model, tiny.holdout, tiny.faulty, tiny.floor, tiny.champion, runs=1)


@pytest.fixture(scope="module")
def findings(case: Case) -> Findings:
    return case.examine()


SENTENCES = {
    None: "How many other models were judged on its dataset before this one is not known.",
    Attempts(0, 0): "This is the first model judged on its dataset.",
    Attempts(1, 0): "Before this model, 1 other was judged on its dataset, 0 refused.",
    Attempts(4, 4): "Before this model, 4 others were judged on its dataset, 4 refused.",
    Attempts(5, 3): "before this model, 5 others were judged on its dataset, 3 refused. "
    "Choosing the best of many seeds on one dataset is a selection",
    Attempts(1234, 1200): "before this model, 1,234 others were judged on its dataset, 1,200 refused.",
}


@pytest.mark.parametrize("found", SENTENCES, ids=str)
def test_verdict_and_dossier_say_it(found: Attempts | None, findings: Findings, case: Case, tmp_path: Path) -> None:
    """One sentence under the verdict; from five others on it warns, before that it does not."""
    tried = replace(case, attempts=found)
    dossier.write(tmp_path / "page", findings, tried)
    header = " ".join((tmp_path / "page").read_text().partition("</header>")[0].split())
    assert SENTENCES[found] in header
    assert ('<b class="bad">One of many:</b>' in header) is (found is not None and found.others >= 5)
    expected = None if found is None else {"others": found.others, "refused": found.refused}
    assert verdict.verdict(findings, tried)["attempts"] == expected


def test_attempts_are_told_and_not_judged(findings: Findings, case: Case) -> None:
    """However many there were, no gate changes its answer; the seal is of all that is told."""
    before = verdict.verdict(findings, replace(case, attempts=None))
    after = verdict.verdict(findings, replace(case, attempts=Attempts(99, 99)))
    assert before.pop("attempts") != after.pop("attempts")
    assert before.pop("seal") != after.pop("seal")
    assert before == after
