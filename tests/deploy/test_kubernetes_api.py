"""The cluster's stand-in refuses what a real one refuses, so that a wrong client fails on it."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from brakeline_deploy import kube
from kubernetes.client import ApiException, CustomObjectsApi
from kubernetes.config import incluster_config
from stepkit.errors import ServiceUnavailable, UsageError

from tests.deploy import kubernetes_api
from tests.deploy.conftest import write_kubeconfig
from tests.deploy.kubernetes_api import GROUP, NAMESPACE, PLURAL, TOKEN, Api
from tests.deploy.releases import NAME

SERVICE: dict[str, Any] = {
    "apiVersion": "serving.kserve.io/v1beta1",
    "kind": "InferenceService",
    "metadata": {"name": NAME, "annotations": {"a": "1"}},
    "spec": {"predictor": {"model": {"modelFormat": {"name": "onnx"}, "storageUri": "s3://a/b"}}},
}
PATH = f"/apis/{GROUP}/v1beta1/namespaces/{NAMESPACE}/{PLURAL}/{NAME}"
APPLY = {"Content-Type": "application/apply-patch+yaml"}


@pytest.fixture
def api(product: str) -> Iterator[Api]:
    with kubernetes_api.serving(kubernetes_api.schema(product)) as running:
        yield running


def ask(
    api: Api, method: str, query: str = "", content: object = None, token: str = TOKEN, **headers: str
) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}", **headers}
    return httpx.request(method, f"{api.url}{PATH}{query}", headers=headers, content=json.dumps(content or SERVICE))


def changed(path: str, value: Any) -> dict[str, Any]:
    """The service with one field set."""
    made = copy.deepcopy(SERVICE)
    node, *rest = [made], *path.split(".")
    at: Any = node[0]
    for part in rest[:-1]:
        at = at.setdefault(part, {})
    at[rest[-1]] = value
    return made


def test_wrong_clients_are_refused(api: Api) -> None:
    """No token, no manager, update, watch, another patch: each meets the refusal that a real API has for it."""
    apply = "?fieldManager=tests"
    assert ask(api, "PATCH", apply, token="none", **APPLY).status_code == 401
    assert ask(api, "PATCH", "", **APPLY).status_code == 422
    assert ask(api, "PATCH", apply, **{"Content-Type": "application/merge-patch+json"}).status_code == 415
    refused = ask(api, "PUT")
    assert (refused.status_code, refused.json()["kind"], refused.json()["reason"]) == (403, "Status", "Forbidden")
    assert "cannot update" in refused.json()["message"]
    assert "cannot watch" in ask(api, "GET", "?watch=true").json()["message"]
    elsewhere = httpx.get(
        f"{api.url}/apis/{GROUP}/v1alpha1/servingruntimes", headers={"Authorization": f"Bearer {TOKEN}"}
    )
    assert elsewhere.status_code == 404
    assert not api.objects


@pytest.mark.parametrize(
    ("path", "value", "code", "word"),
    [
        ("spec.predictor.model.storageURI", "s3://a/b", 500, "model.storageURI: field not declared in schema"),
        ("spec.predictor.runtime", "mine", 500, "field not declared"),
        ("spec.predictor.minReplicas", "two", 500, "failed to create typed patch object"),
        ("spec.predictor.canaryTrafficPercent", 10, 200, ""),
        ("spec.predictor.model.modelFormat", {"version": "1"}, 422, "is invalid"),
    ],
)  # fmt: skip
def test_what_the_published_schema_does_not_allow_is_refused(
    api: Api, path: str, value: Any, code: int, word: str
) -> None:
    """Unknown fields and wrong types as apply has them, what is not valid as 422; and a field ignored is taken."""
    answer = ask(api, "PATCH", "?fieldManager=tests", changed(path, value), **APPLY)
    assert answer.status_code == code, answer.text
    assert word in answer.text
    assert bool(api.objects) == (code == 200)


def test_the_official_clients_own_patch_is_no_server_side_apply(api: Api, tmp_path: Path) -> None:
    """The client's method for custom objects sends a merge patch, which this API takes for what it is."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path, api.url, None)))
        cluster = kube.connect("")
    with pytest.raises(ApiException) as refused:
        CustomObjectsApi(cluster._api).patch_namespaced_custom_object(
            GROUP, "v1beta1", NAMESPACE, PLURAL, NAME, SERVICE
        )
    assert refused.value.status == 415
    assert cluster.apply(SERVICE)["metadata"]["generation"] == 1


def test_fields_have_owners(api: Api) -> None:
    """Equal values are shared, other ones conflict, what its last owner leaves out goes, a dry run changes nothing."""
    assert ask(api, "PATCH", "?fieldManager=one", **APPLY).json()["metadata"]["generation"] == 1
    assert ask(api, "PATCH", "?fieldManager=two", changed("metadata", {"name": NAME}), **APPLY).status_code == 200
    other = changed("spec.predictor.model.storageUri", "s3://c/d")
    refused = ask(api, "PATCH", "?fieldManager=two", other, **APPLY)
    assert refused.status_code == 409
    (cause,) = refused.json()["details"]["causes"]
    assert (cause["reason"], cause["field"]) == ("FieldManagerConflict", ".spec.predictor.model.storageUri")
    dry = ask(api, "PATCH", "?fieldManager=two&force=true&dryRun=All", other, **APPLY)
    assert dry.json()["spec"]["predictor"]["model"]["storageUri"] == "s3://c/d"
    assert api.get(NAME)["metadata"]["generation"] == 1
    assert ask(api, "PATCH", "?fieldManager=two&force=true", other, **APPLY).json()["metadata"]["generation"] == 2
    gone = ask(
        api, "PATCH", "?fieldManager=one", changed("metadata", {"name": NAME, "annotations": {"b": "2"}}), **APPLY
    )
    assert gone.status_code == 409, "the first manager's old URI conflicts now"
    assert api.get(NAME)["metadata"]["annotations"] == {"a": "1"}


def test_a_stale_version_is_refused(api: Api) -> None:
    """An apply to an object that was read before it changed is a conflict without a field."""
    first = ask(api, "PATCH", "?fieldManager=one", **APPLY).json()["metadata"]["resourceVersion"]
    api.tell(NAME, {"conditions": []})
    stale = ask(api, "PATCH", "?fieldManager=one", changed("metadata.resourceVersion", first), **APPLY)
    assert (stale.status_code, stale.json()["reason"]) == (409, "Conflict")
    assert "causes" not in stale.json()["details"]


@pytest.mark.parametrize("product", ["rhoai-3.5"])
def test_a_cluster_that_is_not_verified_is_refused(api: Api, tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    """Unverified, in clear text beyond loopback, or of an unknown authority: said, and no token is shown."""
    for url, more, reason in (
        ("https://127.0.0.1:1", {"insecure-skip-tls-verify": True}, "unverified"),
        ("http://example.org", {}, "allowed https"),
    ):
        with pytest.MonkeyPatch.context() as patched, pytest.raises(UsageError, match=reason):
            patched.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path, url, None, **more)))
            kube.connect("")
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with kubernetes_api.serving(api.schema, context) as guarded, pytest.MonkeyPatch.context() as patched:
        patched.setenv("KUBECONFIG", str(write_kubeconfig(tmp_path, guarded.url, None)))
        with pytest.raises(ServiceUnavailable, match="certificate-authority names whom to trust"):
            kube.connect("").get(NAME)
        assert not guarded.asked


@pytest.mark.parametrize("product", ["rhoai-3.5"])
def test_a_pod_uses_its_own_account(api: Api, tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    """Without KUBECONFIG the account's token, authority and namespace are those that the pod was given."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "namespace").write_text(NAMESPACE)
    with kubernetes_api.serving(api.schema, context) as guarded, pytest.MonkeyPatch.context() as patched:
        patched.delenv("KUBECONFIG", raising=False)
        host, _, port = guarded.url.removeprefix("https://").partition(":")
        patched.setenv("KUBERNETES_SERVICE_HOST", host)
        patched.setenv("KUBERNETES_SERVICE_PORT", port)
        patched.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
        patched.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(certificate[0]))
        cluster = kube.connect("")
        assert cluster.namespace == NAMESPACE
        assert cluster.get(NAME) is None
