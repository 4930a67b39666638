"""What an object names: other objects by kind, name and key, and pods by their labels."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.manifests import elsewhere
from tests.manifests.objects import Manifest, fields, pods

_SOUNDS_LIKE_ONE = re.compile(r"secret|configmap|serviceaccount|claimname", re.IGNORECASE)


@dataclass(frozen=True)
class Reference:
    """That an object names another one; `keys` are those of its data that are wanted."""

    by: Manifest
    where: str
    kind: str
    name: str
    namespace: str | None
    keys: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.by}, {self.where}: {self.kind} {self.namespace or ''}/{self.name}"


def _named(kind: str, name: str = "name", *keys: str) -> Callable[[Any], list[tuple[str, str, tuple[str, ...]]]]:
    """The field is an object that has the other's name in it, and the keys that it wants."""

    def read(value: Any) -> list[tuple[str, str, tuple[str, ...]]]:
        wanted = [value[key] for key in keys if isinstance(value.get(key), str)]
        wanted += [entry["key"] for entry in value.get("items") or []]
        return [(kind, value[name], tuple(wanted))] if value.get(name) else []

    return read


def _plain(kind: str) -> Callable[[Any], list[tuple[str, str, tuple[str, ...]]]]:
    """The field is the other's name."""
    return lambda value: [(kind, value, ())]


def _either(value: Any) -> list[tuple[str, str, tuple[str, ...]]]:
    """A Secret of a volume says `secretName`, one of a projection or of a ServiceMonitor says `name`."""
    return _named("Secret", "secretName" if "secretName" in value else "name", "key")(value)


# By the field's name: which object it names.
_FIELDS: dict[str, Callable[[Any], list[tuple[str, str, tuple[str, ...]]]]] = {
    "secret": _either,
    "secretName": _plain("Secret"),
    "secretKeyRef": _named("Secret", "name", "key"),
    "secretRef": _named("Secret"),
    "passwordSecret": _named("Secret", "name", "key"),
    "sslRootCertificateSecret": _named("Secret", "name", "key"),
    "sslRootCertificateConfigMap": _named("ConfigMap", "name", "key"),
    "keySecret": _named("Secret", "name", "key"),
    "s3CredentialsSecret": _named("Secret", "secretName", "accessKey", "secretKey"),
    "imagePullSecrets": lambda value: [("Secret", entry["name"], ()) for entry in value],
    "configMap": _named("ConfigMap", "name", "key"),
    "configMapKeyRef": _named("ConfigMap", "name", "key"),
    "configMapRef": _named("ConfigMap", "name", "key"),
    "cABundle": _named("ConfigMap", "configMapName", "configMapKey"),
    "persistentVolumeClaim": _named("PersistentVolumeClaim", "claimName"),
    "serviceAccountName": _plain("ServiceAccount"),
    "runtime": _plain("ServingRuntime"),
    "scaleTargetRef": lambda value: [(value["kind"], value["name"], ())],
    "roleRef": lambda value: [(value["kind"], value["name"], ())],
}
# Kinds whose fields only sound like it: rights, data, what another controller's store or repository has.
_OF_OTHER_WORDS = {
    *("Role", "ClusterRole", "CustomResourceDefinition", "ConfigMap", "AppProject", "Application", "ExternalSecret"),
}
# Fields that sound like references and are none, or are read as part of one above.
_NONE = {
    *("configMapName", "configMapKey", "claimName", "secretKey", "secretStoreRef", "serviceAccountToken", "secrets"),
    *("automountServiceAccountToken", "volumeClaimTemplates"),
}


def of(one: Manifest) -> Iterator[Reference]:
    """The references of an object. Raises ValueError for a field that may be one and is not known here."""
    for path, value in fields({key: part for key, part in one.content.items() if key != "metadata"}):
        field, where = str(path[-1]), ".".join(map(str, path))
        if one.kind in _OF_OTHER_WORDS:
            continue
        if field in _FIELDS and value and not (field == "secretName" and _is_in_one(path)):
            for kind, name, keys in _FIELDS[field](value):
                yield Reference(one, where, kind, name, one.namespace, keys)
        elif _SOUNDS_LIKE_ONE.search(field) and field not in _NONE and field not in _FIELDS:
            raise ValueError(f"{one}: {where} may name an object, and nothing here says which")
    for subject in one.content.get("subjects") or []:
        yield Reference(one, "subjects", subject["kind"], subject["name"], subject.get("namespace"))
    if one.kind == "Route":
        yield Reference(one, "spec.to", one.spec["to"]["kind"], one.spec["to"]["name"], one.namespace)
    for name in (one.annotations.get("opendatahub.io/connections") or "").split(","):
        if name:
            yield Reference(one, "connections", "Secret", name.rpartition("/")[2], one.namespace)


def _is_in_one(path: tuple[str | int, ...]) -> bool:
    return len(path) > 1 and str(path[-2]) in ("secret", "s3CredentialsSecret")


def unresolved(objects: Iterable[Manifest]) -> list[str]:
    """References to what is neither among the objects nor made by others."""
    known = list(objects)
    others = [*elsewhere.made_by_people(), *(made for one in known for made in elsewhere.made_of(one))]
    there: dict[tuple[str, str, str | None], tuple[str, ...] | None] = {}
    for made in others:
        there[made.kind, made.name, made.namespace] = made.keys
    for one in known:
        data = {**(one.content.get("data") or {}), **(one.content.get("binaryData") or {})}
        found = (one.kind, one.name, one.namespace)
        # A Secret without data is a form that people fill in: they know its keys from the list.
        there[found] = there.get(found, ()) if one.kind == "Secret" else tuple(data)
    problems = []
    for one in known:
        for wanted in of(one):
            cluster_wide = wanted.kind in ("ClusterRole", "Group", "User")
            keys = there.get((wanted.kind, wanted.name, None if cluster_wide else wanted.namespace))
            if keys is None:
                problems.append(f"{wanted} is nowhere")
            elif missing := [key for key in wanted.keys if key not in keys]:
                problems.append(f"{wanted} has no key {', '.join(missing)}")
    return problems


def selectors(one: Manifest) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """What an object selects: where it says so, the kind, and the selector."""
    spec = one.spec
    if one.kind == "Service" and spec.get("selector"):
        yield "spec.selector", "Pod", {"matchLabels": spec["selector"]}
    elif one.kind == "PodDisruptionBudget":
        yield "spec.selector", "Pod", spec["selector"]
    elif one.kind == "NetworkPolicy":
        yield "spec.podSelector", "Pod", spec["podSelector"]
    elif one.kind == "PodMonitor":
        yield "spec.selector", "Pod", spec["selector"]
    elif one.kind == "ServiceMonitor":
        yield "spec.selector", "Service", spec["selector"]


def matches(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """Whether labels are selected."""
    plain = all(labels.get(key) == value for key, value in (selector.get("matchLabels") or {}).items())
    return plain and all(_holds(entry, labels.get(entry["key"])) for entry in selector.get("matchExpressions") or [])


def _holds(entry: dict[str, Any], value: str | None) -> bool:
    operator = str(entry["operator"])
    is_listed = value is not None if "Exist" in operator else value in entry["values"]
    return is_listed == (operator in ("Exists", "In"))


def selecting_nothing(objects: Iterable[Manifest]) -> list[str]:
    """Selectors that no pod, or no Service, of the same namespace matches."""
    known = list(objects)
    there = [("Pod", pod.of.namespace, pod.labels) for pod in pods(known)]
    there += [("Pod", one.namespace, labels) for one in known for labels in elsewhere.pods_of(one)]
    there += [("Service", one.namespace, one.labels) for one in known if one.kind == "Service"]
    there += [("Service", one.namespace, labels) for one in known for labels in elsewhere.services_of(one)]
    problems = []
    for one in known:
        for where, kind, selector in selectors(one):
            if not any(
                (kind, one.namespace) == (other, namespace) and matches(selector, labels)
                for other, namespace, labels in there
            ):
                problems.append(f"{one}, {where}: no {kind} of {one.namespace} has the labels {selector}")
    for pod in pods(known):
        for spread in pod.spec.get("topologySpreadConstraints") or []:
            if not matches(spread.get("labelSelector") or {}, pod.labels):
                problems.append(f"{pod}: its own spread does not select it: {spread.get('labelSelector')}")
    return problems
