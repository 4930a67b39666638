"""`brakeline prune` on a real registry and model store: old versions are archived, what is needed stays."""

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from brakeline import images as locked
from brakeline import place, record
from brakeline.cli import app
from brakeline.prune import images
from brakeline_deploy.store import ModelStore
from brakeline_register import adding, keeping
from brakeline_register.registry import Source, open_registry
from docker.errors import ImageNotFound
from stepkit import artifacts
from typer.testing import CliRunner

from tests import engine
from tests.conftest import Chain, Done, command
from tests.orchestrator import object_store
from tests.orchestrator.object_store import ObjectStore
from tests.register.test_verbs import passed

NAME = "stopping-distance"


def register(state: Path, verb: str, *words: object) -> Done:
    done = command("brakeline-register", verb, *words, "--registry", f"sqlite:///{state}/registry.sqlite")
    assert done.code == 0, done.stderr
    return done


def release(tiny: Chain, state: Path, count: int, keep: str = "") -> None:
    """Versions 1 to `count` of different graphs, each registered and put into the model store."""
    state.mkdir(exist_ok=True)
    url, store = f"sqlite:///{state}/registry.sqlite", ModelStore(state / "models", NAME)
    for number in range(1, count + 1):
        at = state / "made" / str(number)
        shutil.copytree(tiny.model, at / "model", ignore=shutil.ignore_patterns(".lineage.json"))
        with (at / "model" / "model.onnx").open("ab") as graph:
            # An empty field that no reader knows: another graph by content.
            graph.write(b"\xf8\x07" + str(number).encode())
        sha256 = artifacts.sha256_of(at / "model" / "model.onnx")
        artifacts.write_json(at / "verdict", passed(tiny, model_sha256=sha256, seed=number))
        place = keeping.place(keep, url)
        adding.add(open_registry(url), place, NAME, at / "model", at / "verdict", Source(), {})
        store.install(at / "model", str(number), sha256)


def prune(state: Path, *words: str, code: int = 0) -> dict[str, Any]:
    done = CliRunner().invoke(app, ["prune", "--state", str(state), "--json", *words])
    assert done.exit_code == code, done.output
    return dict(json.loads(done.stdout))


def states(state: Path) -> list[str]:
    return [version["state"] for version in register(state, "list").result["versions"]]


def test_old_versions_are_archived_and_what_is_needed_stays(tiny: Chain, tmp_path: Path) -> None:
    """Neither what is live, nor what serves, its shadow, or is gone back to; a second call finds nothing."""
    state = tmp_path / "state"
    release(tiny, state, 6)
    store = ModelStore(state / "models", NAME)
    for version in ("2", "3"):
        store.serve(version)
        store.remember(version, store.sha256(version) or "")
    store.shadow("4")
    register(state, "promote", "--version", "1", "--promoted", tmp_path / "promoted")
    planned = prune(state, "--keep-versions", "0", "--dry-run")
    assert states(state).count("archived") == 0
    done = prune(state, "--keep-versions", "0", "--yes")
    assert (done["items"], done["bytes"]) == (planned["items"], planned["bytes"])
    assert [item["name"] for item in done["items"]] == [f"{NAME} 5", f"{NAME} 6"]
    assert done["bytes"] > 2 * (tiny.model / "model.onnx").stat().st_size
    assert {one["name"].split()[1]: one["why"] for one in done["kept"]} == {
        "1": "it is live", "2": "it is what a rollback goes back to", "3": "it serves", "4": "it is the shadow",
    }  # fmt: skip
    assert states(state) == ["live", "registered", "registered", "registered", "archived", "archived"]
    assert {path.name for path in (state / "models" / NAME).iterdir() if path.is_dir()} == {"1", "2", "3", "4"}
    assert len([path for path in (state / "registry-models").iterdir() if not path.suffix]) == 4 + 1  # and the lock
    assert prune(state, "--keep-versions", "0", "--yes")["items"] == []


def test_the_newest_versions_stay(tiny: Chain, tmp_path: Path) -> None:
    """As many as are stated."""
    state = tmp_path / "state"
    release(tiny, state, 3)
    assert [item["name"] for item in prune(state, "--keep-versions", "2", "--yes")["items"]] == [f"{NAME} 1"]
    assert states(state) == ["archived", "registered", "registered"]


def test_what_is_promoted_between_plan_and_removal_stays(tiny: Chain, tmp_path: Path) -> None:
    """The registry refuses, and that is told; the others go."""
    from brakeline.prune import versions
    from brakeline.prune.policy import Policy

    state = tmp_path / "state"
    release(tiny, state, 2)
    known = versions.find(f"sqlite:///{state}/registry.sqlite", str(state / "models"), NAME)
    items, _ = versions.plan(known, Policy(versions=0), "ann")
    register(state, "promote", "--version", "1", "--promoted", tmp_path / "promoted")
    told = [item.remove() for item in items]
    assert "is live" in told[0]
    assert told[1] == ""
    assert states(state) == ["live", "archived"]


def test_the_run_of_a_version_in_service_stays(tiny: Chain, tmp_path: Path) -> None:
    """Its lineage can still be verified; --even-lineage gives it up."""
    state = tmp_path / "state"
    release(tiny, state, 2)
    register(state, "promote", "--version", "1", "--promoted", tmp_path / "promoted")
    for number in ("1", "2"):
        folder = state / "runs" / f"2026112{number}T000000-abcdef"
        kept = record.RunRecord(folder.name, "process", folder, {"name": NAME})
        made = {"registered": {"uri": str(folder / "registered"), "version": number}}
        kept.add(record.TaskRecord("register", "", record.SUCCEEDED, False, 0.0, made))
        kept.end(record.SUCCEEDED)
    told = prune(state, "--keep-runs", "0", "--yes")
    assert [item["name"] for item in told["items"]] == ["20261122T000000-abcdef"]
    assert [one["why"] for one in told["kept"]] == [f"it made version 1 of {NAME}, which is live"]
    assert len(prune(state, "--keep-runs", "0", "--even-lineage", "--yes")["items"]) == 1


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    with object_store.serving() as store:
        for name, value in store.environment().items():
            monkeypatch.setenv(name, value)
        yield store


def test_models_kept_in_s3_go_too_and_a_store_that_is_down_is_told(
    s3: ObjectStore, tiny: Chain, tmp_path: Path
) -> None:
    """69 and nothing lost or half gone; once it is up again the same call goes on."""
    state = tmp_path / "state"
    release(tiny, state, 2, "s3://bucket/kept")
    before = dict(s3.objects)
    s3.failures = 10**6
    assert "does not answer" in prune(state, "--keep-versions", "1", "--yes", code=69)["error"]
    assert s3.objects == before
    s3.failures = 0
    told = prune(state, "--keep-versions", "1", "--yes")
    assert [item["name"] for item in told["items"]] == [f"{NAME} 1"]
    gone = set(before) - set(s3.objects)
    assert [at for at in gone if at.endswith("/model.onnx")]
    assert not [at for at in gone if ".about/" in at]
    assert prune(state, "--keep-versions", "1", "--yes")["items"] == []


def test_a_registry_that_cannot_be_asked_keeps_everything(tiny: Chain, tmp_path: Path) -> None:
    """Without knowing what is live no run goes either."""
    state = tmp_path / "state"
    folder = state / "runs" / "20261122T000000-abcdef"
    record.RunRecord(folder.name, "process", folder, {"name": NAME}).end(record.SUCCEEDED)
    (state / "registry.sqlite").write_text("no database" * 1000)
    told = prune(state, "--keep-runs", "0", "--yes", code=65)
    assert "what is needed cannot be told" in told["error"]
    assert folder.is_dir()


def test_images_that_nothing_names_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours by their label; what the lock names stays, and the rungs that it stands on, and what a container is of."""
    client, told = engine.client(), {"brakeline.rung": "a-test"}
    rung, named, loose, used = (f"brakeline/test-{what}:{tmp_path.name}" for what in ("rung", "named", "loose", "used"))
    made = None
    try:
        for name, base in ((rung, "scratch"), (named, rung), (loose, rung), (used, "scratch")):
            folder = tmp_path / name.partition(":")[0].rpartition("/")[2]
            folder.mkdir()
            (folder / "file").write_text(name)
            (folder / "Dockerfile").write_text(f'FROM {base}\nCOPY file /{folder.name}\nCMD ["/none"]\n')
            client.images.build(path=str(folder), tag=name, labels=told, rm=True)
        made = client.containers.create(used)
        monkeypatch.setattr(locked, "LOCK", tmp_path / "images.lock.json")
        locked.write({}, {"train": locked.Built(named, "sha256:0", "0")})
        items, kept = images.plan()
        ours = {item.name: item for item in items if tmp_path.name in item.name}
        assert set(ours) == {loose}
        assert [one.why for one in kept if one.name == used] == [f"the container {made.name} is made of it"]
        assert ours[loose].remove() == ""
        assert ours[loose].remove() == ""
        assert place.tags(client) & {rung, named, loose} == {rung, named}
    finally:
        if made:
            made.remove()
        for name in (named, loose, used, rung):
            with contextlib.suppress(ImageNotFound):
                client.images.remove(name)
