"""What a run's steps said: of their pods while these are there, else of what the store kept.

The API has no call for logs. A task's pods carry the run's id and the task's name as labels. A log outlives its pod
where the installation keeps it: KFP's launcher as the artifact `executor-logs` below the run's root, Argo as
`main.log` below its archive. What was tried is told with what was found, since each of them may be switched off.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from brakeline import recordings
from brakeline.access import Access, Refused, Unavailable
from brakeline.kfp_client import connect, told
from brakeline.platform import TABLE, TASK_LABEL

RUN_LABEL = "pipeline/runid"
_NODE = "workflows.argoproj.io/node-name"
_CONTAINER = "main"
_LONGEST_BYTES = 4 << 20
_WITHIN_S = 15


@dataclass
class Found:
    """Logs by task and pod or object, and what was tried where, in words."""

    logs: list[dict[str, str]] = field(default_factory=list)
    tried: list[str] = field(default_factory=list)


def of_run(access: Access, run_id: str, task: str = "", namespace: str = "", root: str = "") -> Found:
    """The logs of a run's tasks, or of one. `root` is `s3://bucket/prefix` of the installation's artifacts or archive.

    Raises ClusterError where there is none, and says what was tried.
    """
    if task and task not in TABLE:
        raise Refused(f"task {task!r}: the pipeline has none; allowed are {', '.join(TABLE)}")
    client = connect(access)
    with told(f"run {run_id}"):
        run = client.get_run(run_id)
    found = Found()
    _from_pods(found, run_id, task, namespace or access.namespace)
    missing = {task} if task else set(TABLE)
    missing -= {log["task"] for log in found.logs}
    if missing:
        given = root or (run.runtime_config and run.runtime_config.pipeline_root) or ""
        _from_store(found, run_id, missing, given, _pods_of(run))
    if not found.logs:
        raise Unavailable(f"no logs of {task or 'any task'} of run {run_id}: " + "; ".join(found.tried))
    return found


def _from_pods(found: Found, run_id: str, task: str, namespace: str) -> None:
    from kubernetes.client.exceptions import ApiException  # noqa: PLC0415  loads the whole client
    from urllib3.exceptions import HTTPError  # noqa: PLC0415

    try:
        pods, space = _pods_api(namespace)
    except Unavailable as error:
        found.tried.append(f"pods: {error}")
        return
    selector = f"{RUN_LABEL}={run_id}"
    try:
        listed = pods.list_namespaced_pod(space, label_selector=selector, _request_timeout=_WITHIN_S).items
    except (ApiException, HTTPError, ValueError) as error:
        found.tried.append(f"pods of namespace {space}: {_reason(error)}")
        return
    ours = [(name, pod) for pod in listed if (name := _task_of(pod)) and task in {"", name}]
    found.tried.append(f"pods of namespace {space} with {selector}: {len(ours)} of {task or 'the steps'} there")
    for name, pod in sorted(ours, key=lambda pair: str(pair[1].metadata.creation_timestamp)):
        where = {"task": name, "from": f"pod {pod.metadata.name}"}
        call = {"container": _CONTAINER, "limit_bytes": _LONGEST_BYTES, "_request_timeout": _WITHIN_S}
        try:
            answer = pods.read_namespaced_pod_log(pod.metadata.name, space, _preload_content=False, **call)
            found.logs.append({**where, "text": answer.data.decode(errors="replace")})
        except (ApiException, HTTPError) as error:
            found.tried.append(f"log of pod {pod.metadata.name}: {_reason(error)}")


def _from_store(found: Found, run_id: str, tasks: set[str], root: str, pods: dict[str, str]) -> None:
    root = root.replace("minio://", recordings.SCHEME, 1) if root.startswith("minio://") else root
    if not root.startswith(recordings.SCHEME):
        found.tried.append("stored logs: nobody said where: give --root s3://bucket/prefix, or set BRAKELINE_ARTIFACTS")
        return
    try:
        read, objects = _objects(root)
        kept = [(name, key) for key in objects if (name := _task_of_key(key, run_id, pods))]
        found.tried.append(f"stored logs below {root}: {len(kept)} of the run")
        for name, key in kept:
            if name in tasks:
                where = f"{recordings.SCHEME}{root.removeprefix(recordings.SCHEME).partition('/')[0]}/{key}"
                found.logs.append({"task": name, "from": where, "text": read(key).decode(errors="replace")})
    except recordings.RecordingError as error:
        found.tried.append(f"stored logs: {error}")


def _task_of_key(key: str, run_id: str, pods: dict[str, str]) -> str:
    """The task whose log an object is; "" where it is none of the run's."""
    *folders, name = key.split("/")
    # Of a task that was tried again each try has its own: executor-logs-0, executor-logs-1.
    if name.startswith("executor-logs") and run_id in folders:
        return next((part for part in folders[folders.index(run_id) + 1 :] if part in TABLE), "")
    return next((pods[part] for part in folders if part in pods), "") if name == "main.log" else ""


def _pods_of(run: Any) -> dict[str, str]:
    """Tasks by the names of their pods, as far as the API tells them."""
    listed = (run.run_details and run.run_details.task_details) or ()
    return {
        child.pod_name: task.display_name
        for task in listed
        for child in (task, *(task.child_tasks or ()))
        if task.display_name in TABLE and child.pod_name
    }


def _objects(root: str) -> tuple[Callable[[str], bytes], list[str]]:
    import obstore  # noqa: PLC0415  native code that only this needs

    name, _, prefix = root.removeprefix(recordings.SCHEME).partition("/")
    store = recordings.store(name)
    with recordings.told(root):
        keys = [meta["path"] for page in obstore.list(store, prefix or None) for meta in page]

    def read(key: str) -> bytes:
        with recordings.told(f"{recordings.SCHEME}{name}/{key}"):
            return bytes(obstore.get(store, key).bytes())[-_LONGEST_BYTES:]

    return read, sorted(keys)


def _pods_api(namespace: str) -> tuple[Any, str]:
    """The pods' API and the namespace to ask: what was said, the kubeconfig's, or the pod's own."""
    from kubernetes import client, config  # noqa: PLC0415

    from brakeline.access import SERVICE_ACCOUNT, is_guarded, kubeconfig, proxy_of  # noqa: PLC0415

    settings = client.Configuration()
    try:
        config.load_kube_config(config_file=kubeconfig(), client_configuration=settings)
        _, current = config.list_kube_config_contexts(config_file=kubeconfig())
        own = current["context"].get("namespace", "")
    except (config.ConfigException, OSError):
        try:
            config.load_incluster_config(client_configuration=settings)
            own = (SERVICE_ACCOUNT / "namespace").read_text(encoding="utf-8").strip()
        except (config.ConfigException, OSError) as error:
            raise Unavailable(f"no kubeconfig ({kubeconfig()}), and this is no pod") from error
    space = namespace or own
    if not space:
        raise Unavailable("no namespace: give --namespace, or say `oc project NAME`")
    if not is_guarded(settings.host) or not settings.verify_ssl:
        raise Unavailable(f"{kubeconfig()}: {settings.host} is no https address that is verified; no token goes there")
    settings.retries, settings.proxy = 2, proxy_of(settings.host)
    return client.CoreV1Api(client.ApiClient(settings)), space


def _task_of(pod: Any) -> str:
    """The task whose step a pod runs; "" for drivers and other tasks'. Without our label the node's name tells."""
    name = (pod.metadata.labels or {}).get(TASK_LABEL, "")
    if name in TABLE:
        return str(name)
    node = (pod.metadata.annotations or {}).get(_NODE, "").split(".")
    return next((part for part in reversed(node) if part in TABLE), "") if node[-1] == "executor" else ""


def _reason(error: Exception) -> str:
    status, body = getattr(error, "status", None), getattr(error, "body", None)
    if status:
        try:
            return f"{status}: {json.loads(body or '')['message']}"
        except (ValueError, KeyError, TypeError):
            return f"{status} {getattr(error, 'reason', '')}"
    return (str(error).splitlines() or ["no answer"])[0][:200]
