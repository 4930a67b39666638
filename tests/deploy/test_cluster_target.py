"""Deploy to a cluster: server-side apply and get, on every published schema, with real servers as pods."""

from __future__ import annotations

import json

import pytest

from tests.deploy.conftest import Place


@pytest.mark.parametrize("product", ["rhoai-2.22"])
def test_a_version_is_applied_proven_and_rolled_back(place: Place) -> None:
    """Apply, the next, roll back: each is proven by the sha256 and the answers of what is behind the address."""
    one, two = place.release("1", 2.0), place.release("2", 3.0)
    first = place.apply(one)
    assert first.code == 0, first.stderr
    assert (first.result["values_proven"], first.result["before"]) == (4, None)
    second = place.apply(two)
    assert second.code == 0, second.stderr
    assert (second.result["before"], place.uri) == ("1", two.uri)
    assert json.loads((place.folder / "endpoint").read_text())["version"] == "2"
    told = place.deploy("status").result
    assert (told["version"], told["proven"], told["previous"]) == ("2", "2", "1")
    back = place.deploy("rollback", "--why", "it brakes late")
    assert back.code == 0, back.stderr
    assert (back.result["version"], back.result["instead_of"], place.uri) == ("1", "2", one.uri)
    told = place.deploy("status").result
    assert (told["version"], told["previous"], told["last"]["why"]) == ("1", None, "it brakes late")
    assert place.deploy("rollback").code == 2
    asked = {line.split()[0] for line in place.api.asked}
    assert asked == {"GET", "PATCH"}
    place.api.asked.clear()
    again = place.deploy("rollback", "--instead-of", "2")
    assert again.code == 0, again.stderr
    assert (again.result["version"], again.result["instead_of"], again.result["confirmed"]) == ("1", "2", True)
    assert {line.split()[0] for line in place.api.asked} == {"GET"}
    assert place.deploy("rollback", "--instead-of", "7").code == 2


def test_versions_take_turns_on_every_release(place: Place) -> None:
    """1, 2, back to 1, 3, back to 1: what was gone back from is nothing to go back to."""
    one, two, three = place.release("1"), place.release("2", 3.0), place.release("3", 4.0)
    for made, before in ((one, None), (two, "1")):
        done = place.roll_out(made)
        assert (done["values_proven"], done["before"], place.uri) == (4, before, made.uri)
    assert place.roll_back()["version"] == "1"
    place.roll_out(three)
    assert place.standing().previous == "1"
    assert place.roll_back()["version"] == "1"
    assert place.uri == one.uri
