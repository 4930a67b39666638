"""What tasks need of the platform they run on, in one table, applied by one loop.

Caching, network and state are for every runner. The rest is a cluster's: resources, tries, time, secrets as
environment, labels, nodes. Local runners pass it over: a machine of one's own has what it has, evicts no pod, and its
credentials are the caller's environment.
"""

from dataclasses import dataclass
from typing import Any

from kfp import dsl

# A connection's Secret as the dashboard makes it, by key, and the variables that S3 clients read. Names alone: what is
# in the Secret is between the cluster and the step.
S3_SECRET = "brakeline-s3"  # noqa: S105  a Secret's name
S3_ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY": "AWS_SECRET_ACCESS_KEY",
    "AWS_S3_ENDPOINT": "AWS_ENDPOINT_URL",
    "AWS_DEFAULT_REGION": "AWS_REGION",
}
# Byte-equal results are promised on x86-64 alone.
NODES = {"kubernetes.io/arch": "amd64"}
# Those by which the manifests find all of ours, and who made it.
LABELS = {
    "app.kubernetes.io/name": "brakeline",
    "app.kubernetes.io/part-of": "brakeline",
    "app.kubernetes.io/managed-by": "brakeline-submit",
}
TASK_LABEL = "app.kubernetes.io/component"
# An autoscaler that empties a node would throw hours of work away.
ANNOTATIONS = {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}
# A node that is lost gives its tasks back sooner than the five minutes that a cluster waits by default [s].
LOST_NODES = tuple(
    {"key": f"node.kubernetes.io/{state}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": "60"}
    for state in ("unreachable", "not-ready")
)
# Iterations of a loop that a cluster works on at once, each with two drivers that ask the metadata store: KFP fixes it
# when the pipeline is compiled. About what the production quota of manifests/ holds; with less, pods wait for room.
AT_ONCE = 50
_FIRST_PAUSE, _LONGEST_PAUSE = "30s", "300s"


@dataclass(frozen=True)
class Needs:
    """Settings of one kind of task. `state` lists what it needs of the state folder, as paths in it.

    `cpu` and `memory` are request and limit, `timeout_s` the longest it may take [s], `tries_again` how often a cluster
    starts it anew when its pod is gone, `secrets` the environment by a Secret's name and keys.
    """

    cached: bool = True
    network: bool = False
    state: tuple[str, ...] = ()
    cpu: tuple[str, str] = ("500m", "1")
    memory: tuple[str, str] = ("512Mi", "2Gi")
    timeout_s: int = 3_600
    tries_again: int = 1
    secrets: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()


# What reads or changes state outside the run must run each time. Tries again on a service's account happen inside the
# steps: KFP cannot tell an exit status that is worth another try from one that is not, so one more try is all.
_S3 = ((S3_SECRET, tuple(S3_ENVIRONMENT.items())),)
_REGISTRY = Needs(cached=False, network=True, state=(".",), timeout_s=900)
_KEPT = Needs(cached=False, network=True, state=(".",), timeout_s=900, secrets=_S3)
_HEAVY = Needs(cpu=("2", "4"), memory=("4Gi", "8Gi"), timeout_s=6 * 3_600)
TABLE: dict[str, Needs] = {
    "synthesize": Needs(cpu=("1", "2"), memory=("1Gi", "4Gi"), timeout_s=2 * 3_600),
    "assemble": Needs(cpu=("1", "2"), memory=("2Gi", "4Gi"), timeout_s=2 * 3_600),
    "floor": Needs(memory=("1Gi", "2Gi")),
    "search": _HEAVY,
    "rank": Needs(timeout_s=900),
    "refine": _HEAVY,
    "fit": _HEAVY,
    "validate": Needs(cpu=("1", "2"), memory=("2Gi", "4Gi"), timeout_s=2 * 3_600),
    "champion": _KEPT,
    "record": _REGISTRY,
    "register": _KEPT,
    # A deployment that failed was taken back; another try is a person's to decide.
    "deploy": Needs(cached=False, network=True, state=("models",), timeout_s=1_800, tries_again=0, secrets=_S3),
    "promote": _REGISTRY,
}


def settle(**tasks: Any) -> None:
    """Apply the table to tasks by their names. A task that the table does not know is an error."""
    for name, task in tasks.items():
        needs = TABLE[name]
        task.set_caching_options(needs.cached)
        task.set_cpu_request(needs.cpu[0]).set_cpu_limit(needs.cpu[1])
        task.set_memory_request(needs.memory[0]).set_memory_limit(needs.memory[1])
        if needs.tries_again:
            task.set_retry(
                needs.tries_again, backoff_duration=_FIRST_PAUSE, backoff_factor=2, backoff_max_duration=_LONGEST_PAUSE
            )
        task.platform_config["kubernetes"] = _on_kubernetes(name, needs)


def container(step: str, verb: str, *args: Any) -> dsl.ContainerSpec:
    """A step's container. Placeholders stand in args alone: KFP's launcher resolves them only there.

    The image is named by its step here; `run.compile_pipeline` puts each runner's images in.
    """
    record = dsl.PIPELINE_TASK_EXECUTOR_INPUT_PLACEHOLDER
    return dsl.ContainerSpec(
        image=step,
        command=[f"brakeline-{step}"],
        args=[verb, "--executor-input", record, *args],
    )


def _on_kubernetes(name: str, needs: Needs) -> dict[str, Any]:
    """A task's part of the platform spec, in the fields that every KFP since 2.5 reads."""
    told: dict[str, Any] = {
        "podMetadata": {"labels": {**LABELS, TASK_LABEL: name}, "annotations": ANNOTATIONS},
        "nodeSelector": {"labels": NODES},
        "tolerations": [dict(toleration) for toleration in LOST_NODES],
        "activeDeadlineSeconds": str(needs.timeout_s),
    }
    if needs.secrets:
        told["secretAsEnv"] = [
            {
                "secretName": secret,
                "keyToEnv": [{"secretKey": key, "envVar": variable} for key, variable in keys],
                "optional": False,
            }
            for secret, keys in needs.secrets
        ]
    return told
