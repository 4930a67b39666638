"""What an InferenceService says of its own readiness, and what its pods say of why it is not ready."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from brakeline_deploy.kube import Cluster, Denied

# Of the model's status: no waiting mends these.
_FOR_GOOD = {"InvalidSpec"}
_PORTS = {"http": 8080, "https": 8443}
_POD_LABEL = "serving.kserve.io/inferenceservice"


@dataclass(frozen=True)
class State:
    """Whether it is ready, whether it never will be, and in which words it says so."""

    is_ready: bool
    is_hopeless: bool
    told: str


def state_of(live: Mapping[str, Any]) -> State:
    """Read the status. What was observed of an earlier specification does not count."""
    status = live.get("status") or {}
    generation, observed = live["metadata"].get("generation"), status.get("observedGeneration")
    if not status:
        return State(False, False, "its controller has not looked at it yet")
    if observed is not None and generation is not None and observed < generation:
        return State(False, False, "its controller has not looked at the change yet")
    conditions = {entry["type"]: entry for entry in status.get("conditions") or [] if "type" in entry}
    model = status.get("modelStatus") or {}
    is_ready = conditions.get("Ready", {}).get("status") == "True"
    words = [_condition(entry) for entry in conditions.values() if entry.get("status") != "True"]
    failure = model.get("lastFailureInfo") or {}
    transition = model.get("transitionStatus")
    if transition in ("BlockedByFailedLoad", "InvalidSpec"):
        words.append(f"{transition}: {failure.get('reason', '')} {failure.get('message', '')}".strip())
    return State(is_ready, transition in _FOR_GOOD, "; ".join(words) or "ready")


def canary_state(live: Mapping[str, Any], name: str) -> State:
    """Read a canary's status; one that is not listed was not looked at, or never will be."""
    for entry in (live.get("status") or {}).get("canaryStatuses") or []:
        if entry.get("name") == name:
            failure = (entry.get("modelStatus") or {}).get("lastFailureInfo") or {}
            return State(bool(entry.get("ready")), False, str(failure.get("message") or "the canary is not ready"))
    return State(False, False, "the controller tells of no canary of this name")


def addresses(live: Mapping[str, Any]) -> list[str]:
    """Where it may answer, the nearest first.

    A service without an address of its own (headless, as is usual) answers at the container's port alone.
    """
    status = live.get("status") or {}
    predictor = (status.get("components") or {}).get("predictor") or {}
    told = [(status.get("address") or {}).get("url"), status.get("url"), (predictor.get("address") or {}).get("url")]
    found = list[str]()
    for url in told:
        parts = urlsplit(url or "")
        if not parts.hostname or parts.scheme not in _PORTS:
            continue
        found.append(f"{parts.scheme}://{parts.netloc}")
        if parts.port is None and ".svc" in parts.hostname:
            found.append(f"{parts.scheme}://{parts.hostname}:{_PORTS[parts.scheme]}")
    return list(dict.fromkeys(found))


def reasons(cluster: Cluster, service: str) -> list[str]:
    """Why the pods of a service are not ready, as far as the account may see them."""
    try:
        pods = cluster.pods(f"{_POD_LABEL}={service}")
    except Denied as error:
        return [f"its pods cannot be seen: {error}"]
    return [reason for pod in pods for reason in _of_pod(pod)] or ["none of its pods says why"]


def _of_pod(pod: Mapping[str, Any]) -> Iterator[str]:
    name, status = pod["metadata"]["name"], pod.get("status") or {}
    for condition in status.get("conditions") or []:
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            yield f"pod {name}: {condition.get('reason')}: {condition.get('message')}"
    for container in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        state = container.get("state") or {}
        waiting, ended = state.get("waiting") or {}, state.get("terminated") or {}
        before = (container.get("lastState") or {}).get("terminated") or {}
        where = f"pod {name}, container {container.get('name')}"
        if waiting.get("reason") and waiting["reason"] not in ("ContainerCreating", "PodInitializing"):
            died = f", it ended with {before.get('exitCode')}: {before.get('message') or before.get('reason')}"
            yield f"{where}: {waiting['reason']}: {waiting.get('message') or ''}" + (died if before else "")
        elif ended.get("exitCode"):
            yield f"{where}: ended with {ended['exitCode']}: {ended.get('message') or ended.get('reason')}"


def _condition(entry: Mapping[str, Any]) -> str:
    return ": ".join(str(entry[key]) for key in ("type", "status", "reason", "message") if entry.get(key))
