"""`brakeline deploy` and `brakeline rollback`: target and registry say the same in the end, killed or not."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from brakeline import deployment, steps
from stepkit.verdict import sealed

from tests.conftest import BIN, Chain, Done, command
from tests.deploy.releases import NAME, release
from tests.serving.conftest import Server, start

__all__ = ["start"]  # a fixture


@dataclass
class State:
    """A state folder with registered versions, and a server that follows its model store."""

    folder: Path
    server: Server

    def brakeline(self, *words: object) -> Done:
        """A verb of the orchestrator."""
        return command("brakeline", *words, *self.options())

    def options(self) -> list[object]:
        return ["--state", self.folder, "--server", self.server.url, "--timeout-s", "15", "--json"]

    def live(self) -> str | None:
        """What the registry says."""
        registry = f"sqlite:///{self.folder}/registry.sqlite"
        listed = command("brakeline-register", "list", "--registry", registry).result["versions"]
        return next((version["version"] for version in listed if version["state"] == "live"), None)

    def last(self) -> dict[str, Any]:
        """What happened last."""
        done = command("brakeline-deploy", "status", "--model-store", self.folder / "models")
        return dict(done.result["last"])

    def primary(self) -> str | None:
        """What the store says."""
        file = self.folder / "models" / NAME / "serving.json"
        return json.loads(file.read_text())["primary"] if file.exists() else None


@pytest.fixture(scope="module")
def registered(tiny: Chain, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry of three versions, registered as the pipeline does."""
    folder = tmp_path_factory.mktemp("registered")
    judged = json.loads(tiny.verdict.read_text())
    gates = [gate | {"passed": True, "value": min(0, gate["limit"])} for gate in judged["gates"]]
    for number, scale in enumerate((2.0, 3.0, 4.0), 1):
        made = release(folder, str(number), scale)
        said = {key: value for key, value in judged.items() if key != "seal"}
        said |= {"passed": True, "gates": gates, "model_sha256": made.sha256}
        made.verdict.write_text(json.dumps(sealed(said)))
        files = ("--model", made.model, "--passed-verdict", made.verdict, "--registered", folder / "registered")
        done = command("brakeline-register", "add", *files, "--registry", f"sqlite:///{folder}/registry.sqlite")
        assert done.code == 0, done.stderr
    return folder / "registry.sqlite"


@pytest.fixture
def state(registered: Path, tmp_path: Path, start: Callable[..., Server]) -> State:
    """Nothing deployed yet; the models are kept where they were registered."""
    folder = tmp_path / "state"
    folder.mkdir()
    shutil.copy(registered, folder / "registry.sqlite")
    return State(folder, start("--model-store", str(folder / "models")))


def told(done: Done) -> dict[str, Any]:
    assert done.code == 0, done.stderr
    return done.result


def released(state: State, version: str) -> list[str]:
    """What is on record of a version, in order; nothing of it is altered."""
    report = told(command("brakeline", "lineage", version, "--state", state.folder, "--json"))
    return [one["how"] for one in report["releases"]]


def test_versions_are_deployed_and_gone_back_from_with_the_registry(state: State) -> None:
    """Deploy 1 and 2, roll back: what serves is the live one each time, on record with who and why."""
    planned = told(state.brakeline("deploy", "1", "--plan"))
    assert (planned["now"], planned["then"], state.primary(), state.live()) == (None, "1", None, None)
    first = told(state.brakeline("deploy", "1", "--why", "the first"))
    assert (first["serving"], first["promoted"], state.primary(), state.live()) == ("1", True, "1", "1")
    told(state.brakeline("deploy", "2", "--by", "ana"))
    assert (state.primary(), state.live()) == ("2", "2")
    back = told(state.brakeline("rollback", "--why", "warns too late", "--by", "ben"))
    assert (back["version"], back["instead_of"], back["confirmed"]) == ("1", "2", True)
    assert (state.primary(), state.live()) == ("1", "1")
    registry = f"sqlite:///{state.folder}/registry.sqlite"
    changes = command("brakeline-register", "show", "--version", "1", "--registry", registry).result["changes"]
    assert (changes[-1]["by"], changes[-1]["why"]) == ("ben", "warns too late")
    assert released(state, "1") == ["deployed by", "promoted by", "promoted by"]
    assert released(state, "2") == ["deployed by", "promoted by"]
    assert state.brakeline("rollback").code == 2
    missing = state.brakeline("deploy", "9")
    assert missing.code == 65
    assert "version 9" in json.loads(missing.stdout)["error"]
    assert sorted(path.name for path in (state.folder / "releases").iterdir()) == [f"{NAME}-1", f"{NAME}-2"]


def test_no_rollback_leads_to_what_was_archived(state: State) -> None:
    """65 and where it is told by whom, with server and registry as before; a person deploys it by its number."""
    for version in ("1", "2"):
        told(state.brakeline("deploy", version))
    registry = ("--registry", f"sqlite:///{state.folder}/registry.sqlite")
    told(command("brakeline-register", "archive", "--version", "1", "--why", "its dataset was withdrawn", *registry))
    done = state.brakeline("rollback", "--why", "warns too late")
    assert done.code == 65
    assert "version 1, which is archived (`brakeline models show 1`" in json.loads(done.stdout)["error"]
    assert (state.primary(), state.live()) == ("2", "2")
    assert told(state.brakeline("deploy", "1", "--why", "looked at again"))["serving"] == "1"


def test_a_rollback_that_was_cut_short_is_not_ended_with_what_was_archived_since(state: State) -> None:
    """Gone back, and killed before the registry heard of it: archived then, it is not promoted by the same call."""
    for version in ("1", "2"):
        told(state.brakeline("deploy", version))
    registry = ("--registry", f"sqlite:///{state.folder}/registry.sqlite")
    went = ("--model-store", state.folder / "models", "--name", NAME, "--server", state.server.url, "--why", "late")
    told(command("brakeline-deploy", "rollback", *went))
    assert (state.primary(), state.live()) == ("1", "2")
    told(command("brakeline-register", "archive", "--version", "1", "--why", "its dataset was withdrawn", *registry))
    done = state.brakeline("rollback", "--why", "late")
    assert done.code == 65
    assert "version 1, which is archived" in json.loads(done.stdout)["error"]
    assert state.live() == "2"
    assert told(state.brakeline("deploy", "2"))["serving"] == "2"


def test_a_deployment_that_was_overtaken_leaves_the_registry_true(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another deployment comes between target and registry: both say its version in the end, and the first is told."""
    real, came = steps.call, list[str]()

    def call(step: str, verb: str, **options: Any) -> dict[str, Any]:
        if verb == "promote" and not came:
            came.append(told(state.brakeline("deploy", "3"))["serving"])
        return real(step, verb, **options)

    monkeypatch.setattr(steps, "call", call)
    registry, target = f"sqlite:///{state.folder}/registry.sqlite", str(state.folder / "models")
    place = deployment.Place(registry, NAME, target, state.server.url, timeout_s=15)
    done = deployment.deploy(place, "2", deployment.Manner(), "ana", "", lambda _: None)
    assert (came, done["serving"], done["promoted"]) == (["3"], "3", False)
    assert (state.primary(), state.live()) == ("3", "3")


def test_what_does_not_serve_all_is_no_live_version(state: State) -> None:
    """A shadow is not promoted, nor what the server does not come to serve (69): all is as it was before."""
    told(state.brakeline("deploy", "1"))
    done = told(state.brakeline("deploy", "2", "--shadow"))
    assert (done["serving"], done["shadow"], done["promoted"]) == ("1", "2", False)
    assert (state.primary(), state.live()) == ("1", "1")
    os.kill(state.server.process.pid, signal.SIGSTOP)
    try:
        failed = command("brakeline", "deploy", "2", "--state", state.folder, "--server", state.server.url,
                         "--timeout-s", "1", "--json")  # fmt: skip
    finally:
        os.kill(state.server.process.pid, signal.SIGCONT)
    assert failed.code == 69
    assert state.server.url in json.loads(failed.stdout)["error"]
    assert (state.primary(), state.live()) == ("1", "1")


def test_a_rollback_that_got_no_answer_asks_again_and_goes_no_further(state: State) -> None:
    """69 while the server is silent, however often: one step back, and the registry hears of it once it answered."""
    for version in ("1", "2", "3"):
        told(state.brakeline("deploy", version))
    words = ("brakeline", "rollback", "--why", "late", "--state", state.folder, "--server", state.server.url, "--json")
    os.kill(state.server.process.pid, signal.SIGSTOP)
    try:
        for _ in range(2):
            silent = command(*words, "--timeout-s", "1")
            assert silent.code == 69
            assert state.server.url in json.loads(silent.stdout)["error"]
            assert (state.primary(), state.live()) == ("2", "3")
    finally:
        os.kill(state.server.process.pid, signal.SIGCONT)
    done = told(command(*words, "--timeout-s", "15"))
    assert (done["version"], done["instead_of"], done["confirmed"], done["promoted"]) == ("2", "3", True, True)
    assert (state.primary(), state.live()) == ("2", "2")
    assert told(command(*words, "--timeout-s", "15"))["version"] == "1", "and the next call is a step of its own"


@pytest.mark.parametrize("verb", ["deploy", "rollback"])
def test_killed_between_target_and_registry_the_same_call_mends(state: State, verb: str) -> None:
    """SIGKILL once the target has changed and before the registry has: called again, both say the same, once."""
    told(state.brakeline("deploy", "1"))
    told(state.brakeline("deploy", "2"))
    words, wanted = (("deploy", "3"), "3") if verb == "deploy" else (("rollback", "--why", "late"), "1")
    child = subprocess.Popen(
        [str(word) for word in (BIN / "brakeline", *words, *state.options())],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    until(lambda: state.primary() == wanted)
    # As long as this holds the registry's file, nobody can promote: the call waits there, and is killed there.
    with contextlib.closing(sqlite3.connect(state.folder / "registry.sqlite", isolation_level=None)) as held:
        held.execute("BEGIN IMMEDIATE")
        until(lambda: wanted in (state.last().get("version"), state.last().get("back_to")))
        time.sleep(0.5)
        assert child.poll() is None
        os.killpg(child.pid, signal.SIGKILL)
        child.wait(10)
    assert (state.primary(), state.live()) == (wanted, "2")
    again = told(state.brakeline(*words))
    assert (state.primary(), state.live(), again["promoted"]) == (wanted, wanted, True)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)
