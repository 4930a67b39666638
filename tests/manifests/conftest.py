"""Trees for the tests: each by its name, rendered once."""

from __future__ import annotations

import pytest

from tests.manifests import trees
from tests.manifests.trees import Tree


@pytest.fixture(params=trees.names())
def tree(request: pytest.FixtureRequest) -> Tree:
    """Each tree, with each optional part."""
    return trees.tree(request.param)


@pytest.fixture(params=list(trees.OVERLAYS))
def installation(request: pytest.FixtureRequest) -> Tree:
    """All of an installation of each release."""
    return trees.installation(request.param)
