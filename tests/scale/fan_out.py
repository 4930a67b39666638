"""What a fan-out becomes on a cluster, in bytes: what collects it is handed, and what Argo keeps of its nodes.

An estimate, put together from the compiled pipeline as the sources of Kubeflow Pipelines do it (release 2.17 and the
branches rhoai-2.22 and rhoai-3.5 of red-hat-data-services/data-science-pipelines): `toRuntimeArtifact` of
backend/src/v2/metadata/converter.go, `initPodSpecPatch` of backend/src/v2/driver/driver.go, `iteratorTask` and
`containerDriverTask` of backend/src/v2/compiler/argocompiler. No cluster was measured.
"""

import base64
import gzip
import hashlib
import json
import random
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

# A long name of an S3 endpoint inside a cluster.
ENDPOINT = "https://s3.openshift-storage.svc.cluster.local:443/"
# Argo takes a workflow for too large above this, after compression (its own message says maxSize 1048576:
# github.com/awslabs/kubeflow-manifests/issues/767), and etcd a request (etcd.io/docs, system limits).
ARGO_LIMIT_BYTES, ETCD_LIMIT_BYTES = 1_048_576, 1_572_864
PODS_OF_AN_ITERATION = 3  # driver of the iteration, driver of the task, the task


@dataclass
class FanOut:
    """A loop over one component of a compiled pipeline, and the task that collects what it made."""

    spec: Mapping[str, Any]  # the IR
    looped: str
    collector: str
    output: str
    metadata: Mapping[str, Any]  # of one artifact, as the step reports it
    chance: random.Random = field(default_factory=lambda: random.Random(0))

    def executor_input(self, shards: int) -> str:
        """What the task that collects so many artifacts is handed as one argument."""
        name = next(iter(self._component(self.collector)["inputDefinitions"]["artifacts"]))
        listed = [self._artifact(at) for at in range(shards)]
        outputs = self._component(self.collector)["outputDefinitions"]["artifacts"]
        made = {one: {"artifacts": [{"name": one, "uri": self._uri(self.collector, one)}]} for one in outputs}
        whole = {
            "inputs": {"artifacts": {name: {"artifacts": listed}}},
            "outputs": {"artifacts": made, "outputFile": f"/tmp/kfp_outputs/{self._id()}/output_metadata.json"},
        }
        # protojson puts a space behind each comma, or none, by the build.
        return json.dumps(whole, separators=(", ", ":"))

    def status_bytes(self, shards: int) -> tuple[int, int]:
        """Argo's status of all nodes of loop and collector: as JSON, and compressed as Argo keeps it."""
        nodes = {node["id"]: node for at in range(shards) for node in self._iteration(at)}
        nodes |= {node["id"]: node for node in self._task(self.collector, 0, self.executor_input(shards))}
        raw = json.dumps(nodes, separators=(",", ":")).encode()
        return len(raw), len(base64.b64encode(gzip.compress(raw)))

    def _iteration(self, at: int) -> Iterator[dict[str, Any]]:
        """A driver that is a pod, the nodes that hold the iteration together, and the task in it."""
        given = {"component": self._text(self._component(self.looped)), "iteration-index": str(at)}
        told = {"execution-id": str(7_000 + at), "iteration-count": "0", "condition": "true"}
        yield self._node("Pod", f"iteration-item-driver({at}:{at})", given, told)
        for kind in ("TaskGroup", "DAG", "DAG"):
            held = {"parent-dag-id": "12", "iteration-index": str(at)}
            yield self._node(kind, f"iteration-item({at}:{at})", held, {})
        own = json.dumps({"inputs": {"parameterValues": {"shard": f"{at}/1000"}}, "outputs": self._artifact(at)})
        yield from self._task(self.looped, at, own)

    def _task(self, name: str, at: int, executor_input: str) -> Iterator[dict[str, Any]]:
        component = self._component(name)
        container = self.spec["deploymentSpec"]["executors"][component["executorLabel"]]["container"]
        launcher = [
            "/kfp-launcher/launch", "--pipeline_name", "brakeline", "--run_id", self._id(), "--execution_id", str(at),
            "--executor_input", executor_input, "--component_spec", self._text(component),
            "--pod_name", "$(KFP_POD_NAME)", "--pod_uid", "$(KFP_POD_UID)",
        ]  # fmt: skip
        patch = self._text({"containers": [{"name": "main", "command": launcher, **container}]})
        given = {"component": self._text(component), "container": self._text(container), "parent-dag-id": str(at)}
        yield self._node("Pod", f"{name}-driver", given, {"pod-spec-patch": patch, "cached-decision": "false"})
        for kind in ("DAG", "Retry", "Pod"):
            yield self._node(kind, f"{name}.executor", {"pod-spec-patch": patch, "retry-max-count": "1"}, {})

    def _node(self, kind: str, name: str, given: Mapping[str, str], told: Mapping[str, str]) -> dict[str, Any]:
        number = self.chance.randrange(10**9, 4 * 10**9)
        at = f"2026-01-01T10:{self.chance.randrange(60):02}:{self.chance.randrange(60):02}Z"
        pod = {"hostNodeName": f"worker-{number % 17}.cluster.example", "resourcesDuration": {"cpu": 3, "memory": 9}}
        return {
            "id": f"brakeline-abcde-{number}", "name": f"brakeline-abcde.root.for-loop-1.{name}", "displayName": name,
            "type": kind, "templateName": "system-container-impl", "templateScope": "local/brakeline-abcde",
            "phase": "Succeeded", "boundaryID": f"brakeline-abcde-{number - 7}", "startedAt": at, "finishedAt": at,
            "progress": "1/1", "children": [f"brakeline-abcde-{number + 7}"], **(pod if kind == "Pod" else {}),
            "inputs": {"parameters": [{"name": key, "value": value} for key, value in given.items()]},
            "outputs": {"parameters": [{"name": key, "value": value} for key, value in told.items()], "exitCode": "0"},
        }  # fmt: skip

    def _artifact(self, at: int) -> dict[str, Any]:
        params = {"accessKeyKey": "AWS_ACCESS_KEY_ID", "secretKeyKey": "AWS_SECRET_ACCESS_KEY", "endpoint": ENDPOINT,
                  "secretName": "brakeline-s3", "fromEnv": "false", "region": "us-east-1", "disableSSL": "false",
                  "forcePathStyle": "true", "maxRetries": "5"}  # fmt: skip
        session = json.dumps({"Provider": "s3", "Params": params}, separators=(",", ":"))
        own = {key: value for key, value in self.metadata.items() if key != "sha256"}
        sha256 = hashlib.sha256(str(at).encode()).hexdigest()
        told = {**own, "sha256": sha256, "display_name": self.output, "store_session_info": session}
        uri = self._uri(self.looped, self.output)
        return {"name": str(1_000_000 + at), "type": {"instanceSchema": ""}, "uri": uri, "metadata": told}

    def _component(self, name: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.spec["components"][f"comp-{name}"]
        return found

    def _uri(self, task: str, output: str) -> str:
        return f"s3://pipeline-artifacts/brakeline/{uuid.UUID(int=1)}/{task}/{self._id()}/{output}"

    def _id(self) -> str:
        return str(uuid.UUID(int=self.chance.getrandbits(128)))

    def _text(self, value: Any) -> str:
        return json.dumps(value, separators=(",", ":"))
