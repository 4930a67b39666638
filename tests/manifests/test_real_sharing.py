"""The overlay's service at a real API server, applied by kubectl and by the deploy step in turns: nobody conflicts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from stepkit.errors import ServiceUnavailable

from tests.deploy.conftest import Place
from tests.deploy.releases import NAME
from tests.manifests import operators, trees
from tests.manifests.test_real_deploy import DEPLOYER, account, place
from tests.manifests.trees import MANIFESTS

__all__ = ["account", "place"]  # fixtures

pytestmark = [pytest.mark.slow, DEPLOYER]
DEPLOY = "brakeline-deploy"


def sync(place: Place, overlay: str) -> None:
    """As the documents say, without force."""
    done = operators.applied(place.api.cluster, f"overlays/{overlay}")
    assert done.code == 0, done.stderr


def in_git(overlay: str) -> Any:
    """What the overlay says of the predictor."""
    return trees.tree(f"overlays/{overlay}").one("InferenceService", NAME).spec["predictor"]


def test_git_and_deployments_take_turns(place: Place, overlay: str) -> None:
    """Deploy, apply again, size as in production, deploy, roll back: sizes are Git's, the version is the step's."""
    sync(place, overlay)
    one, two = place.release("1"), place.release("2", 3.0)
    done = place.apply(one)
    assert done.code == 0, done.stderr
    before = place.live()["metadata"]["resourceVersion"]
    sync(place, overlay)
    assert place.live()["metadata"]["resourceVersion"] == before, "another apply of the same comes to rest"
    managers = place.api.managers()
    assert {"f:minReplicas", "f:deploymentStrategy", "f:serviceAccountName"} <= managers["manifests"].keys()
    assert managers[DEPLOY].keys() == {"f:annotations", "f:model"}
    assert managers[DEPLOY]["f:model"] == {"f:storageUri": {}}
    parts = (MANIFESTS / "overlays" / overlay, MANIFESTS / "components" / "production")
    (produced,) = [one for one in trees.composed(*parts) if one.kind == "InferenceService"]
    place.api.apply(NAME, produced.content, "manifests")
    assert place.roll_out(two)["before"] == "1"
    assert place.roll_back()["version"] == "1"
    predictor = place.live()["spec"]["predictor"]
    assert predictor["minReplicas"] == produced.spec["predictor"]["minReplicas"] > in_git(overlay)["minReplicas"]
    sync(place, overlay)
    predictor = place.live()["spec"]["predictor"]
    assert (predictor["minReplicas"], place.uri) == (in_git(overlay)["minReplicas"], one.uri)


def test_a_first_version_that_fails_gives_the_service_back(place: Place, overlay: str) -> None:
    """The real server drops the step among the managers, and with it every field that was the step's."""
    sync(place, overlay)
    before = place.live()
    one = place.release("1")
    place.controller.failing[one.uri] = "the model does not load"
    with pytest.raises(ServiceUnavailable, match="the model does not load"):
        place.roll_out(one, patience_s=1)
    after = place.live()
    for content in (before, after):
        for key in ("resourceVersion", "generation", "managedFields"):
            del content["metadata"][key]
        content.pop("status", None)
    assert json.dumps(after, sort_keys=True) == json.dumps(before, sort_keys=True)
    assert list(place.api.managers()) == ["manifests"]
