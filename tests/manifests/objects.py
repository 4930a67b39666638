"""An object of a manifest, and the pods that come of it."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

CONTAINERS = ("initContainers", "containers")
# Lists whose entries are told apart by a field: what is merged into a pod meets its like there.
_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "env": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
    "ports": "containerPort",
}
# Suffixes of quantities (Kubernetes, "Quantity").
_UNITS = {"": 1.0, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40}


@dataclass(frozen=True, eq=False)
class Manifest:
    """One object."""

    content: dict[str, Any]

    @property
    def kind(self) -> str:
        """As `InferenceService`."""
        return str(self.content["kind"])

    @property
    def api_version(self) -> str:
        """As `serving.kserve.io/v1beta1`."""
        return str(self.content["apiVersion"])

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.content["metadata"]["name"])

    @property
    def namespace(self) -> str | None:
        """Its namespace, None where it has none."""
        found = self.content["metadata"].get("namespace")
        return None if found is None else str(found)

    @property
    def labels(self) -> dict[str, str]:
        """Its labels."""
        return dict(self.content["metadata"].get("labels") or {})

    @property
    def annotations(self) -> dict[str, str]:
        """Its annotations."""
        return dict(self.content["metadata"].get("annotations") or {})

    @property
    def spec(self) -> dict[str, Any]:
        """Its specification."""
        return dict(self.content.get("spec") or {})

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True, eq=False)
class Pod:
    """A pod as the controller of its template would make it, without what admission adds."""

    of: Manifest
    labels: dict[str, str]
    spec: dict[str, Any]

    def containers(self) -> Iterator[dict[str, Any]]:
        """Init containers first."""
        for kind in CONTAINERS:
            yield from self.spec.get(kind) or []

    def as_object(self, name: str) -> dict[str, Any]:
        """As one would create it."""
        metadata = {"name": name, "namespace": self.of.namespace, "labels": self.labels}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": copy.deepcopy(self.spec)}

    def __str__(self) -> str:
        return f"pod of {self.of}"


def fields(content: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Every field and entry of an object, with its path."""
    inner = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in inner:
        yield (*path, key), value
        yield from fields(value, (*path, key))


def amount(value: Any) -> float | None:
    """A quantity in its unit, None for what is none."""
    found = re.fullmatch(r"(-?[0-9.]+)(m|k|[MG]|[KMGT]i)?", str(value))
    return float(found[1]) * _UNITS[found[2] or ""] if found else None


def leaves(one: Manifest) -> dict[str, Any]:
    """Every plain value of an object by its path; entries of lists by their place, or by their name."""

    def steps(path: tuple[str | int, ...]) -> Iterator[str]:
        at: Any = one.content
        for part in path:
            at = at[part]
            named = at.get("name") if isinstance(part, int) and isinstance(at, dict) else None
            yield str(named or part)

    return {"/".join(steps(path)): value for path, value in fields(one.content) if not isinstance(value, dict | list)}


def pods(objects: Iterable[Manifest]) -> list[Pod]:
    """A pod of every template among the objects."""
    known = list(objects)
    return [pod for one in known for pod in _of(one, known)]


def _of(one: Manifest, known: list[Manifest]) -> Iterator[Pod]:
    if one.kind == "Pod":
        yield Pod(one, one.labels, one.spec)
    elif one.kind == "CronJob":
        yield _templated(one, one.spec["jobTemplate"]["spec"]["template"])
    elif one.kind == "Notebook":
        # Its controller hands the notebook's labels to the pod.
        made = {"statefulset": one.name, "notebook-name": one.name}
        yield Pod(one, one.labels | made, one.spec["template"]["spec"])
    elif one.kind == "InferenceService":
        yield _served(one, known)
    elif isinstance(one.spec.get("template"), dict) and "containers" in one.spec["template"].get("spec", {}):
        yield _templated(one, one.spec["template"])


def _templated(one: Manifest, template: dict[str, Any]) -> Pod:
    return Pod(one, dict(template.get("metadata", {}).get("labels") or {}), template["spec"])


def _served(one: Manifest, known: list[Manifest]) -> Pod:
    """KServe's raw deployment: the runtime's pod, its container overlaid with `model`, the pod with `predictor`.

    kserve/kserve, pkg/controller/v1beta1/inferenceservice/utils: MergeRuntimeContainers, MergePodSpec.
    """
    predictor = copy.deepcopy(one.spec["predictor"])
    model = predictor.pop("model")
    (runtime,) = [
        other
        for other in known
        if other.kind == "ServingRuntime" and (other.name, other.namespace) == (model["runtime"], one.namespace)
    ]
    theirs = copy.deepcopy(runtime.spec)
    pod = {key: theirs[key] for key in (*CONTAINERS, "volumes", "affinity", "tolerations") if key in theirs}
    told = {key: model[key] for key in ("env", "resources", "volumeMounts", "args", "image") if key in model}
    (container,) = [entry for entry in pod["containers"] if entry["name"] == "kserve-container"]
    told["args"] = [*container.get("args", []), *told.get("args", [])]
    container.update(merged(container, told))
    ours = {key: value for key, value in predictor.items() if key not in _NOT_OF_A_POD}
    labels = one.labels | (theirs.get("labels") or {}) | (predictor.get("labels") or {})
    return Pod(one, labels | {"serving.kserve.io/inferenceservice": one.name}, merged(pod, ours))


_NOT_OF_A_POD = {
    *("annotations", "labels", "minReplicas", "maxReplicas", "scaleTarget", "scaleMetric", "scaleMetricType"),
    *("autoScaling", "deploymentStrategy", "timeout", "containerConcurrency", "canaryTrafficPercent", "batcher"),
    *("logger", "workerSpec"),
}


def merged(below: Any, above: Any, key: str = "") -> Any:
    """Two pieces of a pod as one: fields of objects, entries of lists by what names them; else the upper one's."""
    if isinstance(below, dict) and isinstance(above, dict):
        both = {name: merged(below[name], above[name], name) for name in below.keys() & above.keys()}
        return below | above | both
    if isinstance(below, list) and isinstance(above, list) and key in _KEYS:
        by = {entry[_KEYS[key]]: entry for entry in below}
        for entry in above:
            by[entry[_KEYS[key]]] = merged(by.get(entry[_KEYS[key]], {}), entry)
        return list(by.values())
    return above
