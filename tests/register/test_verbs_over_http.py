"""The verbs on a Kubeflow Model Registry: as processes, over a socket, with a service that stumbles."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from brakeline_deploy import manifest
from brakeline_register import connection
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


def test_what_is_archived_on_the_dashboard_comes_back_by_no_run(tiny: Chain, held: StandIn, tmp_path: Path) -> None:
    """65 for add and for a run's promote, and nobody is named who archived it another time; a person promotes it."""
    where, registered = ("--registry", held.url), ("--registered", tmp_path / "registered")
    artifacts.write_json(tmp_path / "verdict", passed(tiny))
    made = ("--model", tiny.model, "--passed-verdict", tmp_path / "verdict", "--keep", tmp_path / "models", *registered)
    version = ("--version", "1", *where)
    live = ("promote", "--promoted", tmp_path / "promoted")
    for words in (("add", *made, *where), ("archive", "--by", "ann", *version), (*live, *version)):
        assert command("brakeline-register", *words).code == 0
    next(one for one in held.versions if one["name"] == "1")["state"] = "ARCHIVED"
    for again in (("add", *made, *where), (*live, *registered, *where)):
        refused = command("brakeline-register", *again)
        assert refused.code == 65
        assert "archived; no run brings it back" in refused.error["message"]
    assert command("brakeline-register", "show", *version).result["state"] == "archived"
    assert command("brakeline-register", *live, *version).result["state"] == "live"
    assert command("brakeline-register", "add", *made, *where).code == 0


def test_a_registration_tells_what_the_dashboard_looks_for(
    tiny: Chain, held: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ids of model and version as the registry has them, strings, and its name: added or fetched, they are the labels.

    The embedded registry has none, and a registry whose name nobody says is not given one.
    """
    verdict, model = tmp_path / "verdict", ("--model", tiny.model, "--passed-verdict", tmp_path / "verdict")
    artifacts.write_json(verdict, passed(tiny))

    def labels(name: str, verb: str, *words: object) -> dict[str, str]:
        done = command("brakeline-register", verb, *words, "--registered", tmp_path / name)
        assert done.code == 0, done.stderr
        return manifest.lineage_labels(json.loads((tmp_path / name).read_text()))

    where = ("--registry", held.url)
    known = labels("unnamed", "add", *model, *where, "--keep", tmp_path / "models")
    (of_model,), (of_version,) = (held.models, [one for one in held.versions if one["name"] == "1"])
    assert known == {
        "modelregistry.opendatahub.io/registered-model-id": of_model["id"],
        "modelregistry.opendatahub.io/model-version-id": of_version["id"],
    }
    monkeypatch.setenv("BRAKELINE_REGISTRY_NAME", "brakeline-registry")
    fetched = ("--version", "1", "--model", tmp_path / "model", "--passed-verdict", tmp_path / "again")
    assert labels("named", "fetch", *fetched, *where) == {
        **known, "modelregistry.opendatahub.io/name": "brakeline-registry"
    }  # fmt: skip
    assert labels("embedded", "add", *model, "--registry", f"sqlite:///{tmp_path}/registry.sqlite") == {}


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("https://brakeline-registry.rhoai-model-registries.svc:8443", "brakeline-registry"),
        ("https://brakeline-registry.rhoai-model-registries.svc.cluster.local:8443", "brakeline-registry"),
        ("https://brakeline-registry-rest.apps.example.com", "brakeline-registry"),
        ("https://gateway.example.com/model-registry/brakeline-registry/", "brakeline-registry"),
        ("https://registry.example.com", ""),
        ("http://127.0.0.1:8080", ""),
        ("https://my-rest", ""),
    ],
)
def test_a_registrys_name_is_read_from_the_operators_addresses(
    address: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its Service, Route and path; any other address tells none."""
    monkeypatch.delenv("BRAKELINE_REGISTRY_NAME", raising=False)
    assert connection.name_of(address) == name


def test_a_service_that_is_down_ends_a_verb_with_69(tiny: Chain, held: StandIn, tmp_path: Path) -> None:
    """After tries within the step, and no output is there."""
    held.faults = [Fault(status=500, times=99)]
    done = command("brakeline-register", "champion", "--live", tmp_path / "live", "--registry", held.url)
    assert done.code == 69
    assert "asked 5 times" in done.error["message"]
    assert not (tmp_path / "live").exists()
    tried = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["attempt"] for line in tried if line["event"] == "asking the registry again"] == [1, 2, 3, 4]
