"""The runtime and the service hold together: ports, certificate, account, storage, and what two managers share."""

from __future__ import annotations

from typing import Any

import pytest
from brakeline_deploy import manifest
from brakeline_deploy.target import ClusterPlace, Release

from tests.conftest import HOUSE
from tests.manifests import trees
from tests.manifests.elsewhere import OURS
from tests.manifests.objects import Manifest, Pod, amount, fields
from tests.manifests.trees import Tree

RUNTIME, SERVICE = "brakeline-serving", "stopping-distance"
# The server ends within so many seconds of the end of its leave.
PROMISE_S = 5.0


def options(runtime: Manifest) -> dict[str, str]:
    """The server's options by their names; those without a value have an empty one."""
    (container,) = runtime.spec["containers"]
    pairs = [argument.removeprefix("--").partition("=") for argument in container["args"]]
    return {name: value for name, _, value in pairs}


def served(tree: Tree) -> Pod:
    """The pod of the service."""
    (pod,) = [pod for pod in tree.pods() if pod.of.kind == "InferenceService"]
    return pod


@pytest.fixture
def runtime(installation: Tree) -> Manifest:
    return installation.one("ServingRuntime", RUNTIME)


@pytest.fixture
def service(installation: Tree) -> Manifest:
    return installation.one("InferenceService", SERVICE)


def test_requests_come_through_the_proxy_alone(runtime: Manifest, service: Manifest) -> None:
    """The server's own port is on the pod's loopback, where KServe's proxy asks the first port that is declared."""
    asked = options(runtime)
    (container,) = runtime.spec["containers"]
    assert asked["host"] == "127.0.0.1"
    assert [port["containerPort"] for port in container["ports"]] == [int(asked["port"])]
    assert "insecure" not in asked
    assert service.annotations["security.opendatahub.io/enable-auth"] == "true"
    assert service.labels["networking.kserve.io/visibility"] == "exposed"


def test_probes_ask_the_door_for_health(runtime: Manifest) -> None:
    """In clear text at the port that knows nothing else; liveness never asks for a model."""
    asked = options(runtime)
    (container,) = runtime.spec["containers"]
    for probe, path in (("startupProbe", "live"), ("livenessProbe", "live"), ("readinessProbe", "ready")):
        wanted = {"path": f"/v2/health/{path}", "port": int(asked["health-port"]), "scheme": "HTTP"}
        assert container[probe]["httpGet"] == wanted
    # A service without a model is alive for as long as it takes until the first deployment.
    assert "await-model" in asked
    assert asked["monitor-host"] == "0.0.0.0"


def test_prometheus_finds_the_metrics_and_trusts_them(installation: Tree, runtime: Manifest) -> None:
    """The port, the certificate's files, the Secret that holds them, and who has it signed are one chain."""
    asked, telemetry = options(runtime), installation.one("Service", f"{SERVICE}-telemetry")
    (port,) = telemetry.spec["ports"]
    assert (port["name"], port["port"], port["targetPort"]) == ("metrics", 9443, int(asked["metrics-port"]))
    signed = telemetry.annotations["service.beta.openshift.io/serving-cert-secret-name"]
    (volume,) = [one for one in runtime.spec["volumes"] if "secret" in one]
    assert volume["secret"] == {"secretName": signed, "optional": True}
    (container,) = runtime.spec["containers"]
    (mount,) = [one for one in container["volumeMounts"] if one["name"] == volume["name"]]
    for option, file in (("certificate", "tls.crt"), ("key", "tls.key")):
        assert asked[f"metrics-tls-{option}"] == f"{mount['mountPath']}/{file}"
    # KServe 0.20 removes Services with both of these as what a canary left behind.
    assert not {"serving.kserve.io/inferenceservice", "component"} & telemetry.labels.keys()
    for told in (runtime.annotations, runtime.spec.get("annotations", {})):
        assert not [name for name in told if name.startswith("prometheus.")]


def test_there_is_time_to_leave(installation: Tree, runtime: Manifest) -> None:
    """The leave and what is under way end before Kubernetes ends them; endpoints have seconds to follow."""
    leave_s = float(options(runtime)["withdrawal-s"])
    assert leave_s >= 5.0
    assert served(installation).spec["terminationGracePeriodSeconds"] >= leave_s + PROMISE_S + 5.0


def test_before_the_first_model_it_is_no_server_of_many(service: Manifest) -> None:
    """KServe makes a multi-model server with an agent of a predictor that has neither a URI nor a storage."""
    model = service.spec["predictor"]["model"]
    assert model["storage"] == {"key": "brakeline-s3"}
    assert "storageUri" not in model
    assert model["runtime"] == RUNTIME
    assert set(model) == {"runtime", "modelFormat", "protocolVersion", "storage"}


def test_nodes_can_be_drained_and_pods_are_spread(installation: Tree, service: Manifest) -> None:
    """With one replica a drain is possible, with two one goes on serving; a new version comes before the old goes."""
    (budget,) = [one for one in installation.of("PodDisruptionBudget") if one.name == SERVICE]
    assert budget.spec["maxUnavailable"] == 1
    assert budget.spec["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    predictor = service.spec["predictor"]
    assert predictor["deploymentStrategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert 1 <= predictor["minReplicas"] < predictor["maxReplicas"]
    spread = {one["topologyKey"] for one in predictor["topologySpreadConstraints"]}
    assert spread == {"kubernetes.io/hostname", "topology.kubernetes.io/zone"}


def test_the_autoscaler_is_what_both_releases_make(service: Manifest) -> None:
    """Raw mode scales by CPU or memory; other metrics are Knative's, and are taken without a word."""
    predictor = service.spec["predictor"]
    assert service.annotations["serving.kserve.io/autoscalerClass"] == "hpa"
    assert predictor["scaleMetric"] in ("cpu", "memory")
    assert 1 <= predictor["scaleTarget"] <= 100
    assert "autoScaling" not in predictor  # unknown to 2.22


@pytest.mark.parametrize(
    ("overlay", "mode", "proxy"), [("rhoai-2.22", "RawDeployment", None), ("rhoai-3.x", None, "kube-rbac-proxy")]
)
def test_what_releases_take_differently_is_said_in_the_overlay(
    overlay: str, mode: str | None, proxy: str | None
) -> None:
    """2.22 may default to Serverless; from 3.4 on a webhook has another word for raw mode, which Git must not undo; and
    from 3.3 on the proxy of 2.x stays where nobody asks for the new one.
    """
    service = trees.tree(f"overlays/{overlay}").one("InferenceService", SERVICE)
    assert service.annotations.get("serving.kserve.io/deploymentMode") == mode
    assert service.annotations.get("security.opendatahub.io/auth-proxy-type") == proxy


def test_git_holds_nothing_that_a_deployment_changes(service: Manifest) -> None:
    """What manifests and brakeline-deploy both set is the same for every version, sizing aside, which is Git's."""
    release = Release("n", "7", "a" * 64, HOUSE, {"registered_model_id": "3", "model_version_id": "4"}, "s3://a/b")
    place = ClusterPlace(OURS, SERVICE, account=RUNTIME)
    deployed = manifest.applied(
        place, manifest.content(place, release, "r", "2026-03-01T12:00:00Z"), [{"version": "7"}], {"version": "7"}
    )
    ours, theirs = leaves(service.content), leaves(deployed)
    shared = ours.keys() & theirs.keys()
    assert {path for path in shared if ours[path] != theirs[path]} <= {("spec", "predictor", "minReplicas")}
    assert ("spec", "predictor", "model", "runtime") in shared
    changing = [path for path in theirs if "brakeline/" in path[-1] or "modelregistry" in path[-1]]
    assert changing
    assert not shared & {*changing, ("spec", "predictor", "model", "storageUri")}


def leaves(content: Any) -> dict[tuple[Any, ...], Any]:
    """Every value by its path."""
    return {path: value for path, value in fields(content) if not isinstance(value, dict | list)}


def test_the_prediction_log_fits_its_volume(runtime: Manifest) -> None:
    """It ends with the pod, and never is so large that the pod would be evicted for it."""
    (container,) = runtime.spec["containers"]
    (mount,) = [one for one in container["volumeMounts"] if one["mountPath"] == options(runtime)["prediction-log"]]
    (volume,) = [one for one in runtime.spec["volumes"] if one["name"] == mount["name"]]
    allowed = amount(volume["emptyDir"]["sizeLimit"])
    assert allowed is not None
    assert 1.25 * float(options(runtime)["prediction-mib"]) * 2**20 <= allowed
