"""What no object of ours may hold, whatever its kind, and what each has to."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tests.manifests.objects import Manifest, Pod, fields

PART_OF = {"app.kubernetes.io/part-of": "brakeline"}
# OpenShift gives each namespace a range of ids; a fixed one is refused by restricted-v2.
_FIXED_IDS = {"runAsUser", "runAsGroup", "fsGroup", "supplementalGroups"}
_HOSTS = {"hostPath", "hostNetwork", "hostPID", "hostIPC", "hostPort", "hostUsers", "hostAliases"}
_BY_DIGEST = re.compile(r"[a-z0-9.:/_-]+@sha256:[0-9a-f]{64}")
_MOVING_TAG = re.compile(r":(latest|main|master|stable)(@|$)")
_SOUNDS_SECRET = re.compile(r"password|passwd|token|secret|credential|access_?key|private_?key", re.IGNORECASE)
_URL_WITH_SECRET = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s:@]+:[^/\s@]+@")
_ADDED_CAPABILITY = "NET_BIND_SERVICE"  # the one that `restricted` lets be added


def forbidden(one: Manifest) -> list[str]:
    """Fixed ids, the node's own things, images without digest, secrets in clear text."""
    found = []
    for path, value in fields(one.content):
        key, where = str(path[-1]), f"{one}: {'.'.join(map(str, path))}"
        if key in _FIXED_IDS | _HOSTS and value is not None:
            found.append(f"{where} is set")
        if key == "privileged" and value:
            found.append(f"{where} is true")
        if key == "image" and isinstance(value, str) and not _BY_DIGEST.fullmatch(value):
            found.append(f"{where}: found {value}, allowed an image by its digest")
        if isinstance(value, str) and _MOVING_TAG.search(value):
            found.append(f"{where} is of a tag that moves: {value}")
        if isinstance(value, str) and _URL_WITH_SECRET.search(value):
            found.append(f"{where} is a URL with a password")
        if key == "name" and isinstance(value, str) and _SOUNDS_SECRET.search(value):
            entry = _at(one.content, path[:-1])
            if isinstance(entry, dict) and entry.get("value") and "/" not in str(entry["value"]):
                found.append(f"{where}: {value} has its value in clear text")
    if one.kind == "Secret":
        found += [f"{one}: {key} holds something" for key in ("data", "stringData") if one.content.get(key)]
    return found


def unlabelled(one: Manifest) -> list[str]:
    """What lacks the label by which all of ours is found."""
    return [] if PART_OF.items() <= one.labels.items() else [f"{one} is not labelled as {PART_OF}"]


def unlabelled_pod(pod: Pod) -> list[str]:
    """What a pod's labels lack."""
    wanted = {"app.kubernetes.io/name": "brakeline", **PART_OF}
    problems = [f"{pod}: {key} is not {value}" for key, value in wanted.items() if pod.labels.get(key) != value]
    return problems + ([] if pod.labels.get("app.kubernetes.io/component") else [f"{pod}: it is of no component"])


def unrestricted(pod: Pod) -> list[str]:
    """What restricted-v2 refuses, or would have to add; and a root file system that can be written."""
    spec, found = pod.spec, []
    whole = spec.get("securityContext") or {}
    for container in pod.containers():
        own, where = container.get("securityContext") or {}, f"{pod}, container {container['name']}"
        if own.get("runAsNonRoot", whole.get("runAsNonRoot")) is not True:
            found.append(f"{where}: runAsNonRoot is not true")
        if (own.get("seccompProfile") or whole.get("seccompProfile") or {}).get("type") != "RuntimeDefault":
            found.append(f"{where}: seccompProfile is not RuntimeDefault")
        if own.get("allowPrivilegeEscalation") is not False:
            found.append(f"{where}: allowPrivilegeEscalation is not false")
        capabilities = own.get("capabilities") or {}
        if capabilities.get("drop") != ["ALL"] or set(capabilities.get("add") or []) - {_ADDED_CAPABILITY}:
            found.append(f"{where}: capabilities are {capabilities}, allowed drop [ALL]")
        if own.get("privileged") or own.get("procMount", "Default") != "Default":
            found.append(f"{where}: it is privileged")
        if own.get("readOnlyRootFilesystem") is not True:
            found.append(f"{where}: its root can be written")
        elif not any(mount["mountPath"] == "/tmp" for mount in container.get("volumeMounts") or []):
            found.append(f"{where}: its root cannot be written and /tmp is no volume")
        if any(port.get("containerPort", 0) < 1024 or port.get("hostPort") for port in container.get("ports") or []):
            found.append(f"{where}: a port below 1024, or one of the host")
    found += [f"{pod}: {field}" for field in _HOSTS & spec.keys()]
    kinds = {"configMap", "secret", "emptyDir", "projected", "persistentVolumeClaim", "downwardAPI", "csi", "ephemeral"}
    for volume in spec.get("volumes") or []:
        found += [f"{pod}: volume {volume['name']} is of {kind}" for kind in volume.keys() - {"name"} - kinds]
    return found + [f"{pod}: {key} is fixed" for key in _FIXED_IDS & whole.keys()]


def unbounded(pod: Pod) -> list[str]:
    """Containers without a request or a limit of CPU and memory."""
    return [
        f"{pod}, container {container['name']}: no {kind} of {what}"
        for container in pod.containers()
        for kind in ("requests", "limits")
        for what in ("cpu", "memory")
        if what not in ((container.get("resources") or {}).get(kind) or {})
    ]


def overreaching(objects: Iterable[Manifest]) -> list[str]:
    """Roles with wildcards, and rights that are more than one namespace's."""
    found = []
    for one in objects:
        for rule in one.content.get("rules") or [] if one.kind in ("Role", "ClusterRole") else []:
            if any("*" in values for values in rule.values()):
                found.append(f"{one} has a wildcard: {rule}")
        if one.kind in ("ClusterRole", "ClusterRoleBinding"):
            found.append(f"{one} reaches beyond its namespace")
    return found


def _at(content: object, path: tuple[str | int, ...]) -> object:
    for part in path:
        content = content[part]  # type: ignore[index]
    return content
