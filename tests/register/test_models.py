"""`brakeline models`: what people see of the registry, and what they may change, on record."""

import getpass
import json
from pathlib import Path

import pytest

from tests.conftest import Done, command
from tests.register.registries import NAME, entry, service
from tests.register.stand_in import TOKEN, Fault
from tests.register.test_verbs import released

__all__ = ["released"]

VERBS = ("list", "show", "diff", "promote", "archive")


def models(out: Path, *words: object) -> Done:
    return command("brakeline", "models", *words, environment={"BRAKELINE_STATE": str(out), "COLUMNS": "200"})


@pytest.mark.parametrize("verb", VERBS)
def test_help_has_an_example_and_needs_no_library(verb: str) -> None:
    """Each verb shows how it is called, and its JSON option."""
    told = command("brakeline", "models", verb, "--help").stdout
    assert f"Example: brakeline models {verb}" in told
    assert "--json" in told


def test_a_person_promotes_what_was_left_registered(released: Path) -> None:
    """By number, with a reason: who, when and why is on record, and the list shows which one is live."""
    assert models(released, "promote", "2").code == 2
    assert models(released, "promote", "2", "--why", " ").code == 2
    done = models(released, "promote", "2", "--why", "[bold]reviewed[/bold] by two")
    assert done.code == 0, done.stderr
    assert "version 2 of stopping-distance is live" in done.stdout
    shown = models(released, "show", "2", "--json").result
    (change,) = shown["changes"]
    assert (change["by"], change["why"]) == (getpass.getuser(), "[bold]reviewed[/bold] by two")
    assert "[bold]reviewed[/bold] by two" in models(released, "show", "2").stdout
    rows = [line.split() for line in models(released, "list").stdout.splitlines()]
    assert [row[1] for row in rows if row and row[0] in {"1", "2"}] == ["registered", "live"]
    again = models(released, "promote", "1", "--why", "back", "--by", "ann", "--json").result
    assert (again["version"], again["before"], again["state"]) == ("1", "2", "live")


def test_versions_are_shown_and_compared(released: Path) -> None:
    """People see what differs, and all of it where they ask; machines get one object."""
    shown = models(released, "show", "1").stdout
    for words in ("run-1", "abc", "mae_m", "gates of version", "dossier.html", "number 1 of 1 on its dataset"):
        assert words in shown, words
    assert "Intended use and bounds" in models(released, "show", "1", "--card").stdout
    differing = models(released, "diff", "1", "2").stdout
    assert "run-1" in differing
    assert "learning_rate" not in differing
    assert "learning_rate" in models(released, "diff", "1", "2", "--all").stdout
    told = models(released, "diff", "1", "2", "--json").result
    assert {"a", "b", "subjects", "registry", "name"} == told.keys()
    assert len(models(released, "list", "--json").result["versions"]) == 2


def test_what_is_refused_ends_with_the_steps_own_status(released: Path) -> None:
    """65 for what is not there or live, in words and as JSON; 2 for a registry that is no address."""
    models(released, "promote", "1", "--why", "good")
    for words in (("show", "7"), ("diff", "1", "7"), ("promote", "7", "--why", "x"), ("archive", "1", "--why", "x")):
        done = models(released, *words, "--json")
        assert done.code == 65, words
        assert done.result["error"] in done.stderr
    assert "promote another version first" in models(released, "archive", "1", "--why", "x").stderr
    assert models(released, "archive", "2", "--why", "withdrawn", "--json").result["state"] == "archived"
    assert models(released, "list", "--registry", "ftp://x").code == 2


def test_no_versions_are_told_in_words(tmp_path: Path) -> None:
    """An empty registry is no error."""
    done = models(tmp_path, "list")
    assert done.code == 0
    assert done.stdout.startswith("no versions of stopping-distance")
    assert models(tmp_path, "list", "--json").result["versions"] == []


def test_a_kubeflow_registry_is_the_same_to_people(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its URL in the environment; a service that is down ends with 69, and the token is in no word."""
    from brakeline_register.registry import open_registry

    with service("0.2.19", tmp_path, monkeypatch) as held:
        open_registry(held.url).add(NAME, entry("a"))
        monkeypatch.setenv("BRAKELINE_REGISTRY", held.url)
        promoted = models(tmp_path, "promote", "1", "--why", "good", "--by", "ann", "--json")
        assert promoted.result["state"] == "live"
        assert "live" in models(tmp_path, "list").stdout
        held.faults = [Fault(status=401, times=99)]
        denied = models(tmp_path, "list", "--json")
        assert (denied.code, json.loads(denied.stdout)["status"]) == (65, "failed")
        held.faults = [Fault(status=500, times=99)]
        down = models(tmp_path, "list")
        assert down.code == 69
        assert TOKEN not in down.stderr + denied.stderr + denied.stdout
