"""Who reaches which pod, and that no policy or quota of ours touches what operators run."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from brakeline import platform

from tests.manifests import inventory, trees
from tests.manifests.elsewhere import OURS
from tests.manifests.objects import Manifest, amount
from tests.manifests.references import matches
from tests.manifests.trees import OVERLAYS, Tree

# Pods that may ask, by their namespace's labels and their own.
INGRESS = {"policy-group.network.openshift.io/ingress": ""}
STEP = {**platform.LABELS, platform.TASK_LABEL: "search", "pipelines.kubeflow.org/v2_component": "true"}


def of(namespace: str, **more: str) -> dict[str, str]:
    """The labels that every namespace has, and more."""
    return {"kubernetes.io/metadata.name": namespace, **more}


@pytest.fixture(params=list(OVERLAYS))
def overlay_tree(request: pytest.FixtureRequest) -> Tree:
    """Each overlay."""
    return trees.tree(f"overlays/{request.param}")


def policies(tree: Tree) -> list[Manifest]:
    """Those of our namespace."""
    return [one for one in tree.of("NetworkPolicy") if one.namespace == OURS]


def allowed(tree: Tree, pod: dict[str, str], port: int, space: dict[str, str], asker: dict[str, str]) -> bool:
    """Whether our policies let a pod be reached (Kubernetes, "Network Policies": what one allows is allowed)."""
    selecting = [one.spec for one in policies(tree) if matches(one.spec["podSelector"], pod)]
    return not selecting or any(_opens(spec, port, space, asker) for spec in selecting)


def _opens(spec: dict[str, Any], port: int, space: dict[str, str], asker: dict[str, str]) -> bool:
    for rule in spec.get("ingress") or []:
        is_port = port in [entry["port"] for entry in rule.get("ports") or []] or not rule.get("ports")
        sources = rule.get("from") or []
        if is_port and (not sources or any(_is_from(source, space, asker) for source in sources)):
            return True
    return False


def _is_from(source: dict[str, Any], space: dict[str, str], asker: dict[str, str]) -> bool:
    is_space = (
        matches(source["namespaceSelector"], space)
        if "namespaceSelector" in source
        else space["kubernetes.io/metadata.name"] == OURS
    )
    return is_space and matches(source.get("podSelector") or {}, asker)


@pytest.mark.parametrize(
    ("port", "space", "is_allowed"),
    [
        (8443, of("openshift-ingress", **INGRESS), True),
        (8443, of(OURS), True),
        (8443, of("another"), False),
        (9443, of("openshift-user-workload-monitoring"), True),
        (9443, of("openshift-monitoring"), True),
        (9443, of(OURS), False),
        (9443, of("openshift-ingress", **INGRESS), False),
        # The server itself, and its probes: for the pod and the kubelet.
        (8080, of(OURS), False),
        (8080, of("openshift-user-workload-monitoring"), False),
        (8081, of(OURS), False),
    ],
)
def test_who_reaches_the_endpoint(overlay_tree: Tree, port: int, space: dict[str, str], is_allowed: bool) -> None:
    """Clients through the proxy, Prometheus to the metrics, and nobody to the server behind them."""
    (pod,) = [one for one in overlay_tree.pods() if one.of.kind == "InferenceService"]
    assert allowed(overlay_tree, pod.labels, port, space, {}) == is_allowed
    ports = {entry["port"] for rule in overlay_tree.one("NetworkPolicy", "brakeline-serving").spec["ingress"]
             for entry in rule["ports"]}  # fmt: skip
    assert ports == {8443, 9443}


def test_nobody_reaches_a_step_or_a_workbench_by_us(overlay_tree: Tree) -> None:
    """Steps serve nobody; what leads to a workbench is its controllers' own policy, to which ours add nothing."""
    closed = [STEP, *(pod.labels for pod in overlay_tree.pods() if pod.of.kind == "Notebook")]
    for labels in closed:
        for space in (of(OURS), of("openshift-ingress", **INGRESS), of("redhat-ods-applications")):
            assert not allowed(overlay_tree, labels, 8888, space, {}), labels


def operators_pods() -> Iterator[dict[str, str]]:
    """Labels of what the pipelines' operator runs in our namespace."""
    for name in inventory.PIPELINES:
        yield {"app": name, "component": "data-science-pipelines", "dspa": "dspa"}


def test_no_policy_touches_an_operators_pod(overlay_tree: Tree) -> None:
    """Each selects by labels of ours, and none says anything of egress."""
    assert policies(overlay_tree)
    for one in policies(overlay_tree):
        assert one.spec["podSelector"], f"{one} selects the whole namespace"
        assert one.spec["policyTypes"] == ["Ingress"]
        assert "egress" not in one.spec
        for labels in operators_pods():
            assert not matches(one.spec["podSelector"], labels), f"{one} selects {labels}"


def test_the_quota_has_room_for_an_installation_and_not_for_three(overlay_tree: Tree) -> None:
    """An installation at its busiest, with a run of eight shards, takes more than a third of what it may."""
    (quota,) = overlay_tree.of("ResourceQuota")
    (defaults,) = overlay_tree.of("LimitRange")
    (given,) = [entry["defaultRequest"] for entry in defaults.spec["limits"]]
    pods = list(inventory.at_its_busiest(overlay_tree))
    for what in ("cpu", "memory"):
        asked = sum(effective(pod, what, given) for pod in pods)
        hard = amount(quota.spec["hard"][f"requests.{what}"])
        assert hard is not None
        assert hard / 3 < asked <= hard, f"{what}: {asked:.3g} of {hard:.3g}"
    assert len(pods) <= int(quota.spec["hard"]["pods"])


def test_the_busiest_moment_has_both_workbenches_at_their_limits(overlay_tree: Tree) -> None:
    """They are counted, each with its proxy, beside all the pods that serve; what they may burst to fits, too."""
    (quota,) = overlay_tree.of("ResourceQuota")
    (defaults,) = overlay_tree.of("LimitRange")
    (given,) = [entry["defaultRequest"] for entry in defaults.spec["limits"]]
    pods = copy.deepcopy(list(inventory.at_its_busiest(overlay_tree)))
    named = [{container["name"] for container in pod["containers"]} for pod in pods]
    assert [names for names in named if names & {"build-model", "data-generation"}] == [
        {"build-model", "proxy"},
        {"data-generation", "proxy"},
    ]
    (service,) = overlay_tree.of("InferenceService")
    assert sum("kserve-container" in names for names in named) == service.spec["predictor"]["maxReplicas"] + 1
    for pod, names in zip(pods, named, strict=True):
        if names & {"build-model", "data-generation"}:
            for container in pod["containers"]:
                container["resources"]["requests"] = container["resources"]["limits"]
    for what in ("cpu", "memory"):
        asked, hard = sum(effective(pod, what, given) for pod in pods), amount(quota.spec["hard"][f"requests.{what}"])
        assert hard is not None
        assert asked <= hard, what


def effective(pod: dict[str, Any], what: str, given: dict[str, str]) -> float:
    """What a pod asks for: its containers together, or the first ones alone if one of them asks for more."""

    def asked(container: dict[str, Any]) -> float:
        resources = container["resources"]
        told = (resources.get("requests") or {}).get(what) or (resources.get("limits") or {}).get(what) or given[what]
        return amount(told) or 0.0

    return max(sum(map(asked, pod["containers"])), *map(asked, pod.get("initContainers") or pod["containers"][:1]))
