"""Objects are what the schemas allow: custom kinds each release's published CRDs, core kinds each Kubernetes below."""

from __future__ import annotations

import copy
from typing import Any

import kubernetes_validate
import pytest

from tests.crds import RELEASES, published
from tests.manifests.objects import Manifest
from tests.manifests.trees import KUBERNETES, Tree

SERVICE: dict[str, Any] = {
    "apiVersion": "serving.kserve.io/v1beta1",
    "kind": "InferenceService",
    "metadata": {"name": "a"},
    "spec": {"predictor": {"model": {"modelFormat": {"name": "onnx"}, "storageUri": "s3://a/b"}}},
}
ROUTE: dict[str, Any] = {
    "apiVersion": "route.openshift.io/v1",
    "kind": "Route",
    "metadata": {"name": "a", "labels": {"any": "label"}},
    "spec": {"to": {"kind": "Service", "name": "a"}, "port": {"targetPort": 8443}},
}


def is_core(one: Manifest) -> bool:
    """Whether Kubernetes itself has the kind."""
    group = one.api_version.rpartition("/")[0]
    return "." not in group or group.endswith(".k8s.io")


def changed(content: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """An object with one field set."""
    made = copy.deepcopy(content)
    *parents, last = path.split(".")
    at = made
    for part in parents:
        at = at.setdefault(part, {})
    at[last] = value
    return made


def test_custom_objects_are_valid_against_every_release_of_theirs(tree: Tree) -> None:
    """The published CRDs declare every field, value and scope: a base's of both releases, an overlay's of its own."""
    for one in tree.objects:
        for release in tree.releases if not is_core(one) else ():
            schema = published(release, one.api_version, one.kind)
            assert schema is not None, f"{one}: {release} serves no {one.api_version} {one.kind}"
            assert schema.problems(one.content) == [], f"{one} on {release}"
            assert schema.is_namespaced == bool(one.namespace), f"{one} on {release}: its namespace"


def test_core_objects_are_valid_on_every_kubernetes_of_theirs(tree: Tree) -> None:
    """Strictly: no field that Kubernetes does not know, in none of the versions below the OpenShifts of a release."""
    for one in filter(is_core, tree.objects):
        for version in dict.fromkeys(version for release in tree.releases for version in KUBERNETES[release]):
            assert kubernetes_validate.validate(one.content, version, strict=True) == version, f"{one}"


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize(
    ("path", "value", "word"),
    [
        ("spec.predictor.model.storageURI", "s3://a", ".spec.predictor.model.storageURI: field not declared"),
        ("spec.predicter", {}, ".spec.predicter: field not declared"),
        ("extra", {}, ".extra: field not declared"),
        ("spec.predictor.minReplicas", "2", "is not of type 'integer'"),
        ("spec.predictor.model.modelFormat", {"version": "1"}, "'name' is a required property"),
        ("spec.predictor.model.ports", [{"containerPort": 1}, {"containerPort": 1}], "duplicate value"),
        ("spec.predictor.model.resources", {"limits": {"cpu": True}}, "True is not of type 'integer', 'string'"),
        ("spec.predictor.containers", [{"name": "a", "livenessProb": {}}], "livenessProb: field not declared"),
        ("spec.predictor.model.modelFormat", None, "None is not of type 'object'"),
    ],
)
def test_the_validator_refuses(release: str, path: str, value: Any, word: str) -> None:
    """Misspelt fields at any depth, wrong types, missing and doubled entries; and takes the object as it was."""
    schema = published(release, SERVICE["apiVersion"], SERVICE["kind"])
    assert schema is not None
    assert schema.problems(SERVICE) == []
    assert word in " ".join(schema.problems(changed(SERVICE, path, value)))


def test_the_validator_knows_the_ways_of_structural_schemas() -> None:
    """Defaults before what is required, either number or string, values that exclude each other, what is preserved."""
    route = published(RELEASES[0], ROUTE["apiVersion"], "Route")
    assert route is not None
    assert route.problems(ROUTE) == []
    assert route.defaulted(ROUTE)["spec"]["to"]["weight"] == 100
    assert route.problems(changed(ROUTE, "spec.port.targetPort", "https")) == []
    assert "is not of type" in " ".join(route.problems(changed(ROUTE, "spec.port.targetPort", 1.5)))
    assert "is not one of" in " ".join(route.problems(changed(ROUTE, "spec.to.kind", "Pod")))
    application = {
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": {"name": "a"},
        "spec": {"project": "a", "destination": {}, "source": {"repoURL": "a", "helm": {"valuesObject": {"any": 1}}}},
    }  # fmt: skip
    schema = published(RELEASES[0], application["apiVersion"], "Application")  # type: ignore[arg-type]
    assert schema is not None
    assert schema.problems(application) == []
    assert schema.problems(changed(application, "spec.source.helm", {"any": 1}))


@pytest.mark.parametrize(
    ("release", "other", "path"),
    [("rhoai-3.5", "rhoai-2.22", "spec.kubeRBACProxy"), ("rhoai-2.22", "rhoai-3.5", "spec.nothing")],
)
def test_releases_are_told_apart(release: str, other: str, path: str) -> None:
    """A field that one release knows is refused on the other; one that nobody knows is refused on both."""
    registry = {
        "apiVersion": "modelregistry.opendatahub.io/v1beta1", "kind": "ModelRegistry", "metadata": {"name": "a"},
        "spec": {"grpc": {}, "rest": {}, "postgres": {"host": "a", "database": "a", "username": "a"}},
    }  # fmt: skip
    for named, is_known in ((release, path != "spec.nothing"), (other, False)):
        schema = published(named, "modelregistry.opendatahub.io/v1beta1", "ModelRegistry")
        assert schema is not None
        assert schema.problems(registry) == []
        assert (schema.problems(changed(registry, path, {})) == []) == is_known


def test_core_kinds_are_held_strictly() -> None:
    """A field that Kubernetes does not know is refused, where its plain schema would let it pass."""
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [{"port": 1}]}}
    kubernetes_validate.validate(service, "1.32", strict=True)
    with pytest.raises(kubernetes_validate.ValidationError, match="selectors"):
        kubernetes_validate.validate(changed(service, "spec.selectors", {}), "1.32", strict=True)


def test_an_unserved_version_is_no_kind() -> None:
    """A version that a CRD has and does not serve, and a kind of another release, are not found."""
    assert published(RELEASES[0], "external-secrets.io/v1", "ExternalSecret") is not None
    assert published(RELEASES[0], "external-secrets.io/v1beta1", "ExternalSecret") is None
    assert published("rhoai-2.22", "serving.kserve.io/v1alpha1", "ClusterServingRuntime") is None
    assert published("rhoai-3.5", "serving.kserve.io/v1alpha1", "ClusterServingRuntime") is not None
