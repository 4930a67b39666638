"""The verbs: nothing enters without a passed verdict; what entered is fetched, promoted, archived, compared, pruned."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from stepkit import artifacts
from stepkit.verdict import sealed

from tests.conftest import Chain, Done, command


def add(chain: Chain, out: Path, verdict: Path | None = None, model: Path | None = None, *more: object) -> Done:
    return command(
        "brakeline-register", "add", "--model", model or chain.model, "--passed-verdict", verdict or chain.verdict,
        "--registered", out / "registered", "--registry", f"sqlite:///{out}/registry.sqlite", *more,
    )  # fmt: skip


def ask(out: Path, verb: str, *words: object) -> Done:
    return command("brakeline-register", verb, *words, "--registry", f"sqlite:///{out}/registry.sqlite")


def fetch(out: Path, version: str, to: Path) -> Done:
    files = ("--model", to / "model", "--passed-verdict", to / "verdict", "--registered", to / "registered")
    return ask(out, "fetch", "--version", version, *files)


def passed(chain: Chain, **changes: object) -> dict[str, Any]:
    """The chain's verdict as if every gate had let the model pass."""
    judged = json.loads(chain.verdict.read_text())
    gates = [gate | {"passed": True, "value": min(0, gate["limit"])} for gate in judged["gates"]]
    said = {key: value for key, value in judged.items() if key != "seal"}
    return sealed(said | {"passed": True, "gates": gates, **changes})


@pytest.fixture
def released(tiny: Chain, tmp_path: Path) -> Path:
    """A folder with a registry in it, and two versions of different graphs."""
    out = tmp_path / "out"
    out.mkdir()
    for number in ("1", "2"):
        model = tmp_path / number
        shutil.copytree(tiny.model, model, ignore=shutil.ignore_patterns(".lineage.json"))
        with (model / "model.onnx").open("ab") as graph:
            # An empty field that no reader knows: another graph by content.
            graph.write(b"\xf8\x07" + number.encode())
        judged = passed(tiny, model_sha256=artifacts.sha256_of(model / "model.onnx"), seed=int(number))
        artifacts.write_json(tmp_path / f"verdict-{number}", judged)
        told = ("--run", f"run-{number}", "--pipeline", "brakeline", "--revision", "abc")
        done = add(tiny, out, tmp_path / f"verdict-{number}", model, "--dossier", tiny.dossier, *told)
        assert done.code == 0, done.stderr
    return out


def test_a_new_version_was_compared_with_the_live_one(released: Path, tiny: Chain, tmp_path: Path) -> None:
    """A verdict beside none, or beside one that is live no more, registers nothing new (65)."""
    by_number = {one["version"]: one["sha256"] for one in ask(released, "list").result["versions"]}
    model = tmp_path / "3"
    shutil.copytree(tiny.model, model, ignore=shutil.ignore_patterns(".lineage.json"))
    with (model / "model.onnx").open("ab") as graph:
        graph.write(b"\xf8\x073")
    about = {"model_sha256": artifacts.sha256_of(model / "model.onnx")}
    for number in ("1", "2"):
        assert ask(released, "promote", "--version", number, "--promoted", tmp_path / "promoted").code == 0
    for beside in (None, by_number["1"]):
        artifacts.write_json(tmp_path / "verdict", passed(tiny, champion_sha256=beside, **about))
        refused = add(tiny, released, tmp_path / "verdict", model)
        assert (refused.code, refused.error["allowed"]) == (65, by_number["2"])
        assert "version 2 of stopping-distance" in refused.error["message"]
        assert "validate again" in refused.error["message"]
        assert len(ask(released, "list").result["versions"]) == 2
    artifacts.write_json(tmp_path / "verdict", passed(tiny, champion_sha256=by_number["2"], **about))
    done = add(tiny, released, tmp_path / "verdict", model)
    assert (done.code, done.result["version"]) == (0, "3")
    # What is known already is so whatever was live when it was judged: it may be signed later.
    assert add(tiny, released, tmp_path / "verdict-1", tmp_path / "1").result["version"] == "1"


def test_register_refuses_without_a_passed_verdict(good: Chain, tiny: Chain, tmp_path: Path) -> None:
    """Failed, altered, empty, of another schema, about another model: 65 each time, and the registry stays empty."""
    passed = json.loads(good.verdict.read_text())
    one_failed = passed["gates"][1] | {"passed": False}
    beyond = passed["gates"][1] | {"value": passed["gates"][1]["limit"] + 1}
    wrong = {
        "failed": sealed(passed | {"passed": False}),
        "passed by a word": sealed(passed | {"passed": "true"}),
        "a gate failed": sealed(passed | {"gates": [one_failed]}),
        "a value beyond its limit": sealed(passed | {"gates": [beyond]}),
        "no gates": sealed(passed | {"gates": []}),
        "another schema": sealed(passed | {"schema_version": 1}),
        "another model": sealed(passed | {"model_sha256": "0" * 64}),
        "altered": passed | {"seed": passed["seed"] + 1},
        "without a seal": {key: value for key, value in passed.items() if key != "seal"},
        "not a verdict": ["passed"],
    }
    for name, content in wrong.items():
        file = tmp_path / "verdict.json"
        file.write_text(json.dumps(content))
        done = add(good, tmp_path, verdict=file)
        assert done.code == 65, name
        assert not (tmp_path / "registered").exists(), name
    assert add(good, tmp_path, model=tiny.model).code == 65
    assert not (tmp_path / "registry.sqlite").exists()


def test_the_champion_is_the_live_version(good: Chain, tmp_path: Path) -> None:
    """None before the first promotion; then the very graph, and a damaged copy is refused."""
    where = ("--registry", f"sqlite:///{tmp_path}/registry.sqlite")
    assert add(good, tmp_path).code == 0
    assert command("brakeline-register", "champion", "--live", tmp_path / "none", *where).result["version"] is None
    promoted = command(
        "brakeline-register", "promote", "--registered", tmp_path / "registered", "--promoted", tmp_path / "p", *where
    )
    assert promoted.result["state"] == "live"
    assert command("brakeline-register", "champion", "--live", tmp_path / "live", *where).result["version"] == "1"
    assert (tmp_path / "live" / "model.onnx").read_bytes() == (good.model / "model.onnx").read_bytes()
    (version,) = command("brakeline-register", "list", *where).result["versions"]
    assert command("brakeline-register", "show", "--version", "1", *where).result["sha256"] == version["sha256"]
    graph = Path(version["uri"]) / "model.onnx"
    graph.write_bytes(graph.read_bytes()[:-1] + b"?")
    damaged = command("brakeline-register", "champion", "--live", tmp_path / "damaged", *where)
    assert damaged.code == 65
    assert "altered" in damaged.error["message"]
    assert not (tmp_path / "damaged").exists()


def test_a_version_is_fetched_as_it_was_registered(released: Path, tmp_path: Path) -> None:
    """Model, verdict and entry again, after the run's own files are gone: what deploy takes."""
    before = artifacts.sha256_of(tmp_path / "1"), (tmp_path / "verdict-1").read_bytes()
    shutil.rmtree(tmp_path / "1")
    done = fetch(released, "1", tmp_path / "again")
    assert done.code == 0, done.stderr
    assert (artifacts.sha256_of(tmp_path / "again" / "model"), (tmp_path / "again" / "verdict").read_bytes()) == before
    known = json.loads((tmp_path / "again" / "registered").read_text())
    assert (known["version"], known["sha256"]) == ("1", done.result["sha256"])
    assert set(known["papers"]) == {"verdict", "card", "dossier", "lineage"}


def test_an_altered_version_is_not_fetched(released: Path, tmp_path: Path) -> None:
    """65, and no output is there; the same for a paper, and for a version that is not there."""
    graph = Path(ask(released, "show", "--version", "1").result["uri"]) / "model.onnx"
    graph.write_bytes(graph.read_bytes()[:-1] + b"?")
    refused = fetch(released, "1", tmp_path / "again")
    assert refused.code == 65
    assert "altered" in refused.error["message"]
    assert not list((tmp_path / "again").iterdir())
    Path(ask(released, "show", "--version", "2").result["papers"]["verdict"]["uri"]).write_text("{}")
    assert fetch(released, "2", tmp_path / "again").code == 65
    assert fetch(released, "3", tmp_path / "again").code == 65
    assert fetch(released, "", tmp_path / "again").code == 2


def test_a_version_tells_where_it_is_from(released: Path) -> None:
    """Run, pipeline, revision, figures, gates, the card's text and the dossier's place."""
    shown = ask(released, "show", "--version", "2").result
    assert shown["source"] == {"run": "run-2", "pipeline": "brakeline", "revision": "abc"}
    assert shown["facts"]["overall"]["mae_m"] > 0
    assert {gate["passed"] for gate in shown["facts"]["gates"]} == {True}
    assert Path(shown["papers"]["dossier"]["uri"]).read_text().startswith("<")
    assert "run-2" in shown["card"]
    assert shown["changes"] == []


def test_registering_again_changes_nothing(released: Path, tiny: Chain, tmp_path: Path) -> None:
    """Another run that comes to the same model: the same version, with its first source and papers."""
    before = ask(released, "show", "--version", "1").result
    again = add(tiny, released, tmp_path / "verdict-1", tmp_path / "1", "--run", "another run")
    assert (again.code, again.result["version"]) == (0, "1")
    known = ask(released, "show", "--version", "1").result
    assert {**known, "seconds": 0} == {**before, "seconds": 0}


def test_promotion_is_on_record(released: Path, tmp_path: Path) -> None:
    """By number, with who, when and why; the version before is told; archiving the live one is refused."""
    for version in ("1", "2"):
        words = ("--version", version, "--promoted", tmp_path / "promoted", "--by", "ann", "--why", f"try {version}")
        done = ask(released, "promote", *words)
        assert done.code == 0, done.stderr
    assert done.result["before"] == "1"
    (change,) = ask(released, "show", "--version", "2").result["changes"]
    assert (change["by"], change["why"], change["state"]) == ("ann", "try 2", "live")
    assert ask(released, "archive", "--version", "2", "--why", "no").code == 65
    assert ask(released, "archive", "--version", "1", "--why", "old").result["state"] == "archived"
    assert ask(released, "promote", "--promoted", tmp_path / "promoted").code == 2


def test_versions_are_compared(released: Path) -> None:
    """Each subject has its rows, and what differs is marked."""
    subjects = ask(released, "diff", "--a", "1", "--b", "2").result["subjects"]
    assert set(subjects) == {"metrics", "gates", "data", "training", "code", "contract"}
    rows = {row["name"]: row for row in subjects["code"]}
    assert (rows["run"]["a"], rows["run"]["b"], rows["run"]["same"]) == ("run-1", "run-2", False)
    assert rows["revision"]["same"]
    assert {row["name"] for row in subjects["metrics"]} >= {"mae_m", "width"}
    assert {row["name"] for row in subjects["gates"]} >= {"parity", "parity, limit", "version"}
    refused = ask(released, "diff", "--a", "1")
    assert refused.code == 2
    assert "--b" in refused.error["message"]


def test_pruned_versions_keep_their_papers(released: Path, tmp_path: Path) -> None:
    """A dry run changes nothing; then the model is gone, archived on record, and what is live is never touched."""
    ask(released, "promote", "--version", "2", "--promoted", tmp_path / "promoted")
    before = ask(released, "show", "--version", "1").result
    told = ask(released, "prune", "--versions", "1", "--dry-run").result["versions"]
    assert told[0]["freed_bytes"] > 100_000
    assert Path(before["uri"]).is_dir()
    assert ask(released, "prune", "--versions", "1,2").code == 65
    assert ask(released, "show", "--version", "1").result["state"] == "registered"
    for freed in (told[0]["freed_bytes"], 0):
        done = ask(released, "prune", "--versions", "1", "--by", "ann", "--why", "older than a year")
        assert [gone["freed_bytes"] for gone in done.result["versions"]] == [freed]
    assert not Path(before["uri"]).exists()
    shown = ask(released, "show", "--version", "1").result
    assert (shown["state"], shown["card"]) == ("archived", before["card"])
    assert [change["why"] for change in shown["changes"]] == ["older than a year"]
    assert fetch(released, "1", tmp_path / "again").code == 65
    assert ask(released, "promote", "--version", "1", "--promoted", tmp_path / "promoted").code == 65
    assert fetch(released, "2", tmp_path / "again").code == 0


def test_what_another_name_stands_on_is_not_pruned(released: Path, tiny: Chain, tmp_path: Path) -> None:
    """The same content under two names is kept once; it goes with the last of them."""
    other = add(tiny, released, tmp_path / "verdict-1", tmp_path / "1", "--name", "other")
    assert other.result["uri"] == ask(released, "show", "--version", "1").result["uri"]
    (told,) = ask(released, "prune", "--versions", "1").result["versions"]
    assert (told["freed_bytes"], told["needed_by"]) == (0, ["other 1"])
    (told,) = ask(released, "prune", "--versions", "1", "--name", "other").result["versions"]
    assert told["freed_bytes"] > 0


def test_a_pruned_model_that_is_made_again_is_kept_again(released: Path, tiny: Chain, tmp_path: Path) -> None:
    """`train it again` is what is said of a pruned one: then it is the same version, fetched as ever."""
    before = artifacts.sha256_of(tmp_path / "1")
    assert ask(released, "prune", "--versions", "1").code == 0
    assert fetch(released, "1", tmp_path / "gone").code == 65
    again = add(tiny, released, tmp_path / "verdict-1", tmp_path / "1")
    assert (again.code, again.result["version"]) == (0, "1")
    assert fetch(released, "1", tmp_path / "again").code == 0
    assert artifacts.sha256_of(tmp_path / "again" / "model") == before
    shown = ask(released, "show", "--version", "1").result
    assert shown["state"] == "registered"
    assert [change["state"] for change in shown["changes"]] == ["archived", "registered"]


def test_what_somebody_archived_does_not_come_back_by_a_run(released: Path, tiny: Chain, tmp_path: Path) -> None:
    """The very same model, made again: 65 with who and why, and it stays archived until a person promotes it."""
    assert ask(released, "archive", "--version", "1", "--by", "ann", "--why", "its dataset was withdrawn").code == 0
    for _ in range(2):
        again = add(tiny, released, tmp_path / "verdict-1", tmp_path / "1")
        assert again.code == 65
        assert "archived by ann" in again.error["message"] and "its dataset was withdrawn" in again.error["message"]
    assert [version["state"] for version in ask(released, "list").result["versions"]] == ["archived", "registered"]
    assert fetch(released, "1", tmp_path / "running").code == 0
    by_run = ("--registered", tmp_path / "running" / "registered", "--promoted", tmp_path / "promoted")
    refused = ask(released, "promote", *by_run)
    assert refused.code == 65 and "archived by ann" in refused.error["message"]
    assert not (tmp_path / "promoted").exists()
    assert ask(released, "show", "--version", "1").result["state"] == "archived"
    assert ask(released, "promote", "--version", "1", "--promoted", tmp_path / "promoted").code == 0
    assert ask(released, "promote", *by_run).code == 0
    assert add(tiny, released, tmp_path / "verdict-1", tmp_path / "1").code == 0


def test_what_is_promoted_is_what_was_registered(released: Path, tmp_path: Path) -> None:
    """A registration of another registry, where the number is another model's, or none at all: 65, and none is live."""
    file = tmp_path / "told"
    other = {"name": "stopping-distance", "version": "1", "sha256": "f" * 64}
    contents: list[object] = [other, {"version": "1"}, []]
    for content in contents:
        file.write_text(json.dumps(content))
        done = ask(released, "promote", "--registered", file, "--promoted", tmp_path / "promoted")
        assert done.code == 65
        assert str(file) in done.error["message"]
    assert {version["state"] for version in ask(released, "list").result["versions"]} == {"registered"}
