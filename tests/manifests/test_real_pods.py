"""Pods at a real API server: admitted where `restricted` is enforced, refused with any fault, and within the quota."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from typing import Any

import pytest

from tests.manifests import inventory, operators, trees
from tests.manifests.cluster import Cluster
from tests.manifests.elsewhere import OURS
from tests.manifests.objects import Manifest, Pod, pods
from tests.manifests.test_policies import DEPLOYMENT

pytestmark = pytest.mark.slow

ENFORCED = {"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/enforce-version": "latest"}
SPACES = itertools.count()


def space(cluster: Cluster, labels: dict[str, str], *accounts: str) -> str:
    """A namespace of its own for a test, with accounts."""
    name = f"pods-{next(SPACES)}"
    cluster.made("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
    for account in {"default", *accounts}:
        cluster.made("POST", f"/api/v1/namespaces/{name}/serviceaccounts", {"metadata": {"name": account}})
    return name


def all_pods(overlay: str) -> list[Pod]:
    """A pod of each template of the overlay and of the registry's, and one that the tests know to be right."""
    names = [f"overlays/{overlay}", f"registry/{overlay}"]
    of_ours = [pod for name in names if name in trees.names() for pod in trees.tree(name).pods()]
    return [*of_ours, *pods([Manifest(DEPLOYMENT)])]


def faults() -> dict[str, Callable[[dict[str, Any]], None]]:
    """What makes a good pod a bad one, by name."""

    def of_container(**what: Any) -> Callable[[dict[str, Any]], None]:
        return lambda spec: spec["containers"][0]["securityContext"].update(what)

    return {
        "root": of_container(runAsUser=0),
        "may be root": of_container(runAsNonRoot=False),
        "privileged": of_container(privileged=True, allowPrivilegeEscalation=True),
        "escalation": of_container(allowPrivilegeEscalation=True),
        "capabilities": of_container(capabilities={"drop": ["ALL"], "add": ["NET_ADMIN"]}),
        "unconfined": of_container(seccompProfile={"type": "Unconfined"}),
        "no profile": _without_profile,
        "host's network": lambda spec: spec.update(hostNetwork=True),
        "host's folder": lambda spec: spec.update(
            volumes=[*spec.get("volumes", []), {"name": "host", "hostPath": {"path": "/"}}]
        ),
    }


def _without_profile(spec: dict[str, Any]) -> None:
    for context in (spec.get("securityContext", {}), *(one["securityContext"] for one in spec["containers"])):
        context.pop("seccompProfile", None)


def test_each_pod_is_admitted_and_each_fault_refused(installed: Cluster, overlay: str) -> None:
    """Pod Security `restricted`, enforced by the API server: every pod of ours passes it, none does with a fault."""
    known = all_pods(overlay)
    at = space(installed, ENFORCED, *(pod.spec.get("serviceAccountName", "default") for pod in known))
    path = f"/api/v1/namespaces/{at}/pods"
    for pod in known:
        good = pod.as_object("good") | {}
        good["metadata"]["namespace"] = at
        answer = installed.ask("POST", path, good, dryRun="All", fieldValidation="Strict")
        assert answer.is_success, f"{pod}: {answer.text}"
        for fault, spoil in faults().items():
            bad = copy.deepcopy(good)
            spoil(bad["spec"])
            answer = installed.ask("POST", path, bad, dryRun="All")
            assert answer.status_code == 403, f"{pod} with {fault}: {answer.text}"
            assert 'violates PodSecurity "restricted' in answer.json()["message"]


def bounded(cluster: Cluster, overlay: str) -> str:
    """A namespace with the overlay's quota and defaults."""
    at = space(cluster, {})
    for kind, path in (("ResourceQuota", "resourcequotas"), ("LimitRange", "limitranges")):
        for one in trees.tree(f"overlays/{overlay}").of(kind):
            content = {"metadata": {"name": one.name}, "spec": one.spec}
            cluster.made("POST", f"/api/v1/namespaces/{at}/{path}", content)
            if kind == "ResourceQuota":
                operators.measure(cluster, one.name, at)
    return at


def start(cluster: Cluster, at: str, spec: dict[str, Any], name: str) -> Any:
    """Create a pod; how it was answered."""
    return cluster.ask("POST", f"/api/v1/namespaces/{at}/pods", {"metadata": {"name": name}, "spec": spec})


def test_an_installation_at_its_busiest_fits_the_quota(installed: Cluster, overlay: str) -> None:
    """The pipelines' servers, a loop of eight shards, the endpoint at its largest, and the workbenches are admitted."""
    at = bounded(installed, overlay)
    for index, spec in enumerate(inventory.at_its_busiest(trees.tree(f"overlays/{overlay}"))):
        answer = start(installed, at, spec, f"pod-{index}")
        assert answer.is_success, answer.text
    (quota,) = installed.made("GET", f"/api/v1/namespaces/{at}/resourcequotas")["items"]
    assert int(quota["status"]["used"]["pods"]) == index + 1


def test_what_is_more_waits_and_what_asks_for_nothing_is_given_something(installed: Cluster, overlay: str) -> None:
    """Runs beyond the quota are refused in the words by which Argo knows to ask again; defaults are requests alone."""
    at = bounded(installed, overlay)
    refused = None
    for index, spec in enumerate(itertools.chain(*(inventory.run("search") for _ in range(4)))):
        answer = start(installed, at, spec, f"pod-{index}")
        if not answer.is_success:
            refused = answer
            break
    assert refused is not None
    assert (refused.status_code, "exceeded quota: brakeline" in refused.json()["message"]) == (403, True)
    made = installed.made("GET", f"/api/v1/namespaces/{at}/pods/pod-0")["spec"]
    wait = next(one for one in made["containers"] if one["name"] == "wait")
    assert wait["resources"] == {"requests": {"cpu": "50m", "memory": "64Mi"}}
    launcher = next(one for one in made["initContainers"] if one["name"] == "kfp-launcher")
    assert launcher["resources"]["requests"] == {"cpu": "100m", "memory": "128Mi"}


def test_without_the_defaults_a_step_would_be_refused(installed: Cluster, overlay: str) -> None:
    """The quota alone refuses a pod of Argo's: the LimitRange is what lets it start."""
    at = bounded(installed, overlay)
    (defaults,) = trees.tree(f"overlays/{overlay}").of("LimitRange")
    installed.made("DELETE", f"/api/v1/namespaces/{at}/limitranges/{defaults.name}")
    spec = next(inventory.run("search"))
    count = itertools.count()
    operators.until(lambda: not start(installed, at, spec, f"pod-{next(count)}").is_success)
    assert "must specify requests" in start(installed, at, spec, "more").json()["message"]


def test_claims_fit_the_quota(installed: Cluster, overlay: str) -> None:
    """Every claim of ours and the pipelines' database's are admitted together."""
    at = bounded(installed, overlay)
    database = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Gi"}}}
    claims = [one.spec for one in trees.tree(f"overlays/{overlay}").of("PersistentVolumeClaim")]
    for index, spec in enumerate([database, *claims]):
        content = {"metadata": {"name": f"claim-{index}"}, "spec": spec}
        installed.made("POST", f"/api/v1/namespaces/{at}/persistentvolumeclaims", content)


def test_the_namespace_itself_takes_a_run(installed: Cluster) -> None:
    """With all that was applied, a step's pod of the runs' account is admitted where it belongs."""
    spec = {**next(inventory.run("fit")), "serviceAccountName": operators.RUNNER}
    content = {"metadata": {"name": "a-step"}, "spec": spec}
    installed.made("POST", f"/api/v1/namespaces/{OURS}/pods", content, dryRun="All")
