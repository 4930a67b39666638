"""What operators of OpenShift and OpenShift AI do that our manifests count on, done by the tests in their place.

The rights of the runs' account: red-hat-data-services/data-science-pipelines-operator, branches rhoai-2.22 and
rhoai-3.5, config/internal/apiserver/default/role_pipeline-runner.yaml.tmpl, as far as a step of ours could use them.
"""

from __future__ import annotations

import json
import time
from typing import Any

from tests.conftest import Done
from tests.manifests.cluster import Cluster
from tests.manifests.elsewhere import OURS, REGISTRIES
from tests.manifests.trees import MANIFESTS

RUNNER = "pipeline-runner-dspa"
_RBAC = "rbac.authorization.k8s.io"
_ANY = ["get", "list", "watch", "create", "update", "patch", "delete"]
_RULES: dict[str, list[dict[str, Any]]] = {
    "rhoai-2.22": [{"apiGroups": [""], "resources": ["pods", "pods/exec", "pods/log", "services"], "verbs": ["*"]}],
    "rhoai-3.x": [{"apiGroups": [""], "resources": ["pods", "pods/log", "services"], "verbs": _ANY}],
}
_RULES_OF_BOTH: list[dict[str, Any]] = [
    {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list"]},
    {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "watch", "list"]},
    {"apiGroups": ["argoproj.io"], "resources": ["workflowtaskresults"], "verbs": ["create", "patch"]},
    {"apiGroups": ["route.openshift.io"], "resources": ["routes"], "verbs": ["get", "list"]},
    {
        "apiGroups": ["serving.kserve.io"],
        "resources": ["inferenceservices"],
        "verbs": ["create", "get", "list", "patch", "delete"],
    },
]


def prepare(cluster: Cluster) -> None:
    """Namespaces that others make."""
    for name in (REGISTRIES, "openshift-gitops"):
        make(cluster, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})


def applied(cluster: Cluster, folder: str) -> Done:
    """A kustomization, applied as the documents say."""
    words = ("apply", "--server-side", "--field-manager=manifests", "--validate=strict")
    return cluster.kubectl(*words, "-k", MANIFESTS / folder)


def reconcile(cluster: Cluster, overlay: str) -> None:
    """What follows of our objects: the account of the runs with its Role, the namespace's own, the quotas' use."""
    make(cluster, _account("default"))
    make(cluster, _account(RUNNER))
    metadata = {"name": RUNNER, "namespace": OURS}
    rules = _RULES[overlay] + _RULES_OF_BOTH
    make(cluster, {"apiVersion": f"{_RBAC}/v1", "kind": "Role", "metadata": metadata, "rules": rules})
    make(
        cluster,
        {
            "apiVersion": f"{_RBAC}/v1", "kind": "RoleBinding", "metadata": metadata,
            "roleRef": {"apiGroup": _RBAC, "kind": "Role", "name": RUNNER},
            "subjects": [{"kind": "ServiceAccount", "name": RUNNER, "namespace": OURS}],
        },
    )  # fmt: skip
    for quota in cluster.made("GET", f"/api/v1/namespaces/{OURS}/resourcequotas")["items"]:
        measure(cluster, quota["metadata"]["name"])


def measure(cluster: Cluster, quota: str, namespace: str = OURS) -> None:
    """The quota controller's part: until the status tells a use, nothing is admitted."""
    path = f"/api/v1/namespaces/{namespace}/resourcequotas/{quota}"
    found = cluster.made("GET", path)
    hard = found["spec"]["hard"]
    found["status"] = {"hard": hard, "used": dict.fromkeys(hard, "0")}
    cluster.made("PUT", f"{path}/status", found)


def make(cluster: Cluster, content: dict[str, Any]) -> None:
    """Apply an object of the operators', over what a test made of it."""
    words = ("apply", "--server-side", "--force-conflicts", "--field-manager=operators", "-f", "-")
    done = cluster.kubectl(*words, content=json.dumps(content))
    assert done.code == 0, done.stderr


def until(told: Any, patience_s: float = 20.0) -> None:
    """Wait until a question is answered with yes: an API server's caches follow its store."""
    deadline = time.monotonic() + patience_s
    while not told():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _account(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": OURS}}
