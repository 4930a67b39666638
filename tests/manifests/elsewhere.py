"""What our objects name and no manifest makes: who makes it, and why not we."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from brakeline import platform

from tests.manifests.objects import Manifest

OURS, REGISTRIES = "distance-prediction", "rhoai-model-registries"
CONNECTION = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_S3_ENDPOINT", "AWS_DEFAULT_REGION", "AWS_S3_BUCKET")


@dataclass(frozen=True)
class Made:
    """An object of others, with its keys where it holds any."""

    kind: str
    name: str
    namespace: str | None
    why: str
    keys: tuple[str, ...] = ()


def made_by_people() -> list[Made]:
    """What somebody makes by hand, or External Secrets does in their place; docs/openshift.md says how."""
    return [
        Made("Secret", "brakeline-s3", OURS, "the connection to the bucket: credentials are not in Git", CONNECTION),
        Made("Secret", "brakeline-registry-database", REGISTRIES, "its database's, not in Git", ("password",)),
        Made("Secret", "brakeline-grafana-token", OURS, "a token that ends, by `oc create token`", ("token",)),
        *(
            Made("Group", f"brakeline-{who}", None, "who is in it is said by the cluster's identity provider")
            for who in ("viewers", "data-scientists", "operators")
        ),
    ]


def made_of(one: Manifest) -> list[Made]:
    """What operators make of an object of ours."""
    return [Made(kind, name, space, why, keys) for kind, name, space, why, keys in _MAKERS.get(one.kind, _nothing)(one)]


def taken(objects: Iterable[Manifest]) -> list[str]:
    """Names of ours that operators have for objects of theirs: they would overwrite ours, or delete it."""
    known = list(objects)
    theirs = {(made.kind, made.name, made.namespace): (one, made.why) for one in known for made in made_of(one)}
    return [
        f"{one}: the name is {theirs[name][1]}, of {theirs[name][0]}"
        for one in known
        if (name := (one.kind, one.name, one.namespace)) in theirs
    ]


def pods_of(one: Manifest) -> Iterator[dict[str, str]]:
    """The labels of the pods that an operator makes of an object of ours, where an object of ours selects them."""
    if one.kind == "ModelRegistry":
        # red-hat-data-services/model-registry-operator, internal/controller/config/templates/deployment.yaml.tmpl; the
        # third is of 3.x alone, so nothing of a base selects by it.
        yield {"app": one.name, "component": "model-registry"}
    if one.kind == "DataSciencePipelinesApplication":
        # Argo's, for the tasks of a run, labelled as the compiled pipeline says.
        yield from ({**platform.LABELS, platform.TASK_LABEL: task} for task in platform.TABLE)


def services_of(one: Manifest) -> Iterator[dict[str, str]]:
    """The labels of the Services that an operator makes of an object of ours, where a monitor of ours selects them."""
    if one.kind == "DataSciencePipelinesApplication":
        # data-science-pipelines-operator, config/internal/apiserver/default/service.yaml.tmpl, in 2.22 and 3.5 alike.
        yield {"app": f"ds-pipeline-{one.name}", "component": "data-science-pipelines"}


_Told = Iterator[tuple[str, str, str | None, str, tuple[str, ...]]]


def _nothing(_: Manifest) -> _Told:
    return iter(())


def _of_pipelines(one: Manifest) -> _Told:
    for kind in ("ServiceAccount", "Role"):
        yield kind, f"pipeline-runner-{one.name}", one.namespace, "the operator's, for the runs", ()
    for kind in ("Service", "Route"):
        yield kind, f"ds-pipeline-{one.name}", one.namespace, "the operator's, for its API", ()
    yield "NetworkPolicy", f"ds-pipelines-{one.name}", one.namespace, "the operator's, for its API", ()
    yield "Role", f"ds-pipeline-user-access-{one.name}", one.namespace, "the operator's, for its API", ()


def _of_a_registry(one: Manifest) -> _Told:
    yield "Role", f"registry-user-{one.name}", one.namespace, "the operator's, for whoever may use the registry", ()
    yield "Service", one.name, one.namespace, "the operator's, in front of the registry", ()


def _of_a_notebook(one: Manifest) -> _Told:
    for kind in ("Service", "StatefulSet"):
        yield kind, one.name, one.namespace, "its controller's", ()
    for policy in ("ctrl-np", "oauth-np", "kube-rbac-proxy-np"):
        yield "NetworkPolicy", f"{one.name}-{policy}", one.namespace, "odh-notebook-controller's", ()


def _of_a_service_of_a_model(one: Manifest) -> _Told:
    for kind in ("Service", "Deployment", "HorizontalPodAutoscaler"):
        yield kind, f"{one.name}-predictor", one.namespace, "KServe's", ()
    yield "Route", one.name, one.namespace, "odh-model-controller's", ()
    # It deletes a Service or dashboard of these names that it does not want, whoever made it; and overwrites the rest.
    for kind in ("Service", "ServiceMonitor"):
        yield kind, f"{one.name}-metrics", one.namespace, "odh-model-controller's", ()
    yield (
        "ConfigMap",
        f"{one.name}-metrics-dashboard",
        one.namespace,
        "odh-model-controller's",
        ("metrics", "supported"),
    )


def _of_an_external_secret(one: Manifest) -> _Told:
    target = one.spec.get("target") or {}
    composed = tuple((target.get("template") or {}).get("data") or {})
    keys = composed or tuple(entry["secretKey"] for entry in one.spec.get("data") or [])
    yield "Secret", target.get("name", one.name), one.namespace, "of External Secrets", keys


def _of_a_service(one: Manifest) -> _Told:
    named = one.annotations.get("service.beta.openshift.io/serving-cert-secret-name")
    if named:
        yield "Secret", named, one.namespace, "the service CA's", ("tls.crt", "tls.key")


def _of_a_namespace(one: Manifest) -> _Told:
    yield "ServiceAccount", "default", one.name, "Kubernetes makes it", ()
    yield "ConfigMap", "openshift-service-ca.crt", one.name, "OpenShift makes it", ("service-ca.crt",)
    yield "ConfigMap", "kube-root-ca.crt", one.name, "Kubernetes makes it", ("ca.crt",)
    bundles = ("ca-bundle.crt", "odh-ca-bundle.crt")
    yield "ConfigMap", "odh-trusted-ca-bundle", one.name, "OpenShift AI's operator keeps it in every project", bundles


_MAKERS: dict[str, Callable[[Manifest], _Told]] = {
    "DataSciencePipelinesApplication": _of_pipelines,
    "ModelRegistry": _of_a_registry,
    "Notebook": _of_a_notebook,
    "InferenceService": _of_a_service_of_a_model,
    "ExternalSecret": _of_an_external_secret,
    "Service": _of_a_service,
    "Namespace": _of_a_namespace,
}
