"""The stand-in of a Model Registry refuses what the published description does not allow: a wrong client fails."""

import json
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from tests.register.description import GENERATIONS
from tests.register.registries import service
from tests.register.stand_in import TOKEN, StandIn

API = "/api/model_registry/v1alpha3"
VERSION = {"name": "1", "registeredModelId": "1"}


@pytest.fixture(params=GENERATIONS)
def held(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    with service(request.param, tmp_path, monkeypatch) as held:
        status, model = ask(held, "POST", "/registered_models", {"name": "m"})
        assert (status, model["id"]) == (201, "1")
        yield held


def ask(held: StandIn, method: str, path: str, body: object = None, token: str = TOKEN) -> tuple[int, Any]:
    """A request as any client may make it."""
    connection = HTTPConnection(held.url.removeprefix("http://"), timeout=10)
    sent = None if body is None else json.dumps(body)
    connection.request(method, API + path, sent, {"Authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    return answer.status, json.loads(text) if answer.headers["Content-Type"] == "application/json" else text


def number(value: object) -> dict[str, object]:
    return {**VERSION, "customProperties": {"n": {"metadataType": "MetadataIntValue", "int_value": value}}}


WRONG: dict[str, dict[str, object]] = {
    "no name": {"registeredModelId": "1"},
    "a field that there is not": {**VERSION, "sha256": "a"},
    "a number where text belongs": {**VERSION, "name": 1},
    "a state that there is not": {**VERSION, "state": "live"},
    "an integer as a number": number(3),
    "an integer in words": number("three"),
    "a value without its type": {**VERSION, "customProperties": {"n": {"string_value": "x"}}},
    "a value of another type": {**VERSION, "customProperties": {"n": {"metadataType": "MetadataIntValue"}}},
    "a bare value": {**VERSION, "customProperties": {"n": "x"}},
    "what the service alone may write": {**VERSION, "createTimeSinceEpoch": "1"},
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_body_is_refused(case: str, held: StandIn) -> None:
    """400, nothing is kept, and the breach is on record, which fails whatever test it happens in."""
    assert ask(held, "POST", "/model_versions", WRONG[case])[0] == 400
    assert held.versions == []
    assert len(held.breaches) == 1


def test_a_right_body_is_taken(held: StandIn) -> None:
    """What the cases above differ from."""
    status, made = ask(held, "POST", "/model_versions", number("3"))
    assert (status, made["state"], made["id"]) == (201, "LIVE", "2")
    assert made["createTimeSinceEpoch"].isdigit()
    assert held.breaches == []


def test_a_wrong_place_is_refused(held: StandIn) -> None:
    """Paths and methods that the API does not have, parameters that an operation does not take."""
    assert ask(held, "GET", "/models")[0] == 404
    assert ask(held, "DELETE", "/registered_models/1")[0] == 404
    assert ask(held, "PUT", "/registered_models/1", {})[0] == 404
    assert ask(held, "GET", "/registered_models/7/versions?pageSize=10")[0] == 200
    assert ask(held, "GET", "/registered_models?page=1")[0] == 400
    assert ask(held, "GET", "/registered_models?orderBy=AGE")[0] == 400
    assert len(held.breaches) == 2


def test_who_is_unknown_is_denied(held: StandIn) -> None:
    """401 without the token, to read as to write."""
    assert ask(held, "GET", "/registered_models", token="another")[0] == 401
    assert ask(held, "POST", "/registered_models", {"name": "x"}, token="")[0] == 401


def test_names_are_there_once(held: StandIn) -> None:
    """409 for a model, a version of a model, an artifact of a version; the same name elsewhere is another one."""
    assert ask(held, "POST", "/registered_models", {"name": "m"})[0] == 409
    for status in (201, 409):
        assert ask(held, "POST", "/model_versions", VERSION)[0] == status
        document = {"artifactType": "doc-artifact", "name": "card"}
        assert ask(held, "POST", "/model_versions/2/artifacts", document)[0] == status
    ask(held, "POST", "/registered_models", {"name": "other"})
    other = str(held.models[-1]["id"])
    assert ask(held, "POST", "/model_versions", {"name": "1", "registeredModelId": other})[0] == 201


def test_a_patch_replaces_the_map_of_properties(held: StandIn) -> None:
    """As a real one does: whoever writes one property takes the others away; what is left out otherwise stays."""
    ask(held, "POST", "/model_versions", number("3"))
    told = {"customProperties": {"other": {"metadataType": "MetadataStringValue", "string_value": "x"}}}
    status, now = ask(held, "PATCH", "/model_versions/2", told)
    assert (status, now["customProperties"], now["state"]) == (200, told["customProperties"], "LIVE")
    assert ask(held, "PATCH", "/model_versions/2", {"name": "2"})[0] == 400


def test_listings_come_in_pages(held: StandIn) -> None:
    """Page after page, each thing once, in either order."""
    for name in ("a", "b", "c", "d"):
        ask(held, "POST", "/registered_models", {"name": name})
    for order, wanted in (("ASC", "mabcd"), ("DESC", "dcbam")):
        names, token = "", ""
        for _ in range(3):
            after = f"&nextPageToken={token}" if token else ""
            _, page = ask(held, "GET", f"/registered_models?pageSize=2&orderBy=ID&sortOrder={order}{after}")
            names, token = names + "".join(one["name"] for one in page["items"]), page["nextPageToken"]
        assert (names, token) == (wanted, "")
