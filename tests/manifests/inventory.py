"""The pods that one installation has at its busiest: what operators make beside ours, and a run of eight shards.

Sources, branches rhoai-2.22 and rhoai-3.5 of red-hat-data-services: data-science-pipelines-operator
(controllers/config/defaults.go, config/internal), data-science-pipelines (backend/src/v2/compiler/argocompiler),
kserve (config/overlays/odh), kubeflow (components/odh-notebook-controller).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from brakeline import platform

from tests.manifests.trees import Tree

SHARDS = 8
# CPU and memory, requested and at most, as the operator sets them; the proxies' own beside them.
PIPELINES = {
    "ds-pipeline-dspa": (("250m", "500Mi", "500m", "1Gi"), ("100m", "256Mi", "100m", "256Mi")),
    "ds-pipeline-persistenceagent-dspa": (("120m", "500Mi", "250m", "1Gi"),),
    "ds-pipeline-scheduledworkflow-dspa": (("120m", "100Mi", "250m", "250Mi"),),
    "ds-pipeline-workflow-controller-dspa": (("120m", "500Mi", "250m", "1Gi"),),
    "mariadb-dspa": (("300m", "800Mi", "1", "1Gi"),),
    "ds-pipeline-metadata-grpc-dspa": (("100m", "256Mi", "100m", "256Mi"),),
    "ds-pipeline-metadata-envoy-dspa": (("100m", "256Mi", "100m", "256Mi"), ("100m", "256Mi", "100m", "256Mi")),
}
_DRIVER, _LAUNCHER = (
    ("100m", "64Mi", "500m", "512Mi"),
    {"requests": {"cpu": "100m"}, "limits": {"memory": "128Mi", "cpu": "500m"}},
)
_SERVING_PROXY, _INITIALIZER = ("100m", "64Mi", "200m", "128Mi"), ("100m", "100Mi", "1", "24Gi")
_NOTEBOOK_PROXY = ("100m", "64Mi", "100m", "64Mi")


def at_its_busiest(tree: Tree) -> Iterator[dict[str, Any]]:
    """The specifications of all pods that are there at once."""
    for name, sizes in PIPELINES.items():
        yield {"containers": [_container(f"{name}-{index}", _sized(*size)) for index, size in enumerate(sizes)]}
    yield from run("search")
    for pod in tree.pods():
        spec = {"containers": [_container(one["name"], one["resources"]) for one in pod.containers()]}
        if pod.of.kind == "InferenceService":
            spec["containers"].append(_container("proxy", _sized(*_SERVING_PROXY)))
            spec["initContainers"] = [_container("storage-initializer", _sized(*_INITIALIZER))]
        if pod.of.kind == "Notebook":
            spec["containers"].append(_container("proxy", _sized(*_NOTEBOOK_PROXY)))
        for _ in range(_copies(pod.of.kind, pod.of.spec)):
            yield spec


def run(task: str) -> Iterator[dict[str, Any]]:
    """A loop over the shards: each has a task at work and a driver for what is next, and the loop has its own."""
    needs = platform.TABLE[task]
    main = _sized(needs.cpu[0], needs.memory[0], needs.cpu[1], needs.memory[1])
    for _ in range(SHARDS):
        yield _of_argo(_container("main", main), _container("kfp-launcher", _LAUNCHER))
    for _ in range(SHARDS + 2):
        yield _of_argo(_container("main", _sized(*_DRIVER)))


def _of_argo(main: dict[str, Any], *first: dict[str, Any]) -> dict[str, Any]:
    """Argo's own containers ask for nothing."""
    return {"containers": [_container("wait", {}), main], "initContainers": [_container("init", {}), *first]}


def _container(name: str, resources: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "image": "registry.invalid/any", "resources": resources}


def _sized(cpu: str, memory: str, most_cpu: str, most_memory: str) -> dict[str, Any]:
    return {"requests": {"cpu": cpu, "memory": memory}, "limits": {"cpu": most_cpu, "memory": most_memory}}


def _copies(kind: str, spec: dict[str, Any]) -> int:
    """As many as there may be, and one more while they are replaced."""
    if kind == "InferenceService":
        predictor = spec["predictor"]
        return int(predictor.get("maxReplicas", predictor.get("minReplicas", 1))) + 1
    return 1 if kind == "Notebook" else int(spec.get("replicas", 1)) + 1
