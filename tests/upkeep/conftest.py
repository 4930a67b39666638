"""What doctor is asked with, and about: an environment of nothing but what a test names."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from brakeline import images
from brakeline.doctor import machine

from tests.orchestrator import object_store
from tests.orchestrator.object_store import ObjectStore
from tests.upkeep import services as stand_in
from tests.upkeep.services import TOKEN, Services


@pytest.fixture
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of this machine's own settings reaches a test; there is no engine."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "BRAKELINE_", "KUBE", "DOCKER", "SSL_", "REQUESTS_")) or name.lower().endswith(
            "_proxy"
        ):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(images, "LOCK", tmp_path / "images.lock.json")
    monkeypatch.setattr(machine, "_SOCKET", tmp_path / "docker.sock")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Services]:
    """A cluster that is well, and an environment that names it."""
    with stand_in.serving() as made:
        named(monkeypatch, tmp_path, made)
        yield made


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    with object_store.serving() as store:
        for name, value in {**store.environment(), "BRAKELINE_STORE": "s3://bucket/brakeline"}.items():
            monkeypatch.setenv(name, value)
        yield store


def named(monkeypatch: pytest.MonkeyPatch, folder: Path, made: Services) -> None:
    (folder / "token").write_text(TOKEN + "\n")
    for name in ("KFP", "REGISTRY"):
        monkeypatch.setenv(f"BRAKELINE_{name}_TOKEN_FILE", str(folder / "token"))
    monkeypatch.setenv("BRAKELINE_KFP_URL", made.url)
    monkeypatch.setenv("BRAKELINE_REGISTRY", made.url)
    context = {"cluster": "it", "user": "me", "namespace": "distance-prediction"}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "clusters": [{"name": "it", "cluster": {"server": made.url}}],
        "users": [{"name": "me", "user": {"token": TOKEN}}],
        "contexts": [{"name": "here", "context": context}],
    }
    (folder / "kubeconfig").write_text(yaml.safe_dump(content))
    monkeypatch.setenv("KUBECONFIG", str(folder / "kubeconfig"))
