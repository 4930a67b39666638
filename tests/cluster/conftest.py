"""An API to talk to, a store beside it, images that were pushed, and an environment that says where they are."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from brakeline import images, kfp_client
from brakeline.access import Access, access
from brakeline.cluster_inputs import Wish

from tests.cluster import kfp_server
from tests.cluster.kfp_server import Api
from tests.cluster.published import DESCRIPTION
from tests.orchestrator import object_store
from tests.orchestrator.object_store import ObjectStore

STORE = "s3://pipeline-artifacts/brakeline"
SMALL = Wish(rows=20_000, holdout_rows=6_000, shards=2)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without the published description there is nothing to hold requests to."""
    for item in items:
        if not DESCRIPTION.is_file() and Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=f"no {DESCRIPTION.name} beside the repository"))


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of this machine's own settings reaches a test; what is asked again is asked at once."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "BRAKELINE_", "KF_", "KUBE")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(kfp_client, "PAUSES_S", (0.01, 0.01, 0.01, 0.01))


@pytest.fixture
def pushed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Write a lock as after a push; images that are named are left out of the push, or are of older sources."""

    def write(local: tuple[str, ...] = (), old: tuple[str, ...] = ()) -> None:
        made = {}
        for number, step in enumerate(images.STEPS):
            source = "0" * 64 if step in old else images.source_hash(step)
            digest = "" if step in local else f"registry.test.invalid/brakeline/{step}@sha256:{number:064x}"
            made[step] = images.Built(images.reference(step), "sha256:0", source, digest)
        images.write({}, made)

    monkeypatch.setattr(images, "LOCK", tmp_path / "images.lock.json")
    write()
    return write


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    """The S3 store that cluster and people share."""
    with object_store.serving() as made:
        for name, value in {**made.environment(), "BRAKELINE_STORE": STORE}.items():
            monkeypatch.setenv(name, value)
        yield made


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Api]:
    """The API, and an environment that leads to it. No request and no answer may break its description unnoticed."""
    with kfp_server.serving() as made:
        (tmp_path / "token").write_text(f"{made.token}\n")
        monkeypatch.setenv("BRAKELINE_KFP_URL", made.url)
        monkeypatch.setenv("BRAKELINE_KFP_TOKEN_FILE", str(tmp_path / "token"))
        monkeypatch.setenv("BRAKELINE_REGISTRY", "https://registry.test.invalid")
        monkeypatch.setenv("BRAKELINE_MODEL_STORE", "kserve://distance-prediction?runtime=brakeline")
        yield made
        assert made.violations == []


@pytest.fixture
def way(api: Api, store: ObjectStore, pushed: Callable[..., None]) -> Access:
    """All that a submit needs."""
    return access()
