"""A Kubeflow Model Registry as others see it: the dashboard, the platform's own client, whoever guards it."""

import inspect
import json
import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from brakeline_register import connection, desk
from brakeline_register.attempts import Attempt
from brakeline_register.registry import Paper, Registry, Source, State, open_registry
from mr_openapi import ModelRegistryServiceApi
from stepkit.errors import ServiceUnavailable, StepError

from tests.conftest import HOUSE
from tests.register.registries import NAME, entry, service
from tests.register.stand_in import TOKEN, StandIn


@pytest.fixture(params=["0.2.19", "0.3.8"])
def held(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    with service(request.param, tmp_path, monkeypatch) as held:
        yield held
    assert held.breaches == []


@pytest.fixture
def kept(held: StandIn) -> Registry:
    return open_registry(held.url)


def raw(held: StandIn, name: str) -> dict[str, Any]:
    return next(one for one in held.versions if one["name"] == name)


def test_the_client_is_the_one_that_was_read() -> None:
    """The pinned package has every part that we use, and takes a timeout in each call."""
    assert version("model-registry") == "0.3.14"
    for owner, names in connection.INTERNALS.items():
        for name in names:
            assert hasattr(owner, name) or name in inspect.getsource(owner.__init__), f"{owner.__name__}.{name}"
    operations = connection.INTERNALS[ModelRegistryServiceApi]
    for name in operations:
        assert "_request_timeout" in inspect.signature(getattr(ModelRegistryServiceApi, name)).parameters, name
    sources = "".join(file.read_text() for file in (HOUSE / "steps" / "register" / "src").rglob("*.py"))
    asked = set(re.findall(r'(?:_ask|_once|_pages|ask)\(\s*"(\w+)"', sources))
    assert asked == set(operations)


def test_the_registrys_own_fields_are_used(held: StandIn, kept: Registry) -> None:
    """Place, format and source where the dashboard and KServe look for them; the rest is typed and named."""
    kept.add(NAME, entry("a", uri="s3://bucket/models/a"))
    told, names = raw(held, "1"), {one["name"]: one for _, one in held.artifacts}
    model = names[NAME]
    assert (model["artifactType"], model["uri"], model["state"]) == ("model-artifact", "s3://bucket/models/a", "LIVE")
    assert (model["modelFormatName"], model["modelFormatVersion"], model["storagePath"]) == ("onnx", "1", "models/a")
    assert (model["modelSourceKind"], model["modelSourceClass"]) == ("kfp", "pipelinerun")
    assert (model["modelSourceId"], model["modelSourceName"]) == ("run-1", "brakeline")
    assert names["card"]["uri"] == "/models/card.md"
    properties = told["customProperties"]
    assert properties["contract_version"] == {"metadataType": "MetadataIntValue", "int_value": "2"}
    assert properties["metrics.mae_m"] == {"metadataType": "MetadataDoubleValue", "double_value": 1.5}
    assert properties["revision"]["string_value"] == "0123abc"
    assert properties["verdict_sha256"]["string_value"] == "1" * 64
    assert json.loads(properties["facts"]["string_value"])["gate"] == 4
    assert (told["author"], told["state"]) == ("brakeline", "LIVE")
    assert "mean absolute error 1.5 m" in told["description"]


def test_the_platforms_own_client_finds_it(held: StandIn, kept: Registry) -> None:
    """The high-level client that a notebook uses reads model, version and artifact."""
    from model_registry import ModelRegistry

    kept.add(NAME, entry("a"))
    client = ModelRegistry(held.url, author="ann", user_token=TOKEN, is_secure=False)
    found = client.get_model_version(NAME, "1")
    assert found is not None
    assert found.custom_properties["metrics.mae_m"] == 1.5
    lies = client.get_model_artifact(NAME, "1")
    assert lies is not None
    assert (lies.uri, lies.model_source_id) == (f"/models/{'a' * 64}", "run-1")


def test_a_model_may_be_named_as_a_paper(kept: Registry) -> None:
    """Its artifact and that paper are of different kinds, and both are there."""
    added = kept.add("card", entry("a"))
    assert set(added.papers) == {"verdict", "card"}
    assert kept.find("card", "1") == added


def test_a_paper_that_comes_later_changes_nothing_that_is_there(held: StandIn, kept: Registry) -> None:
    """It is a document more, with who, when and why as properties; versions and other documents are as they were."""
    kept.add(NAME, entry("a"))
    before = json.dumps([held.models, held.versions, held.artifacts])
    for content in "45":
        kept.add_paper(NAME, "1", "signature", Paper("/models/s", content * 64, "ann", "2026-11-26", "another key"))
    added = [one for _, one in held.artifacts[len(json.loads(before)[2]) :]]
    del held.artifacts[-len(added) :]
    assert json.dumps([held.models, held.versions, held.artifacts]) == before
    assert [one["name"] for one in added] == ["signature", "signature-2"]
    assert {one["artifactType"] for one in added} == {"doc-artifact"}
    told = {name: value["string_value"] for name, value in added[1]["customProperties"].items()}
    assert told == {"sha256": "5" * 64, "by": "ann", "at": "2026-11-26", "why": "another key"}


def test_a_change_of_state_keeps_what_others_wrote(held: StandIn, kept: Registry) -> None:
    """A PATCH replaces the whole map, so it is read and written back: a property of a person's stays."""
    for content in "ab":
        kept.add(NAME, entry(content))
    raw(held, "1")["customProperties"]["owner"] = {"metadataType": "MetadataStringValue", "string_value": "ann"}
    kept.set_state(NAME, "1", State.LIVE, by="ann")
    kept.set_state(NAME, "2", State.LIVE, by="ann")
    kept.set_state(NAME, "1", State.ARCHIVED, by="ann")
    told = raw(held, "1")
    assert told["customProperties"]["owner"]["string_value"] == "ann"
    assert (told["state"], told["customProperties"]["state"]["string_value"]) == ("ARCHIVED", "archived")
    assert raw(held, "2")["customProperties"]["state"]["string_value"] == "live"
    assert kept.find(NAME, "1").facts == entry("a").facts


def test_a_person_may_archive_on_the_dashboard(held: StandIn, kept: Registry) -> None:
    """What somebody archived there is archived here, also the live one; promoting it brings it back, on record."""
    for content in "ab":
        kept.add(NAME, entry(content))
    kept.set_state(NAME, "1", State.LIVE, by="ann")
    raw(held, "1")["state"] = "ARCHIVED"
    assert kept.live(NAME) is None
    assert kept.find(NAME, "1").state is State.ARCHIVED
    assert kept.set_state(NAME, "1", State.ARCHIVED, by="bob").state is State.ARCHIVED
    assert raw(held, "1")["state"] == "ARCHIVED"
    kept.set_state(NAME, "2", State.LIVE, by="bob")
    assert kept.find(NAME, "1").state is State.ARCHIVED
    assert kept.set_state(NAME, "1", State.LIVE, by="cat", why="back").state is State.LIVE
    assert raw(held, "1")["state"] == "LIVE"
    assert [(change.version, change.by) for change in kept.changes(NAME)] == [("1", "ann"), ("2", "bob"), ("1", "cat")]


def test_a_person_may_restore_on_the_dashboard(held: StandIn, kept: Registry) -> None:
    """What somebody took out of the archive there is registered here, until it is archived again."""
    kept.add(NAME, entry("a"))
    kept.set_state(NAME, "1", State.ARCHIVED, by="ann")
    raw(held, "1")["state"] = "LIVE"
    assert kept.find(NAME, "1").state is State.REGISTERED
    assert kept.set_state(NAME, "1", State.ARCHIVED, by="bob").state is State.ARCHIVED
    assert raw(held, "1")["state"] == "ARCHIVED"


def test_what_others_keep_under_the_name_is_left_alone(held: StandIn, kept: Registry) -> None:
    """Versions of a person's are not ours, and their numbers are not given again."""
    kept.record(NAME, Attempt("d" * 64, "f" * 64, "a" * 64, 4, True))
    parent = held.models[0]["id"]
    held.versions += [{"id": str(90 + one), "name": name, "registeredModelId": parent, "state": "LIVE",
                       "customProperties": {}, "createTimeSinceEpoch": "1", "lastUpdateTimeSinceEpoch": "1"}
                      for one, name in enumerate(("v1.0", "7"))]  # fmt: skip
    assert kept.add(NAME, entry("a")).version == "8"
    assert [one.version for one in kept.list(NAME)] == ["8"]


def test_the_newest_version_is_a_model(held: StandIn, kept: Registry) -> None:
    """Our own records are archived versions, older than any model: who takes the newest never takes one of them."""
    kept.add(NAME, entry("a"))
    shelves = [one for one in held.versions if one["name"] in {"attempts", "changes"}]
    assert {one["state"] for one in shelves} == {"ARCHIVED"}
    assert max(int(one["id"]) for one in shelves) < int(raw(held, "1")["id"])


def test_long_listings_are_read_to_the_end(kept: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than a page of versions and of attempts, in their order."""
    monkeypatch.setattr(desk, "_PAGE", "2")
    for content in "abcde":
        kept.add(NAME, entry(content))
        kept.record(NAME, Attempt("d" * 64, "f" * 64, content * 64, 4, True))
    assert [one.sha256[0] for one in kept.list(NAME)] == list("abcde")
    assert [one.model_sha256[0] for one in kept.attempts(NAME)] == list("abcde")


def test_a_run_that_is_not_told_leaves_no_source(held: StandIn, kept: Registry) -> None:
    """No kind without an id: an empty source would be a link to nowhere."""
    kept.add(NAME, entry("a", source=Source(revision="abc")))
    assert "modelSourceKind" not in next(one for _, one in held.artifacts if one["name"] == NAME)
    assert kept.find(NAME, "1").source == Source("", "", "abc")


def test_the_certificate_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what the bundle vouches for is spoken to; without it the error says which variable to set."""
    with service("0.2.19", tmp_path, monkeypatch, secure=True) as held:
        assert open_registry(held.url).list(NAME) == []
        monkeypatch.delenv(connection.CA_FILE)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
        assert open_registry(held.url).list(NAME) == []
        monkeypatch.delenv("SSL_CERT_FILE")
        before = len(held.asked)
        with pytest.raises(ServiceUnavailable, match=f"certificate.*{connection.CA_FILE}"):
            open_registry(held.url).list(NAME)
        assert len(held.asked) == before
        account = tmp_path / "account"
        account.mkdir()
        (account / "ca.crt").write_bytes((tmp_path / "authority.pem").read_bytes())
        (account / "token").write_text(TOKEN)
        monkeypatch.setattr(connection, "ACCOUNT", account)
        monkeypatch.delenv(connection.TOKEN_FILE)
        assert open_registry(held.url).list(NAME) == []


WRONG_URLS = ["http://registry.example", "https://", "https://ann:secret-word@registry", "https://registry/?token=secret-word",
              "https://registry:99999", "http://127.0.0.1.example"]  # fmt: skip


@pytest.mark.parametrize("url", WRONG_URLS)
def test_a_wrong_address_is_a_usage_error(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the clear beyond loopback, no host, a secret in the URL: 2, before anything is sent."""
    (tmp_path / "token").write_text(TOKEN)
    monkeypatch.setenv(connection.TOKEN_FILE, str(tmp_path / "token"))
    with pytest.raises(StepError, match="--registry: found") as refused:
        open_registry(url)
    assert refused.value.exit_code == 2
    if "@" in url:
        assert "secret-word" not in str(refused.value) + str(refused.value.facts)


def test_a_token_that_is_none_is_a_usage_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Missing, empty, of two lines, no text: 2, the file is named, and its content is not."""
    monkeypatch.delenv(connection.TOKEN_FILE, raising=False)
    monkeypatch.setattr(connection, "ACCOUNT", tmp_path / "nowhere")
    with pytest.raises(StepError, match=f"{connection.TOKEN_FILE}: not set"):
        open_registry("https://registry.example")
    file = tmp_path / "token"
    monkeypatch.setenv(connection.TOKEN_FILE, str(file))
    for content in (None, b"", b"hush\nhush", b"hush hush", b"\xff\xfehush"):
        if content is not None:
            file.write_bytes(content)
        with pytest.raises(StepError, match=str(file)) as refused:
            open_registry("https://registry.example")
        assert refused.value.exit_code == 2
        assert "hush" not in str(refused.value)
    file.write_text(TOKEN)
    monkeypatch.setenv(connection.CA_FILE, str(file))
    with pytest.raises(StepError, match="holds no certificates"):
        open_registry("https://registry.example")
    monkeypatch.delenv(connection.CA_FILE)
    for wrong in ("soon", "0", "nan", "1e9"):
        monkeypatch.setenv(connection.TIMEOUT, wrong)
        with pytest.raises(StepError, match=connection.TIMEOUT):
            open_registry("https://registry.example")
