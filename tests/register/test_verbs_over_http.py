"""The verbs on a Kubeflow Model Registry: as processes, over a socket, with a service that stumbles."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from stepkit import artifacts

from tests.conftest import Chain, Done, command
from tests.register.registries import service
from tests.register.stand_in import TOKEN, Fault, StandIn
from tests.register.test_verbs import passed


@pytest.fixture
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    with service("0.3.8", tmp_path, monkeypatch) as held:
        yield held
    assert held.breaches == []


def test_a_models_way_through_the_verbs(tiny: Chain, held: StandIn, tmp_path: Path) -> None:
    """Judged, registered twice, promoted, fetched as champion and whole: one of each, and no word of the token."""
    verdict, out = tmp_path / "verdict", tmp_path / "out"
    artifacts.write_json(verdict, passed(tiny))
    told: list[Done] = []

    def ask(verb: str, *words: object, code: int = 0) -> Done:
        held.faults = [Fault(status=503), Fault(how="reset")] if verb == "add" else []
        done = command("brakeline-register", verb, *words, "--registry", held.url)
        assert done.code == code, done.stderr
        told.append(done)
        return done

    assert ask("record", "--verdict", verdict, "--recorded", out / "recorded").result["attempts"]["models"] == 1
    model = ("--model", tiny.model, "--passed-verdict", verdict, "--registered", out / "registered")
    assert "--keep" in ask("add", *model, code=2).error["message"]
    for _ in range(2):
        added = ask("add", *model, "--keep", tmp_path / "models", "--run", "run-1").result
        assert added["version"] == "1"
    ask("promote", "--registered", out / "registered", "--promoted", out / "promoted", "--by", "ann", "--why", "good")
    assert ask("champion", "--live", out / "live").result["version"] == "1"
    assert (out / "live" / "model.onnx").read_bytes() == (tiny.model / "model.onnx").read_bytes()
    fetched = ("--model", out / "model", "--passed-verdict", out / "verdict", "--registered", out / "again")
    ask("fetch", "--version", "1", *fetched)
    assert artifacts.sha256_of(out / "model") == artifacts.sha256_of(tiny.model)
    assert json.loads((out / "again").read_text()) == json.loads((out / "registered").read_text())
    shown = ask("show", "--version", "1").result
    assert (shown["source"]["run"], shown["changes"][0]["why"]) == ("run-1", "good")
    assert set(shown["papers"]) >= {"verdict", "card", "lineage"}
    listed = ask("list").result
    assert [(one["version"], one["state"]) for one in listed["versions"]] == [("1", "live")]
    assert listed["datasets"][0]["models"] == 1
    assert ask("archive", "--version", "1", code=65).error["event"] == "Refused"
    assert not any(TOKEN in done.stdout + done.stderr for done in told)
    assert sorted(one["name"] for one in held.versions) == ["1", "attempts", "changes"]


def test_a_service_that_is_down_ends_a_verb_with_69(tiny: Chain, held: StandIn, tmp_path: Path) -> None:
    """After tries within the step, and no output is there."""
    held.faults = [Fault(status=500, times=99)]
    done = command("brakeline-register", "champion", "--live", tmp_path / "live", "--registry", held.url)
    assert done.code == 69
    assert "asked 5 times" in done.error["message"]
    assert not (tmp_path / "live").exists()
    tried = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["attempt"] for line in tried if line["event"] == "asking the registry again"] == [1, 2, 3, 4]
