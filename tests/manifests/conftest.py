"""Trees for the tests: each by its name, rendered once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.manifests import cluster as clusters
from tests.manifests import operators, trees
from tests.manifests.cluster import Cluster
from tests.manifests.trees import Tree


@pytest.fixture(params=trees.names())
def tree(request: pytest.FixtureRequest) -> Tree:
    """Each tree, with each optional part."""
    return trees.tree(request.param)


@pytest.fixture(params=list(trees.OVERLAYS))
def installation(request: pytest.FixtureRequest) -> Tree:
    """All of an installation of each release."""
    return trees.installation(request.param)


@pytest.fixture(scope="session", params=list(trees.OVERLAYS))
def overlay(request: pytest.FixtureRequest) -> str:
    """Each overlay."""
    return str(request.param)


@pytest.fixture(scope="session")
def cluster(overlay: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A real API server with the CRDs of the overlay's release, and what others make before us."""
    with clusters.running(tmp_path_factory.mktemp("cluster"), trees.OVERLAYS[overlay]) as running:
        operators.prepare(running)
        yield running


@pytest.fixture(scope="session")
def installed(cluster: Cluster, overlay: str) -> Cluster:
    """The same with the registry's kustomization, the overlay, and GitOps applied as the documents say."""
    for folder in (f"registry/{overlay}", f"overlays/{overlay}", "gitops"):
        if (trees.MANIFESTS / folder / "kustomization.yaml").is_file():
            done = operators.applied(cluster, folder)
            assert done.code == 0, done.stderr
    operators.reconcile(cluster, overlay)
    return cluster
