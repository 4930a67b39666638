"""What was done with a version since it was closed: each call's own record, shown below the lineage and held to it."""

import io
from pathlib import Path
from typing import Any

import pytest
from brakeline import descent, inspection, record, releases, report
from rich.console import Console
from stepkit import artifacts, lineage

from tests.conftest import command
from tests.lineage import toy

VERBS = ("record", "add", "promote")


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> toy.Released:
    """A run that also counts, registers and promotes its model, as the pipeline does, with a record of each."""
    made = toy.run(tmp_path_factory.mktemp("toy") / "state")
    kept = record.RunRecord.read(made.state / "runs" / "run-1")
    given, at = made.artifacts, {verb: kept.folder / verb for verb in VERBS}
    words = {
        "record": ("--verdict", given["verdict"], "--recorded", at["record"] / "recorded"),
        "add": ("--model", given["model"], "--passed-verdict", given["verdict"], "--lineage", given["lineage"],
                "--registered", at["add"] / "registered"),
        "promote": ("--registered", at["add"] / "registered", "--promoted", at["promote"] / "promoted",
                    "--by", "pipeline", "--why", "passed"),
    }  # fmt: skip
    for verb in VERBS:
        asked = ("--origin", at[verb] / "origin", "--registry", made.registry)
        done = command("brakeline-register", verb, *words[verb], *asked, environment=toy.CODE)
        assert done.code == 0, done.stderr
        told = {name: {"uri": one["uri"], **one["metadata"]} for name, one in done.result["artifacts"].items()}
        kept.tasks.append(record.TaskRecord(verb, "", record.SUCCEEDED, False, 0.0, told))
    kept.write()
    return made


def examine(released: toy.Released) -> report.Report:
    found = inspection.find(released.registry, toy.NAME, "1")
    return inspection.examine(found, released.registry, released.state)


def test_each_call_leaves_a_record_of_its_own(released: toy.Released) -> None:
    """Inputs and outputs by sha256, parameters, image and revision; and the calls that its model comes from."""
    at = released.state / "runs" / "run-1"
    (added,) = (call for call in lineage.read(at / "add" / "origin") if call.verb == "add")
    assert (added.image, added.revision) == (toy.IMAGE, toy.REVISION)
    assert added.inputs["model"] == [artifacts.sha256_of(released.artifacts["model"])]
    assert added.outputs == {"registered": artifacts.sha256_of(at / "add" / "registered")}
    assert added.parameters["run"] == ""
    (promoted,) = lineage.read(at / "promote" / "origin")
    assert promoted.inputs["registered"] == [added.outputs["registered"]]
    assert {"fit", "assemble", "generate"} < {call.verb for call in lineage.read(at / "add" / "origin")}


def test_without_a_place_for_it_there_is_no_record(released: toy.Released, tmp_path: Path) -> None:
    """By hand as ever: the option may be left out, nothing else is written; and the signature says that it may."""
    words = ("--verdict", released.artifacts["verdict"], "--recorded", tmp_path / "recorded")
    assert command("brakeline-register", "record", *words, "--registry", released.registry).code == 0
    assert [file.name for file in tmp_path.iterdir()] == ["recorded"]
    described = command("brakeline-register", "record", "--describe").result["outputs"]
    assert (described["origin"]["optional"], described["recorded"]["optional"]) == (True, False)


def test_a_run_tells_what_it_did_with_the_version(released: toy.Released) -> None:
    """Counted, registered, promoted, in this order, below the model's past; the closed statement is as it was."""
    report = examine(released)
    assert (report.altered, report.missing) == ([], [])
    assert [one.how for one in report.releases] == ["counted by", "registered by", "promoted by"]
    assert {one.within for one in report.releases} == {"run-1"}
    assert len(report.chain.calls) == 5, "what came after the statement is no part of it"
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(descent.draw(report))
    lines = [line.strip(" │├└─") for line in console.export_text().splitlines()]
    (promoted,) = (line for line in lines if line.startswith("promoted by register promote"))
    assert "by pipeline, passed" in promoted
    assert toy.REVISION[:12] in promoted
    (given,) = (line for line in lines if line.startswith("gave registered"))
    assert given.endswith("intact")
    assert lines.index(promoted) > max(place for place, line in enumerate(lines) if line.startswith("made by"))


def test_another_versions_release_is_not_told(released: toy.Released) -> None:
    """A version of another model, name or verdict has no part in these records."""
    version = inspection.find(released.registry, toy.NAME, "1")
    records = [("run-1", file) for file in (released.state / "runs" / "run-1").glob("*/origin")]
    verdict = version["papers"]["verdict"]["sha256"]
    assert len(list(releases.of_runs(records, version, {verdict}))) == 3
    for other in ({"folder_sha256": "0" * 64}, {"model": "other"}):
        assert [one.how for one in releases.of_runs(records, {**version, **other}, {verdict})] == ["counted by"]
    assert list(releases.of_runs(records, {**version, "model": "other"}, {"0" * 64})) == []


def test_an_altered_record_is_found(released: toy.Released) -> None:
    """A flipped byte of a record: named with both hashes."""
    for file in (released.state / "runs" / "run-1" / verb / "origin" for verb in VERBS):
        whole = file.read_bytes()
        file.write_bytes(whole[:-2] + bytes([whole[-2] ^ 1]) + whole[-1:])
        try:
            assert [one.file for one in examine(released).altered] == [str(file)]
        finally:
            file.write_bytes(whole)


def promote(released: toy.Released, *words: object) -> Any:
    return command("brakeline", "models", "promote", "1", "--state", released.state, "--json", *words)


def test_what_a_person_does_is_kept_below_the_state(released: toy.Released) -> None:
    """`brakeline models promote` leaves what it gave and its record; `brakeline lineage` tells who and why.

    Another registry's version of the same number has no part in it; a record that cannot be read is altered.
    """
    assert promote(released, "--why", "reviewed", "--by", "ann").code == 0
    (folder,) = (released.state / "releases" / "stopping-distance-1").iterdir()
    assert sorted(file.name for file in folder.iterdir()) == ["origin", "promoted"]
    (told,) = (one for one in examine(released).releases if one.file.parent == folder)
    assert (told.how, told.about, told.within) == ("promoted by", "by ann, reviewed", folder.name)
    version = inspection.find(released.registry, toy.NAME, "1")
    assert list(releases.of_people(released.state, version, "https://another")) == []
    for file in folder.iterdir():
        whole = file.read_bytes()
        file.write_bytes(whole[:-2] + b"!" + whole[-1:])
        assert [one.file for one in examine(released).altered] == [str(file)]
        file.write_bytes(whole)


def test_a_call_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """No empty folder of a promotion that was refused."""
    state = tmp_path / "state"
    refused = command("brakeline", "models", "promote", "7", "--why", "x", "--state", state, "--json")
    assert refused.code == 65
    assert not (state / "releases").exists()


def test_a_state_that_cannot_be_written_stops_no_promotion(released: toy.Released) -> None:
    """The record is not kept, which is told with the place; the version is promoted all the same."""
    place = released.state / "releases" / "other-1"
    place.parent.mkdir(exist_ok=True)
    place.write_text("in the way")
    words = ("--name", "other", "--why", "x")
    added = released.add("--name", "other")
    assert added.code == 0, added.stderr
    done = promote(released, *words)
    assert done.code == 0, done.stderr
    assert str(place) in done.stderr
    assert done.result["state"] == "live"
