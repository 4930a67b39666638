"""`brakeline lineage`: any flipped byte is found, what is not here is named, and a tree tells who made what."""

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from brakeline import descent, inspection
from brakeline.content import sha256_of
from rich.console import Console
from stepkit import artifacts, lineage

from tests.conftest import Done, command
from tests.lineage import toy


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> toy.Released:
    made = toy.run(tmp_path_factory.mktemp("toy") / "state")
    done = made.add("--dossier", made.artifacts["measurements"])
    assert done.code == 0, done.stderr
    return made


@pytest.fixture
def version(released: toy.Released) -> dict[str, Any]:
    return inspection.find(released.registry, toy.NAME, "1")


def ask(released: toy.Released, version: str, *words: str) -> Done:
    return command("brakeline", "lineage", version, "--state", released.state, *words)


def files(released: toy.Released) -> list[Path]:
    """Every file that a run or the registry left, save the registry itself and the run's record."""
    found = [file for file in released.state.rglob("*") if file.is_file() and file.parent != released.state]
    return [file for file in found if file.name not in {"run.json", ".alive", ".lock"} and "made.json" not in file.name]


@pytest.fixture
def flipped(released: toy.Released) -> Iterator[Any]:
    """Flip a byte of a file for the time of a test."""
    before: dict[Path, bytes] = {}

    def flip(file: Path, place: int) -> None:
        whole = before.setdefault(file, file.read_bytes())
        at = place % len(whole)
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])

    yield flip
    for file, whole in before.items():
        file.write_bytes(whole)


def test_hashes_are_those_of_the_steps(released: toy.Released) -> None:
    """The orchestrator imports no kit, and hashes as it does."""
    for path in (*released.artifacts.values(), released.state):
        assert sha256_of(path) == artifacts.sha256_of(path)


def test_an_untouched_version_is_intact(released: toy.Released, version: dict[str, Any]) -> None:
    """All that the lineage names is here, and each of it is as it was recorded."""
    report = inspection.examine(version, released.registry, released.state)
    assert (report.altered, report.missing) == ([], [])
    assert set(report.chain.names) <= report.seen.keys()
    done = ask(released, "1", "--json")
    assert done.code == 0, done.stderr
    assert done.result["status"] == "intact"
    assert len(done.result["calls"]) == 5


def test_a_flipped_byte_in_any_file_is_found(released: toy.Released, version: dict[str, Any]) -> None:
    """First, middle and last byte of each artifact, each paper and each hidden lineage: named with both hashes."""
    touched = files(released)
    kinds = {"model.onnx", "golden.json", "rows.csv", "verdict.json", "lineage.json", "card.md", "dossier.html",
             "rejects", "verdict", "measurements", "lineage", ".lineage.json", "stops.csv"}  # fmt: skip
    assert {file.name for file in touched} == kinds
    assert len(touched) == 23
    for file in touched:
        whole = file.read_bytes()
        for place in (0, len(whole) // 2, len(whole) - 1):
            file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            report = inspection.examine(version, released.registry, released.state)
            assert any(Path(one.file) in (file, file.parent) for one in report.altered), (file, place)
            assert all(one.found != one.recorded and one.recorded for one in report.altered)
        file.write_bytes(whole)
    assert not inspection.examine(version, released.registry, released.state).altered


def test_a_past_that_was_rewritten_with_its_seal_is_found(released: toy.Released, version: dict[str, Any]) -> None:
    """No call at all, or code of another version: the seal is right, and the registered lineage knows better."""
    file = Path(version["uri"]) / lineage.FILE
    whole, calls = file.read_bytes(), lineage.read(file)
    try:
        for forged in ([], [replace(call, version="9.9.9") for call in calls]):
            lineage.write(file, forged)
            altered = inspection.examine(version, released.registry, released.state).altered
            assert [one.file for one in altered] == [str(file)]
    finally:
        file.write_bytes(whole)


@pytest.fixture
def records(released: toy.Released) -> Iterator[list[Path]]:
    """The hidden lineage of the kept model and of each folder of the run, as a test may spoil it."""
    found = {file: file.read_bytes() for file in released.state.rglob(lineage.FILE)}
    yield sorted(found)
    for file, whole in found.items():
        file.write_bytes(whole)


def test_a_past_that_was_removed_is_missing(
    released: toy.Released, version: dict[str, Any], records: list[Path]
) -> None:
    """The registered lineage knows who made each: what no longer tells it is named with its place, and no error."""
    assert {file.parent.name for file in records} == {version["sha256"], "model", "dataset", "holdout", "part"}
    for file in records:
        file.unlink()
    report = inspection.examine(version, released.registry, released.state)
    assert report.altered == []
    told = [one.artifact for one in report.missing]
    assert len(told) == len(records)
    assert all(any(one.startswith("lineage of") and one.endswith(str(file)) for one in told) for file in records)
    assert ask(released, "1", "--json").code == 0


def test_a_past_that_was_reduced_is_found(
    released: toy.Released, version: dict[str, Any], records: list[Path]
) -> None:
    """Any one call taken out of any folder's past, and sealed again: named with file and what nobody made any more."""
    tried = 0
    for file in records:
        whole, calls = file.read_bytes(), lineage.read(file)
        for gone in calls:
            lineage.write(file, [call for call in calls if call is not gone])
            altered = inspection.examine(version, released.registry, released.state).altered
            assert {one.file for one in altered} == {str(file)}, gone.verb
            assert "the registered lineage knows one" in altered[0].found
            tried += 1
        file.write_bytes(whole)
    assert tried == 4 + 4 + 3 + 3 + 1 + 1


def test_the_same_bytes_may_have_another_past(
    released: toy.Released, version: dict[str, Any], records: list[Path]
) -> None:
    """A run's artifact that other code made again is no alteration, with however much it tells."""
    for file in (file for file in records if "runs" in file.parts):
        calls = [replace(call, revision="b" * 40) for call in lineage.read(file)]
        lineage.write(file, calls[:1] if file.parent.name == "part" else calls)
    report = inspection.examine(version, released.registry, released.state)
    assert (report.altered, report.missing) == ([], [])


def test_a_pruned_model_that_other_code_made_again_has_its_registered_past(tmp_path: Path) -> None:
    """Kept again, with the lineage that its statement closed: nothing is altered."""
    made = toy.run(tmp_path / "state", shards=1)
    assert made.add().code == 0
    words = ("--versions", "1", "--registry", made.registry)
    assert command("brakeline-register", "prune", *words).code == 0
    file = made.artifacts["model"] / lineage.FILE
    lineage.write(file, [replace(call, revision="b" * 40) for call in lineage.read(file)])
    assert made.add().code == 0
    version = inspection.find(made.registry, toy.NAME, "1")
    report = inspection.examine(version, made.registry, tmp_path)
    assert (report.altered, bool(report.seen[version["folder_sha256"]])) == ([], True)
    kept = lineage.read(Path(version["uri"]) / lineage.FILE)
    assert {call.revision for call in kept} == {toy.REVISION}


def test_an_altered_artifact_ends_with_65(released: toy.Released, flipped: Any) -> None:
    """The message names file, found and recorded sha256; the tree marks it."""
    rows = released.artifacts["holdout"] / "rows.csv"
    recorded = artifacts.sha256_of(rows.parent)
    flipped(rows, 3)
    done = ask(released, "1")
    assert done.code == 65
    for said in (str(rows.parent), artifacts.sha256_of(rows.parent), recorded):
        assert said in done.stderr.replace("\n", "")
    assert "ALTERED" in done.stdout
    told = ask(released, "1", "--json")
    assert told.code == 65
    (one,) = told.result["altered"]
    assert one["file"] == str(rows.parent)
    assert (one["found"], one["recorded"]) == (artifacts.sha256_of(rows.parent), recorded)


def test_what_is_not_here_is_named_and_no_error(released: toy.Released, tmp_path: Path) -> None:
    """After the run is gone: the kept model and its papers are intact, the rest is missing; 0."""
    runs = (released.state / "runs").rename(tmp_path / "elsewhere")
    try:
        done = ask(released, "1", "--json")
        assert done.code == 0, done.stderr
        assert {one["artifact"] for one in done.result["missing"]} == {
            "part", "recorded", "dataset", "holdout", "rejects",
        }  # fmt: skip
        assert done.result["status"] == "intact"
        assert "not here" in ask(released, "1").stdout
    finally:
        runs.rename(released.state / "runs")


def test_without_a_lineage_the_model_is_checked(
    released: toy.Released, version: dict[str, Any], flipped: Any, tmp_path: Path
) -> None:
    """A version of before there was one: said to be missing, and the model is held to what the registry knows."""
    papers = {name: paper for name, paper in version["papers"].items() if name != "lineage"}
    report = inspection.examine(version | {"papers": papers}, released.registry, tmp_path)
    assert [one.artifact for one in report.missing] == ["lineage"]
    assert report.seen
    flipped(Path(version["uri"]) / "model.onnx", 0)
    assert inspection.examine(version | {"papers": papers}, released.registry, tmp_path).altered


def test_a_statement_about_another_model_is_altered(released: toy.Released, version: dict[str, Any]) -> None:
    """Also where the registry's hash of the statement is right."""
    report = inspection.examine(version | {"sha256": "0" * 64}, released.registry, released.state)
    assert [one.artifact for one in report.altered if one.artifact == "lineage"] == ["lineage"]


def test_the_tree_goes_from_the_model_to_what_came_from_outside(
    released: toy.Released, version: dict[str, Any]
) -> None:
    """Model, fit, dataset, assemble, parts, recorded stops; a loop's calls once, and nothing twice."""
    report = inspection.examine(version, released.registry, released.state)
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(descent.draw(report))
    lines = [line.strip(" │├└─") for line in console.export_text().splitlines()]
    order = ["model  ", "made by toy fit", "dataset", "made by toy assemble", "parts ×2", "made by toy generate ×2",
             "recorded", "judged by toy judge", "holdout"]  # fmt: skip
    places = [next(number for number, line in enumerate(lines) if line.startswith(start)) for start in order]
    assert places == sorted(places)
    assert "from outside" in lines[places[order.index("recorded")]]
    assert toy.REVISION[:12] in lines[places[1]]
    assert sum(line.startswith("parts") for line in lines) == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [(("7",), "there are 1"), (("1", "--name", "other"), "there are none"), (("1", "--registry", "ftp://x"), "ftp")],
)
def test_an_unknown_version_is_told(released: toy.Released, words: tuple[str, ...], said: str) -> None:
    """No traceback: what there is, and a status that says whose fault it is."""
    done = ask(released, *words, "--json")
    assert done.code in (2, 65)
    assert said in done.stderr
    assert json.loads(done.stdout)["status"] == "failed"


def test_looking_makes_no_registry(tmp_path: Path) -> None:
    """Asked where there is none it says so, and leaves nothing behind."""
    done = command("brakeline", "lineage", "1", "--state", tmp_path / "state")
    assert done.code == 65
    assert not (tmp_path / "state").exists()
