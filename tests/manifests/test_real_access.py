"""Who may do what, asked of a real API server's own authorization: verb by verb, kind by kind."""

from __future__ import annotations

from typing import Any

import pytest

from tests.manifests import operators, trees
from tests.manifests.cluster import APPLY, Cluster
from tests.manifests.elsewhere import OURS, REGISTRIES

pytestmark = pytest.mark.slow

READS = {"get", "list", "watch"}
SERVES = "inferenceservices.serving.kserve.io/stopping-distance"
PIPELINES = "datasciencepipelinesapplications/api.datasciencepipelinesapplications.opendatahub.io/dspa"
WORKBENCHES = [f"notebooks.kubeflow.org/{name}" for name in ("build-model", "data-generation")]
DEPLOYS = {f"{verb} {SERVES}" for verb in ("create", "patch", "delete")}
# By who: all that they may change in the namespace.
CHANGES: dict[str, set[str]] = {
    "viewers": set(),
    "data-scientists": {f"patch {one}" for one in WORKBENCHES} | {f"create {PIPELINES}", f"delete {PIPELINES}"},
    "operators": DEPLOYS,
    "deploy": DEPLOYS,
}


def who(name: str) -> dict[str, Any]:
    """A member of a group of people, or an account, as the API server knows them."""
    if name in ("viewers", "data-scientists", "operators"):
        return {"user": "somebody", "groups": [f"brakeline-{name}", "system:authenticated"]}
    account = {"deploy": "brakeline-deploy"}.get(name, name)
    groups = ["system:serviceaccounts", f"system:serviceaccounts:{OURS}", "system:authenticated"]
    return {"user": f"system:serviceaccount:{OURS}:{account}", "groups": groups}


def may(
    cluster: Cluster, name: str, verb: str, resource: str, group: str = "", *, of: str = "", space: str = OURS
) -> bool:
    """Whether somebody may do something, in a namespace, to an object of a name or to all."""
    resource, _, subresource = resource.partition("/")
    wanted = {"namespace": space, "verb": verb, "group": group, "resource": resource, "name": of}
    wanted["subresource"] = subresource
    review = {
        "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
        "spec": {**who(name), "resourceAttributes": wanted},
    }  # fmt: skip
    told = cluster.made("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    return bool(told["status"]["allowed"])


def all_of(cluster: Cluster, name: str) -> set[str]:
    """All that somebody may do in the namespace, in words: a verb and what, with a name where it is bound to one.

    What anybody may do who is known at all, as to ask for one's own rights, is left out.
    """
    return _rules(cluster, **who(name)) - _rules(cluster, "anybody", ["system:authenticated"])


def _rules(cluster: Cluster, user: str, groups: list[str]) -> set[str]:
    review = {
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": OURS},
    }  # fmt: skip
    told = cluster.as_somebody(user, groups, "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", review)["status"]
    assert told["incomplete"] is False
    return {
        f"{verb} {resource}" + (f".{group}" if group else "") + (f"/{of}" if of else "")
        for rule in told["resourceRules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        for of in rule.get("resourceNames") or [""]
    }


@pytest.mark.parametrize("name", CHANGES)
def test_all_that_somebody_may_change(installed: Cluster, name: str) -> None:
    """Of everything that the API server lets each do, changes are exactly what is stated; no Secret is read by any."""
    rights = all_of(installed, name)
    assert {told for told in rights if told.split()[0] not in READS} == CHANGES[name]
    assert not {told for told in rights if "secrets" in told or "/exec" in told or "portforward" in told or "*" in told}
    if name == "deploy":
        assert rights - DEPLOYS == {f"get {SERVES}", "list pods"}


@pytest.mark.parametrize("name", ["viewers", "data-scientists", "operators"])
def test_what_people_read(installed: Cluster, overlay: str, name: str) -> None:
    """Whatever the overlay holds can be listed; a workbench, or the pipelines API, is opened by its people alone."""
    of_ours = [one for one in trees.tree(f"overlays/{overlay}").objects if one.kind != "Namespace"]
    for one in of_ours:
        group, _, version = one.api_version.rpartition("/")
        path = f"/apis/{group}/{version}" if group else "/api/v1"
        known = installed.made("GET", path)["resources"]
        (resource,) = [entry["name"] for entry in known if entry["kind"] == one.kind and "/" not in entry["name"]]
        assert may(installed, name, "list", resource, group), f"{name} cannot list {resource}"
    is_scientist = name == "data-scientists"
    api = "datasciencepipelinesapplications"
    for resource, group, of, expected in (
        ("pods/log", "", "", True),
        ("notebooks", "kubeflow.org", "build-model", is_scientist),
        ("notebooks", "kubeflow.org", "somebody-elses", False),
        ("secrets", "", "brakeline-s3", False),
        # On 2.22 this alone opens the whole pipelines API.
        ("routes", "route.openshift.io", "ds-pipeline-dspa", is_scientist or overlay == "rhoai-3.x"),
        (f"{api}/api", f"{api}.opendatahub.io", "dspa", is_scientist or overlay == "rhoai-3.x"),
        ("inferenceservices", "serving.kserve.io", "stopping-distance", True),
    ):
        assert may(installed, name, "get", resource, group, of=of) == expected, (name, resource, of)


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("space", ["default", REGISTRIES])
def test_nobody_reaches_another_namespace(installed: Cluster, name: str, space: str) -> None:
    """What the namespace's Roles give ends with it."""
    for verb, resource, group in (
        ("list", "pods", ""), ("get", "secrets", ""), ("patch", "inferenceservices", "serving.kserve.io"),
        ("list", "inferenceservices", "serving.kserve.io"), ("create", "rolebindings", "rbac.authorization.k8s.io"),
    ):  # fmt: skip
        assert not may(installed, name, verb, resource, group, space=space)


def test_a_strangers_rights_are_none(installed: Cluster) -> None:
    """Who is in none of the groups may do nothing in the namespace, and a group alone makes the difference."""
    assert all_of(installed, "nobody") == set()
    assert may(installed, "viewers", "list", "pods")


def test_the_account_of_deployments_by_its_own_token(installed: Cluster) -> None:
    """With the token that a deployment from outside holds: it applies the one service, and nothing else goes."""
    token = installed.token_of(OURS, "brakeline-deploy")
    base = f"/apis/serving.kserve.io/v1beta1/namespaces/{OURS}"
    service = {
        "apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService",
        "metadata": {}, "spec": {"predictor": {"model": {"modelFormat": {"name": "onnx"}, "storageUri": "s3://a/b"}}},
    }  # fmt: skip
    apply: dict[str, str] = {"kind": APPLY, "fieldManager": "brakeline-deploy", "dryRun": "All", "force": "true"}
    one = f"{base}/inferenceservices/stopping-distance"
    answers = {
        "apply": installed.ask(
            "PATCH", one, service | {"metadata": {"name": "stopping-distance"}}, token=token, **apply
        ),
        "apply another": installed.ask("PATCH", f"{base}/inferenceservices/b", service, token=token, **apply),
        "update": installed.ask("PUT", one, service, token=token),
        "watch": installed.ask("GET", f"{base}/inferenceservices", token=token, watch="true", timeoutSeconds="1"),
        "runtimes": installed.ask("GET", f"{base}/servingruntimes", token=token),
        "pods": installed.ask("GET", f"/api/v1/namespaces/{OURS}/pods", token=token),
        "a pod's log": installed.ask("GET", f"/api/v1/namespaces/{OURS}/pods/a/log", token=token),
        "secrets": installed.ask("GET", f"/api/v1/namespaces/{OURS}/secrets", token=token),
        "no token": installed.ask("GET", one, token="of nobody"),
    }
    codes = {name: answer.status_code for name, answer in answers.items()}
    assert codes.pop("apply") in (200, 201), answers["apply"].text
    assert codes == {
        "apply another": 403, "update": 403, "watch": 403, "runtimes": 403, "pods": 200, "a pod's log": 403,
        "secrets": 403, "no token": 401,
    }  # fmt: skip


def test_the_runs_account_has_what_the_deploy_step_asks_for(installed: Cluster) -> None:
    """The operator's Role alone gives it; nothing of ours adds to it, and it may not update, watch or make Secrets."""
    for verb in ("create", "get", "list", "patch", "delete"):
        assert may(installed, operators.RUNNER, verb, "inferenceservices", "serving.kserve.io", of="stopping-distance")
    assert may(installed, operators.RUNNER, "list", "pods")
    for verb, resource, group in (
        ("update", "inferenceservices", "serving.kserve.io"), ("watch", "inferenceservices", "serving.kserve.io"),
        ("get", "servingruntimes", "serving.kserve.io"), ("create", "secrets", ""),
    ):  # fmt: skip
        assert not may(installed, operators.RUNNER, verb, resource, group), (verb, resource)
    for binding in installed.made("GET", f"/apis/rbac.authorization.k8s.io/v1/namespaces/{OURS}/rolebindings")["items"]:
        is_ours = binding["metadata"]["name"].startswith("brakeline-")
        assert not (is_ours and operators.RUNNER in str(binding["subjects"]))
