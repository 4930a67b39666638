"""The checks themselves: what is right passes all of them, and each fault is met by the check meant for it."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.manifests import elsewhere, policies, references
from tests.manifests.objects import Manifest, fields, merged, pods

DIGEST = "registry.example/brakeline/any@sha256:" + "a" * 64
LABELS = {
    "app.kubernetes.io/name": "brakeline",
    "app.kubernetes.io/component": "any",
    "app.kubernetes.io/part-of": "brakeline",
}
CONTAINER: dict[str, Any] = {
    "name": "any",
    "image": DIGEST,
    "securityContext": {
        "runAsNonRoot": True,
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    },
    "env": [
        {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "brakeline-s3", "key": "AWS_ACCESS_KEY_ID"}}},
        {"name": "TOKEN_FILE", "value": "/run/token"},
    ],
    "resources": {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}},
    "volumeMounts": [{"name": "scratch", "mountPath": "/tmp"}],
    "ports": [{"containerPort": 8080}],
}
DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "any", "namespace": "distance-prediction", "labels": LABELS},
    "spec": {
        "template": {
            "metadata": {"labels": LABELS},
            "spec": {"containers": [CONTAINER], "volumes": [{"name": "scratch", "emptyDir": {}}]},
        }
    },
}
SERVICE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "any", "namespace": "distance-prediction", "labels": LABELS},
    "spec": {"selector": LABELS},
}
POD, IN_CONTAINER = "spec.template.spec", "spec.template.spec.containers.0"


def changed(content: dict[str, Any], path: str, value: Any) -> Manifest:
    """An object with one field set; None removes it."""
    made = copy.deepcopy(content)
    at: Any = made
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    for part in parents:
        at = at[part] if isinstance(part, int) else at.setdefault(part, {})
    at[last] = value
    if value is None:
        del at[last]
    return Manifest(made)


def problems(*objects: Manifest) -> str:
    """All that the checks say."""
    told = [problem for one in objects for problem in (*policies.forbidden(one), *policies.unlabelled(one))]
    for pod in pods(objects):
        told += [*policies.unrestricted(pod), *policies.unbounded(pod), *policies.unlabelled_pod(pod)]
    return "; ".join([*told, *policies.overreaching(objects), *references.selecting_nothing(objects)])


def test_what_is_right_passes() -> None:
    """None of the checks has a word against an object that keeps the rules."""
    assert problems(Manifest(DEPLOYMENT), Manifest(SERVICE)) == ""


@pytest.mark.parametrize(
    ("path", "value", "word"),
    [
        (f"{POD}.securityContext", {"runAsUser": 1000}, "runAsUser is set"),
        (f"{POD}.securityContext", {"fsGroup": 1000}, "fsGroup is set"),
        (f"{POD}.volumes.0", {"name": "scratch", "hostPath": {"path": "/"}}, "hostPath is set"),
        (f"{POD}.volumes.0", {"name": "scratch", "nfs": {"path": "/"}}, "volume scratch is of nfs"),
        (f"{POD}.hostNetwork", True, "hostNetwork is set"),
        (f"{POD}.securityContext", {"seccompProfile": {"type": "RuntimeDefault"}}, ""),
        (f"{IN_CONTAINER}.securityContext.seccompProfile", None, "seccompProfile is not RuntimeDefault"),
        (f"{IN_CONTAINER}.securityContext.seccompProfile.type", "Unconfined", "seccompProfile is not RuntimeDefault"),
        (f"{IN_CONTAINER}.securityContext.privileged", True, "it is privileged"),
        (f"{IN_CONTAINER}.securityContext.runAsNonRoot", None, "runAsNonRoot is not true"),
        (f"{IN_CONTAINER}.securityContext.runAsUser", 0, "runAsUser is set"),
        (f"{IN_CONTAINER}.securityContext.allowPrivilegeEscalation", None, "allowPrivilegeEscalation is not false"),
        (f"{IN_CONTAINER}.securityContext.capabilities.drop", ["KILL"], "capabilities are"),
        (f"{IN_CONTAINER}.securityContext.capabilities.add", ["SYS_ADMIN"], "capabilities are"),
        (f"{IN_CONTAINER}.securityContext.readOnlyRootFilesystem", False, "its root can be written"),
        (f"{IN_CONTAINER}.volumeMounts", [], "/tmp is no volume"),
        (f"{IN_CONTAINER}.ports.0.containerPort", 80, "a port below 1024"),
        (f"{IN_CONTAINER}.ports.0.hostPort", 8080, "hostPort is set"),
        (f"{IN_CONTAINER}.resources.limits.cpu", None, "no limits of cpu"),
        (f"{IN_CONTAINER}.resources", None, "no requests of memory"),
        (f"{IN_CONTAINER}.image", "registry.example/any:1", "allowed an image by its digest"),
        (f"{IN_CONTAINER}.image", f"registry.example/any:main@sha256:{'a' * 64}", "a tag that moves"),
        (f"{IN_CONTAINER}.env", [{"name": "DB_PASSWORD", "value": "a"}], "has its value in clear text"),
        (f"{IN_CONTAINER}.env", [{"name": "DB", "value": "mysql://root:pw@db/a"}], "a URL with a password"),
        ("spec.template.metadata.labels", {"app.kubernetes.io/name": "brakeline"}, "part-of is not brakeline"),
        ("spec.template.metadata.labels", LABELS | {"app.kubernetes.io/component": ""}, "of no component"),
        ("metadata.labels", {}, "Deployment any is not labelled"),
        (f"{POD}.topologySpreadConstraints", [{"labelSelector": {"matchLabels": {"a": "b"}}}], "its own spread"),
    ],
)
def test_each_fault_is_met(path: str, value: Any, word: str) -> None:
    """What restricted-v2 or our own rules forbid is named with the object and the field."""
    found = problems(changed(DEPLOYMENT, path, value))
    assert word in found
    assert bool(found) == bool(word)


def test_secrets_wildcards_and_idle_selectors_are_met() -> None:
    """A Secret with a value, rights to everything, rights of the cluster, and a Service of no pod."""
    about = {"metadata": {"name": "any", "namespace": "distance-prediction", "labels": LABELS}}
    secret = Manifest({"apiVersion": "v1", "kind": "Secret", **about, "stringData": {"a": "b"}})
    assert "stringData holds something" in problems(secret)
    group = "rbac.authorization.k8s.io/v1"
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["*"]}]
    assert "has a wildcard" in problems(Manifest({"apiVersion": group, "kind": "Role", **about, "rules": rules}))
    cluster = Manifest({"apiVersion": group, "kind": "ClusterRole", **about, "rules": []})
    assert "reaches beyond its namespace" in problems(cluster)
    assert "no Pod" in problems(changed(SERVICE, "spec.selector", {"a": "b"}), Manifest(DEPLOYMENT))
    elsewhere = changed(SERVICE, "metadata.namespace", "another")
    assert "no Pod of another" in problems(elsewhere, Manifest(DEPLOYMENT))


@pytest.mark.parametrize(
    ("path", "value", "word"),
    [
        (f"{POD}.serviceAccountName", "nobody", "ServiceAccount distance-prediction/nobody is nowhere"),
        (f"{POD}.volumes.0", {"name": "a", "configMap": {"name": "gone"}}, "ConfigMap distance-prediction/gone"),
        (f"{POD}.volumes.0", {"name": "a", "secret": {"secretName": "gone"}}, "Secret distance-prediction/gone"),
        (f"{POD}.volumes.0", {"name": "a", "persistentVolumeClaim": {"claimName": "gone"}}, "PersistentVolumeClaim"),
        (
            f"{POD}.volumes.0",
            {"name": "a", "projected": {"sources": [{"configMap": {"name": "gone"}}]}},
            "ConfigMap distance-prediction/gone",
        ),
        (f"{IN_CONTAINER}.envFrom", [{"secretRef": {"name": "gone"}}], "Secret distance-prediction/gone"),
        (f"{IN_CONTAINER}.env.0.valueFrom.secretKeyRef.key", "GONE", "brakeline-s3 has no key GONE"),
        (f"{IN_CONTAINER}.env.0.valueFrom.secretKeyRef.name", "brakeline-s3", ""),
        (f"{POD}.imagePullSecrets", [{"name": "gone"}], "Secret distance-prediction/gone"),
    ],
)
def test_a_reference_to_nothing_is_met(path: str, value: Any, word: str) -> None:
    """Objects and keys that nobody makes are named; what people make is on their list."""
    found = "; ".join(references.unresolved([changed(DEPLOYMENT, path, value)]))
    assert word in found
    assert bool(found) == bool(word)


def test_an_operators_name_is_met() -> None:
    """A Service of the name that the operator gives its own is told, with whose the name is."""
    about = {"name": "any", "namespace": "distance-prediction"}
    service = Manifest({"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": about})
    (told,) = elsewhere.taken([service, changed(SERVICE, "metadata.name", "any-metrics"), Manifest(SERVICE)])
    assert told == "Service any-metrics: the name is odh-model-controller's, of InferenceService any"


def test_bindings_refer_too() -> None:
    """The Role, the account with its own namespace, and the Group of a binding."""
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": "any", "namespace": "distance-prediction"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "gone"},
        "subjects": [{"kind": "ServiceAccount", "name": "gone", "namespace": "a"}, {"kind": "Group", "name": "admins"}],
    }  # fmt: skip
    found = references.unresolved([Manifest(binding)])
    assert [line.rpartition(": ")[2] for line in found] == [
        "Role distance-prediction/gone is nowhere", "ServiceAccount a/gone is nowhere", "Group /admins is nowhere",
    ]  # fmt: skip


def test_a_field_that_may_be_a_reference_is_not_passed_over() -> None:
    """What sounds like a Secret and is not known to the check fails it, so that no reference goes unread."""
    with pytest.raises(ValueError, match="clientSecretName may name an object"):
        references.unresolved([changed(DEPLOYMENT, "spec.clientSecretName", "a")])


def test_a_served_pod_is_of_runtime_and_service() -> None:
    """The runtime's container with the model's resources and more arguments, in the pod that the service describes."""
    runtime = {
        "apiVersion": "serving.kserve.io/v1alpha1", "kind": "ServingRuntime", "metadata": {"name": "r"},
        "spec": {
            "containers": [{**CONTAINER, "name": "kserve-container", "args": ["--a"]}], "volumes": [{"name": "v"}],
        },
    }  # fmt: skip
    service = {
        "apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService",
        "metadata": {"name": "s", "labels": LABELS},
        "spec": {"predictor": {
            "minReplicas": 2, "serviceAccountName": "who", "volumes": [{"name": "w"}],
            "model": {"runtime": "r", "args": ["--b"], "resources": {"limits": {"cpu": "2"}}},
        }},
    }  # fmt: skip
    (pod,) = pods([Manifest(runtime), Manifest(service)])
    (container,) = pod.containers()
    assert container["args"] == ["--a", "--b"]
    assert container["resources"]["limits"] == {"cpu": "2", "memory": "1Gi"}
    assert container["image"] == DIGEST
    assert pod.spec["serviceAccountName"] == "who"
    assert [volume["name"] for volume in pod.spec["volumes"]] == ["v", "w"]
    assert "minReplicas" not in pod.spec
    assert pod.labels["serving.kserve.io/inferenceservice"] == "s"


def test_lists_of_a_pod_are_merged_by_what_names_their_entries() -> None:
    """The same environment variable is replaced, another one is added; other lists are replaced whole."""
    below = {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "1"}], "command": ["a"]}
    above = {"env": [{"name": "B", "value": "2"}, {"name": "C", "value": "2"}], "command": ["b"]}
    both = merged(below, above)
    assert [entry["value"] for entry in both["env"]] == ["1", "2", "2"]
    assert both["command"] == ["b"]
    assert (("env", 1, "value"), "2") in list(fields(both))
