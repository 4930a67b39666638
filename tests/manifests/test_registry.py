"""The registry: one proxy a release, a database that only it reaches, and who may ask it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.manifests import references, trees
from tests.manifests.objects import Manifest
from tests.manifests.trees import OVERLAYS, Tree

NAME, DATABASE = "brakeline-registry", "brakeline-registry-database"
PROXIES = {"rhoai-2.22": "oauthProxy", "rhoai-3.x": "kubeRBACProxy"}
OF_THE_REGISTRY = {"app": NAME, "component": "model-registry"}


@pytest.fixture(params=list(OVERLAYS))
def registry(request: pytest.FixtureRequest) -> Tree:
    return trees.tree(f"registry/{request.param}")


def environment(database: Manifest) -> dict[str, Any]:
    (container,) = database.spec["template"]["spec"]["containers"]
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container["env"]}


def test_it_has_the_proxy_of_its_release_and_no_other(registry: Tree) -> None:
    """Exactly one; 3.x's own rule, which no schema states, refuses both at once."""
    spec = registry.one("ModelRegistry", NAME).spec
    assert {name for name in PROXIES.values() if name in spec} == {PROXIES[registry.name.removeprefix("registry/")]}
    assert spec["grpc"] == {}  # 2.22 requires it.
    assert ("mysql" in spec, "postgres" in spec) == (True, False)


def test_it_logs_in_as_the_user_that_its_database_makes(registry: Tree) -> None:
    """Host, port, database, user and the Secret's key are the same on both sides."""
    mysql = registry.one("ModelRegistry", NAME).spec["mysql"]
    known = environment(registry.one("Deployment", DATABASE))
    assert (mysql["database"], mysql["username"]) == (known["MYSQL_DATABASE"], known["MYSQL_USER"])
    assert known["MYSQL_PASSWORD"] == {"secretKeyRef": mysql["passwordSecret"]}
    service = registry.one("Service", mysql["host"])
    assert mysql["port"] in [port["port"] for port in service.spec["ports"]]


def test_only_its_pods_reach_its_database(registry: Tree) -> None:
    """The database's one policy lets the registry's labels in, on one port, and nothing out."""
    (pod,) = [pod for pod in registry.pods() if pod.of.name == DATABASE]
    policies = [one for one in registry.of("NetworkPolicy") if references.matches(one.spec["podSelector"], pod.labels)]
    (policy,) = policies
    assert policy.spec["policyTypes"] == ["Ingress", "Egress"]
    assert "egress" not in policy.spec
    (rule,) = policy.spec["ingress"]
    assert rule["from"] == [{"podSelector": {"matchLabels": OF_THE_REGISTRY}}]
    assert [port["port"] for port in rule["ports"]] == [3306]


def test_its_service_does_not_pick_the_database(registry: Tree) -> None:
    """The operator's Service selects by `app` and `component`, which the database's pod has not."""
    (pod,) = registry.pods()
    assert not OF_THE_REGISTRY.keys() & pod.labels.keys()


def test_its_database_survives_a_new_pod(registry: Tree) -> None:
    """One writer at a time on one claim; what else the image writes, its socket too, is in volumes."""
    spec = registry.one("Deployment", DATABASE).spec
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    (container,) = spec["template"]["spec"]["containers"]
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in spec["template"]["spec"]["volumes"]}
    assert volumes[mounts["/var/lib/mysql"]]["persistentVolumeClaim"] == {"claimName": DATABASE}
    assert all("emptyDir" in volumes[mounts[path]] for path in ("/tmp", "/etc/my.cnf.d"))
    assert "--socket=/tmp/mysql.sock" in container["args"]


def test_pods_of_the_project_reach_the_proxy_and_nothing_behind_it(registry: Tree) -> None:
    """Beside the operator's policy: from the project, to the proxy's port alone."""
    (rule,) = registry.one("NetworkPolicy", "brakeline-registry-clients").spec["ingress"]
    (source,) = rule["from"]
    assert source == {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "distance-prediction"}}}
    assert [port["port"] for port in rule["ports"]] == [8443]


def test_accounts_and_people_that_register_may_use_it(registry: Tree) -> None:
    """By the Role that the operator makes; its proxy knows no lesser right, so viewers are not among them."""
    bindings = registry.of("RoleBinding")
    assert {one.content["roleRef"]["name"] for one in bindings} == {f"registry-user-{NAME}"}
    subjects = {subject["name"] for one in bindings for subject in one.content["subjects"]}
    people = {"brakeline-data-scientists", "brakeline-operators"}
    assert {"pipeline-runner-dspa", "brakeline-deploy", *people} <= subjects
    assert "brakeline-viewers" not in subjects
    accounts = [one for binding in bindings for one in binding.content["subjects"] if one["kind"] == "ServiceAccount"]
    assert {one["namespace"] for one in accounts} == {"distance-prediction"}
