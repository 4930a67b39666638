"""Attempts: every model that was judged counts once for its dataset, so that retraining until a seed passes shows."""

import itertools
import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from brakeline_register import attempts
from brakeline_register.attempts import Attempt, Count
from brakeline_register.sqlite import SqliteRegistry
from stepkit.errors import UnreadableArtifact
from stepkit.verdict import sealed

from tests.conftest import BIN, Chain, Done, command
from tests.steps.verbs import VERBS

NAME = "stopping-distance"
(VALIDATE,) = (verb for verb in VERBS if verb.step == "validate")
DATASET, OTHER_DATASET, HOLDOUT = "d" * 64, "e" * 64, "f" * 64


def attempt(model: str, passed: bool = False, dataset: str | None = DATASET) -> Attempt:
    return Attempt(dataset, HOLDOUT, model * 64, 2, passed, () if passed else ("parity",))


def judged(**changes: object) -> dict[str, Any]:
    """A verdict, as far as an attempt needs it."""
    kept = {"value": 1.0, "limit": 2.0}
    gates = [{"name": name, "passed": name == "size", **kept} for name in ("parity", "size", "nodes")]
    return sealed({
        "schema_version": 2, "gate_version": 2, "passed": False, "model_sha256": "a" * 64, "holdout_sha256": HOLDOUT,
        "training": {"dataset_sha256": DATASET}, "gates": gates, **changes,
    })  # fmt: skip


def record(verdict: Path, registry: Path, out: Path) -> Done:
    where = ("--registry", f"sqlite:///{registry}")
    return command("brakeline-register", "record", "--verdict", verdict, "--recorded", out, *where)


def add(chain: Chain, registry: Path, out: Path) -> Done:
    given = ("--model", chain.model, "--passed-verdict", chain.verdict, "--registered", out)
    return command("brakeline-register", "add", *given, "--registry", f"sqlite:///{registry}")


def listed(registry: Path, verb: str = "list", *words: str) -> dict[str, Any]:
    return command("brakeline-register", verb, *words, "--registry", f"sqlite:///{registry}").result


@pytest.fixture
def kept(tmp_path: Path) -> SqliteRegistry:
    return SqliteRegistry(tmp_path / "registry.sqlite")


def test_an_attempt_is_a_verdict_in_short(tmp_path: Path) -> None:
    """What it is about by sha256, and the gates that failed by name."""
    file = tmp_path / "verdict"
    file.write_text(json.dumps(judged()))
    assert attempts.read(file) == Attempt(DATASET, HOLDOUT, "a" * 64, 2, False, ("parity", "nodes"))


@pytest.mark.parametrize("passed", [True, "true", 1, None])
def test_only_a_whole_pass_counts_as_passed(passed: object) -> None:
    """The literal `true`, gates, and none of them failed; else it counts as refused."""
    good = [{"name": "parity", "passed": True, "value": 0.0, "limit": 0.0}]
    assert attempts.of(judged(passed=passed, gates=good), Path("v")).passed is (passed is True)
    assert not attempts.of(judged(passed=passed), Path("v")).passed
    assert not attempts.of(judged(passed=passed, gates=[]), Path("v")).passed


def test_the_same_attempt_again_changes_nothing(kept: SqliteRegistry) -> None:
    """The first one stands, with its time; another holdout or gate version is another attempt."""
    first = attempt("a")
    kept.record(NAME, first)
    (before,) = kept.attempts(NAME)
    kept.record(NAME, replace(first, passed=True, failed=()))
    assert kept.attempts(NAME) == [before]
    assert before == replace(first, recorded_at=before.recorded_at)
    assert before.recorded_at
    kept.record(NAME, replace(first, holdout_sha256="0" * 64))
    kept.record(NAME, replace(first, gate_version=3))
    assert len(kept.attempts(NAME)) == 3
    assert kept.attempts("another name") == []


def test_a_model_counts_once_for_its_dataset() -> None:
    """However often it was judged; refused once is refused; other datasets do not count."""
    tried = [
        attempt("a"),
        replace(attempt("a", passed=True), gate_version=3),
        attempt("b", passed=True),
        attempt("c", dataset=OTHER_DATASET),
        attempt("d", dataset=None),
        attempt("e", passed=True),
    ]
    assert attempts.count(tried, DATASET, "a" * 64) == Count(models=3, refused=1, number=1)
    assert attempts.count(tried, DATASET, "e" * 64) == Count(models=3, refused=1, number=3)
    assert attempts.count(tried, OTHER_DATASET) == Count(models=1, refused=1)
    assert attempts.by_dataset(tried) == [
        {"dataset_sha256": DATASET, "models": 3, "refused": 1},
        {"dataset_sha256": OTHER_DATASET, "models": 1, "refused": 1},
    ]


def test_a_model_without_a_dataset_is_recorded_and_not_counted(tmp_path: Path) -> None:
    """What it learned from is unknown, so how many others there were is unknown too."""
    (tmp_path / "verdict").write_text(json.dumps(judged(training={})))
    done = record(tmp_path / "verdict", tmp_path / "registry.sqlite", tmp_path / "recorded")
    assert done.code == 0, done.stderr
    assert json.loads((tmp_path / "recorded").read_text())["attempts"] is None
    (one,) = SqliteRegistry(tmp_path / "registry.sqlite").attempts(NAME)
    assert one.dataset_sha256 is None


BROKEN: dict[str, object] = {
    "no verdict": ["passed"],
    "another schema": judged(schema_version=3),
    "no model": judged(model_sha256=None),
    "no holdout": judged(holdout_sha256="short"),
    "no gate version": judged(gate_version="2"),
    "a dataset that is no sha256": judged(training={"dataset_sha256": 7}),
    "no training": judged(training=None),
    "gates of another form": judged(gates=["parity"]),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_no_verdict_is_bad_data(case: str, tmp_path: Path) -> None:
    """The file is named, and there is no attempt to record."""
    file = tmp_path / "verdict.json"
    file.write_text(json.dumps(BROKEN[case]))
    with pytest.raises(UnreadableArtifact, match=r"verdict\.json is not a readable verdict") as refused:
        attempts.read(file)
    assert refused.value.exit_code == 65


def test_a_verdict_cut_short_leaves_no_registry(tmp_path: Path) -> None:
    """65, and nothing is written, neither the output nor a registry."""
    (tmp_path / "verdict").write_text(json.dumps(judged())[:-20])
    assert record(tmp_path / "verdict", tmp_path / "registry.sqlite", tmp_path / "recorded").code == 65
    assert [file.name for file in tmp_path.iterdir()] == ["verdict"]


def test_retraining_with_other_seeds_shows(tiny: Chain, tmp_path: Path) -> None:
    """Three seeds on one dataset, by the real steps: each verdict tells the ones before it, and the dossier says so."""
    registry, results = tmp_path / "registry.sqlite", [tiny.folder]
    assert record(tiny.verdict, registry, tmp_path / "first").result["attempts"]["number"] == 1
    for seed in (2, 3):
        at, where = tmp_path / str(seed), ("--registry", f"sqlite:///{registry}")
        given, searched = ("--dataset", tiny.dataset, "--seed", seed), ("--results", at / "results")
        assert command("brakeline-train", "search", *given, *searched, "--trials", 1).code == 0
        assert command("brakeline-train", "fit", *given, *searched, "--model", at / "model").code == 0
        assert command("brakeline-register", "champion", "--live", at / "live", *where).result["attempts"] == seed - 1
        assert command(*VALIDATE.words(tiny.folder, at, model=at / "model", champion=at / "live")).code == 0
        counted = record(at / "verdict", registry, at / "recorded").result["attempts"]
        assert counted == {"models": seed, "refused": seed, "number": seed}
        results.append(at)
    told = [json.loads((at / "verdict").read_text())["attempts"] for at in results]
    assert told == [{"others": number, "refused": number} for number in range(3)]
    first, second, third = ((at / "dossier").read_text() for at in results)
    assert "This is the first model judged on its dataset." in first
    assert "1 other was judged on its dataset, 1 refused." in second
    assert "2 others were judged on its dataset, 2 refused." in third
    again = record(tiny.verdict, registry, tmp_path / "again").result["attempts"]
    assert again == {"models": 3, "refused": 3, "number": 1}


def test_a_version_tells_how_many_were_tried_for_it(good: Chain, tmp_path: Path) -> None:
    """Two were refused on its dataset before it passed: add, show and list say so, and keep saying so of it."""
    registry = tmp_path / "registry.sqlite"
    dataset = json.loads(good.verdict.read_text())["training"]["dataset_sha256"]
    for model in "ab":
        SqliteRegistry(registry).record(NAME, attempt(model, dataset=dataset))
    assert record(good.verdict, registry, tmp_path / "recorded").code == 0
    expected = {"models": 3, "refused": 2, "number": 3}
    assert add(good, registry, tmp_path / "registered").result["attempts"] == expected
    SqliteRegistry(registry).record(NAME, attempt("c", dataset=dataset))
    assert add(good, registry, tmp_path / "registered").result["attempts"] == expected
    assert listed(registry, "show", "--version", "1")["facts"]["attempts"] == expected
    assert listed(registry)["versions"][0]["facts"]["attempts"] == expected
    assert listed(registry)["datasets"] == [{"dataset_sha256": dataset, "models": 4, "refused": 3}]


def test_no_version_goes_uncounted(good: Chain, tmp_path: Path) -> None:
    """Whoever calls add and leaves record out has the attempt counted all the same."""
    assert add(good, tmp_path / "registry.sqlite", tmp_path / "registered").code == 0
    (one,) = SqliteRegistry(tmp_path / "registry.sqlite").attempts(NAME)
    assert one == replace(attempts.read(good.verdict), recorded_at=one.recorded_at)


def test_the_champion_artifact_has_the_same_bytes_in_any_order(tmp_path: Path) -> None:
    """Whichever run recorded first, and whenever: the same attempts are the same artifact."""
    tried = [attempt("a"), attempt("b", passed=True), attempt("c", dataset=None), replace(attempt("a"), gate_version=3)]
    hashes = set()
    for number, order in enumerate(itertools.permutations(tried)):
        registry = SqliteRegistry(tmp_path / f"{number}.sqlite")
        for one in order:
            registry.record(NAME, one)
        if number % 8 == 0:
            where = ("--live", tmp_path / f"live-{number}", "--registry", f"sqlite:///{tmp_path}/{number}.sqlite")
            hashes.add(command("brakeline-register", "champion", *where).sha256("live"))
    assert len(hashes) == 1
    told = json.loads((tmp_path / "live-0" / "champion.json").read_text())
    assert [one["model_sha256"][0] for one in told["attempts"]] == ["c", "a", "a", "b"]
    assert set(told["attempts"][0]) == {"dataset_sha256", "holdout_sha256", "model_sha256", "gate_version", "passed"}


def test_concurrent_recorders_neither_lose_nor_double(tmp_path: Path) -> None:
    """Six processes record three verdicts into a registry that is not there yet: each counts once."""
    calls = []
    for number in range(6):
        verdict = tmp_path / f"verdict-{number}"
        verdict.write_text(json.dumps(judged(model_sha256=str(number % 3) * 64)))
        words = ["record", "--verdict", verdict, "--recorded", tmp_path / f"recorded-{number}"]
        where = ["--registry", f"sqlite:///{tmp_path}/registry.sqlite"]
        calls.append(subprocess.Popen([str(BIN / "brakeline-register"), *map(str, words), *where],
                                      stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True))  # fmt: skip
    for call in calls:
        assert call.wait(60) == 0, call.communicate()[1]
    found = SqliteRegistry(tmp_path / "registry.sqlite").attempts(NAME)
    assert sorted(one.model_sha256[0] for one in found) == ["0", "1", "2"]
    numbers = [json.loads((tmp_path / f"recorded-{number}").read_text())["attempts"]["number"] for number in range(6)]
    assert numbers[:3] == numbers[3:]
    assert sorted(numbers[:3]) == [1, 2, 3]
