"""Pushing to a real registry and taking a base from one."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from brakeline import images as locked
from brakeline import place
from brakeline_images import cli, compose, manifests, plan
from brakeline_images.engine import Engine
from brakeline_images.errors import BaseNotPullable, PushFailed

from tests import engine
from tests.images import registry


@pytest.fixture
def aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The lock and compose's variables as they are, but in a folder of the test's."""
    engine.built()
    lock = tmp_path / "images.lock.json"
    lock.write_bytes(locked.LOCK.read_bytes())
    monkeypatch.setattr(locked, "LOCK", lock)
    monkeypatch.setattr(compose, "ENV", tmp_path / ".env")
    monkeypatch.setattr(manifests, "FILE", tmp_path / "images" / "kustomization.yaml")
    manifests.FILE.parent.mkdir()
    return lock


@pytest.fixture
def at(tmp_path: Path) -> Iterator[str]:
    engine.client()
    with registry.serving(tmp_path) as address:
        yield address
        for tag in place.tags(engine.client()):
            if tag.startswith(address):
                engine.client().images.remove(tag)


def test_what_was_pushed_is_recorded_by_its_digest(at: str, aside: Path) -> None:
    """The registry knows the digest that the lock records and the cluster's pipeline names; again changes nothing."""
    facts = cli._build(("register",), "", at, None, False, False)
    pushed = facts["images"]["register"]["pushed"]
    repository, _, digest = pushed.removeprefix(f"{at}/").partition("@")
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    request = urllib.request.Request(
        f"http://{at}/v2/{repository}/manifests/{digest}", headers={"Accept": kind}, method="HEAD"
    )
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200
        assert answer.headers["Docker-Content-Digest"] == digest
    assert locked.built()["register"].pushed == pushed
    assert locked.for_cluster()["register"] == pushed
    assert locked.for_containers()["register"] == plan.make(locked.base()["reference"]).references["register"]
    assert cli._build(("register",), "", at, None, False, False)["images"]["register"]["pushed"] == pushed


def test_manifests_name_the_server_by_what_was_pushed(at: str, aside: Path) -> None:
    """The digest that the registry gave is the one that manifests pull by; a push of another image leaves it alone.

    A step's is no image of the manifests: it is in the lock that workbenches read.
    """
    pushed = cli._build(("serving",), "", at, None, False, False)["images"]["serving"]["pushed"]
    repository, _, digest = pushed.partition("@")
    entry = {"name": "brakeline/serving", "newName": repository, "digest": digest}
    assert entry in yaml.safe_load(manifests.FILE.read_text())["images"]
    step = cli._build(("register",), "", at, None, False, False)["images"]["register"]["pushed"]
    told = yaml.safe_load(manifests.FILE.read_text())
    assert entry in told["images"]
    assert "brakeline/register" not in {one["name"] for one in told["images"]}
    (patch,) = told["patches"]
    (lock,) = yaml.safe_load(patch["patch"])["data"].values()
    assert json.loads(lock)["images"]["register"]["pushed"] == step


def test_a_registry_that_is_not_there_leaves_the_lock_alone(aside: Path) -> None:
    """The message names image and registry; nothing is recorded as pushed."""
    with pytest.raises(PushFailed, match=r"127\.0\.0\.1:1/brakeline/register"):
        cli._build(("register",), "", "127.0.0.1:1", None, False, False)
    assert "127.0.0.1:1" not in aside.read_text()
    assert not manifests.FILE.exists()


@pytest.mark.slow
def test_a_base_of_a_registry_is_pulled_and_pinned(at: str, aside: Path) -> None:
    """`--base IMAGE`: pulled by its tag, used and recorded by its digest; an image built on it works."""
    client = engine.client()
    before = locked.base()["reference"]
    client.images.get(before).tag(f"{at}/python", "3.13")
    client.images.push(f"{at}/python", tag="3.13")
    client.images.remove(f"{at}/python:3.13")
    facts = cli._build(("register",), f"{at}/python:3.13", "", None, True, False)
    assert facts["base"].startswith(f"{at}/python@sha256:")
    reference = facts["images"]["register"]["reference"]
    assert reference != plan.make(before).references["register"]
    assert b"brakeline-register" in client.containers.run(reference, ["brakeline-register", "--version"], remove=True)
    client.images.remove(reference)


def test_a_base_that_is_nowhere_is_told(aside: Path) -> None:
    """The message names the image and both ways around."""
    with pytest.raises(BaseNotPullable, match=r"127\.0\.0\.1:1/none:1 cannot be pulled.*--base debian"):
        cli._build(("register",), "127.0.0.1:1/none:1", "", None, False, False)
    assert Engine().inspect("127.0.0.1:1/none:1") is None
