"""A sync and a deployment share an InferenceService at a real API server, field by field."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from brakeline_deploy.kube import MANAGER

from tests.manifests import trees
from tests.manifests.cluster import APPLY, Cluster
from tests.manifests.elsewhere import OURS

pytestmark = pytest.mark.slow

# argo-cd, common/common.go: as whom it applies on the server's side. It takes what is another's, always.
ARGO_CD = "argocd-controller"
NAME = "synced"
PATH = f"/apis/serving.kserve.io/v1beta1/namespaces/{OURS}/inferenceservices/{NAME}"


@dataclass
class Service:
    """An InferenceService as Git has it, and whoever applies to it."""

    cluster: Cluster
    git: dict[str, Any]

    def apply(self, content: dict[str, Any], manager: str) -> httpx.Response:
        """One manager's apply; only Argo CD's is forced."""
        query = {"fieldManager": manager, "force": str(manager == ARGO_CD).lower(), "fieldValidation": "Strict"}
        return self.cluster.ask("PATCH", PATH, content, kind=APPLY, **query)

    def sync(self, **copied: Any) -> None:
        """What Git says, with what is copied of the live object into the model."""
        content = copy.deepcopy(self.git)
        content["spec"]["predictor"]["model"].update(copied)
        answer = self.apply(content, ARGO_CD)
        assert answer.is_success, answer.text

    def deploy(self, version: str) -> httpx.Response:
        """What a deployment says: its version and URI, and what Git says too."""
        said = self.git["spec"]["predictor"]["model"]
        model = {key: said[key] for key in ("modelFormat", "protocolVersion", "runtime")}
        content = {
            "apiVersion": self.git["apiVersion"], "kind": self.git["kind"],
            "metadata": {"name": NAME, "annotations": {"brakeline/version": version}},
            "spec": {"predictor": {"model": {**model, "storageUri": f"s3://pipeline-artifacts/{version}/"}}},
        }  # fmt: skip
        return self.apply(content, MANAGER)

    def uri(self) -> str:
        """What is served."""
        return str(self.cluster.made("GET", PATH)["spec"]["predictor"]["model"]["storageUri"])


@pytest.fixture
def service(installed: Cluster, overlay: str) -> Iterator[Service]:
    git = copy.deepcopy(trees.tree(f"overlays/{overlay}").one("InferenceService", "stopping-distance").content)
    git["metadata"]["name"] = NAME
    yield Service(installed, git)
    installed.ask("DELETE", PATH)


def test_neither_undoes_the_other(service: Service) -> None:
    """A sync leaves what is served and its owner; the deployment after it meets no conflict."""
    service.sync()
    for version in ("1", "2", "3"):
        answer = service.deploy(version)
        assert answer.is_success, answer.text
        service.sync()
        assert service.uri() == f"s3://pipeline-artifacts/{version}/"
        entries = service.cluster.made("GET", PATH)["metadata"]["managedFields"]
        assert {entry["manager"] for entry in entries if "storageUri" in str(entry["fieldsV1"])} == {MANAGER}


def test_a_field_that_is_ignored_by_its_path_would_be_refused_to_the_next_deployment(service: Service) -> None:
    """Such a field is copied into the sync, whose owner is then another one: why it is ignored by its owner's name."""
    service.sync()
    assert service.deploy("1").is_success
    service.sync(storageUri=service.uri())
    answer = service.deploy("2")
    assert answer.status_code == 409
    (cause,) = answer.json()["details"]["causes"]
    assert ARGO_CD in cause["message"]
    assert cause["field"] == ".spec.predictor.model.storageUri"
