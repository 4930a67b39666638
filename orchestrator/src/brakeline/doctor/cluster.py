"""What a run on a cluster needs: a token, a pipelines API that answers, and the rights to use it and to deploy."""

import base64
import binascii
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from brakeline import access
from brakeline.access import Access, UnusableAccess
from brakeline.doctor import answers
from brakeline.doctor.examination import Ask, Failed, Skipped

API = "/apis/v2beta1"
# Group, resource, name and verbs, as the guards ask: a Role may give a right by name alone. What stands before the
# pipelines API asks for the verb of each call on OpenShift AI 3.x, and on 2.x for `get` of the API's Route, always.
PIPELINES = (
    "datasciencepipelinesapplications.opendatahub.io",
    "datasciencepipelinesapplications/api",
    "dspa",
    ("get", "create", "delete"),
)
PIPELINES_OF_2 = ("route.openshift.io", "routes", "ds-pipeline-dspa", ("get",))
DEPLOY = ("serving.kserve.io", "inferenceservices", "stopping-distance", ("create", "get", "patch", "delete"))
_PRODUCT = "/apis/datasciencecluster.opendatahub.io"
_LOGIN = f"run `oc login`, or set {access.TOKEN_FILE}"


def token(ask: Ask) -> str:
    """Is there a token for the pipelines API, and is it still good?"""
    way = _access(ask)
    try:
        held = way.token()
    except UnusableAccess as error:
        raise Failed(str(error), _LOGIN) from error
    if not held:
        return "none is sent: the API is on this machine's loopback, in the clear"
    end = _end_of(held)
    if end and end < datetime.now(UTC):
        raise Failed(f"the token from {way.token_from} expired at {end:%Y-%m-%d %H:%M} UTC", _LOGIN)
    return f"from {way.token_from}" + (f", good until {end:%Y-%m-%d %H:%M} UTC" if end else "")


def pipelines(ask: Ask) -> str:
    """Does the pipelines API answer, in the version that is spoken here, and to this account?"""
    way = _access(ask)
    try:
        held = way.token()
    except UnusableAccess as error:
        raise Skipped("no token; see that check") from error
    absent = f"{access.URL} must be the route of a DSPA with DSP v2, which serves {API}"
    what = "the DSPA's API server"
    health = answers.content(answers.get(f"{way.url}{API}/healthz", held, way.trust, ask.timeout_s, what), absent)
    query = urlencode({"page_size": 1} | ({"namespace": way.namespace} if way.namespace else {}))
    listed = answers.get(f"{way.url}{API}/pipelines?{query}", held, way.trust, ask.timeout_s, what)
    count = answers.content(listed, absent).get("total_size", 0)
    tag = health.get("tag_name")
    return f"{way.url} speaks v2beta1{f' ({tag})' if tag else ''}, {count} pipelines"


def pipeline_rights(ask: Ask) -> str:
    """May this account use the pipelines API?"""
    api, namespace, of = _connect(ask)
    wanted = PIPELINES_OF_2 if _is_of_2(api, ask) else PIPELINES
    return _rights(api, ask, namespace, of, *wanted)


def deploy_rights(ask: Ask) -> str:
    """May this account deploy?"""
    api, namespace, of = _connect(ask)
    return _rights(api, ask, namespace, of, *DEPLOY)


def _rights(
    api: Any, ask: Ask, namespace: str, of: str, group: str, resource: str, name: str, verbs: tuple[str, ...]
) -> str:
    kind, _, subresource = resource.partition("/")
    denied = [verb for verb in verbs if not _may(api, ask, namespace, (group, kind, subresource, name), verb)]
    if denied:
        wanted = f"{', '.join(denied)} on {resource}.{group} {name}"
        raise Failed(f"{of} may not {wanted} in {namespace}", "ask the project's administrator for a role with them")
    return f"{', '.join(verbs)} on {resource} {name} in {namespace}"


def _is_of_2(api: Any, ask: Ask) -> bool:
    """Whether the cluster has OpenShift AI 2.x, by the versions of its own API; without the product it has not."""
    from kubernetes import client  # noqa: PLC0415  loads the whole client
    from urllib3.exceptions import HTTPError  # noqa: PLC0415

    try:
        told = api.call_api(
            _PRODUCT, "GET", header_params={"Accept": "application/json"}, auth_settings=["BearerToken"],
            _preload_content=False, _return_http_data_only=True, _request_timeout=(ask.timeout_s, ask.timeout_s),
        )  # fmt: skip
        versions = {one["version"] for one in json.loads(told.data)["versions"]}
    except (client.ApiException, HTTPError, OSError, ValueError, KeyError, TypeError):
        # What keeps the cluster from answering shows in the review that follows.
        return False
    return "v2" not in versions


def _may(api: Any, ask: Ask, namespace: str, what: tuple[str, str, str, str], verb: str) -> bool:
    from kubernetes import client  # noqa: PLC0415  loads the whole client
    from urllib3.exceptions import HTTPError  # noqa: PLC0415

    group, resource, subresource, name = what
    wanted = {"namespace": namespace, "verb": verb, "group": group, "resource": resource, "name": name}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": wanted | ({"subresource": subresource} if subresource else {})},
    }
    host = api.configuration.host
    try:
        told = client.AuthorizationV1Api(api).create_self_subject_access_review(
            review, _request_timeout=(ask.timeout_s, ask.timeout_s), _preload_content=False
        )
        status = json.loads(told.data).get("status", {})
    except client.ApiException as error:
        todo = _LOGIN if error.status == 401 else "is it a Kubernetes API, and does the kubeconfig name its CA?"
        raise Failed(f"{host}: answered {error.status or 'nothing that is trusted'}", todo) from error
    except (HTTPError, OSError, ValueError, AttributeError) as error:
        raise Failed(
            f"{host}: no answer ({type(error).__name__})", "is the cluster up, and reached from here?"
        ) from error
    return status.get("allowed") is True


def _connect(ask: Ask) -> tuple[Any, str, str]:
    """A client of the cluster's API, the namespace, and in words who asks. Raises Skipped, Failed."""
    from kubernetes import client, config  # noqa: PLC0415  loads the whole client

    settings, account = client.Configuration(), access.SERVICE_ACCOUNT
    named = os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    own = ""
    try:
        if any(Path(file).is_file() for file in named.split(os.pathsep)):
            config.load_kube_config(config_file=named, client_configuration=settings)
            context = config.list_kube_config_contexts(config_file=named)[1]
            own, of = str(context["context"].get("namespace") or ""), f"the context {context['name']}"
        elif (account / "token").is_file():
            config.load_incluster_config(client_configuration=settings)
            own, of = (account / "namespace").read_text(encoding="utf-8").strip(), "the pod's account"
        else:
            raise Skipped("no kubeconfig, and no pod's account: no cluster to ask", "oc login")
    except (config.ConfigException, OSError, ValueError, KeyError, TypeError) as error:
        raise Failed(f"{named}: no usable kubeconfig ({type(error).__name__})", "oc login") from error
    if not settings.verify_ssl:
        raise Failed(f"{named} leaves {settings.host} unverified", "name its certificate-authority instead")
    if not access.is_guarded(settings.host):
        raise Failed(f"{named} names {settings.host}, where a token can be overheard", "name its https address")
    namespace = ask.namespace or os.environ.get(access.NAMESPACE, "") or own
    if not namespace:
        raise Failed("no namespace is named", f"--namespace, {access.NAMESPACE}, or `oc project NAME`")
    settings.retries, settings.proxy = False, access.proxy_of(settings.host)
    return client.ApiClient(settings), namespace, of


def _access(ask: Ask) -> Access:
    if not (ask.url or os.environ.get(access.URL)):
        raise Skipped("no cluster is named", f"--url, or {access.URL}: the DSPA's route")
    try:
        return access.access(ask.url, ask.namespace)
    except UnusableAccess as error:
        raise Failed(str(error), _LOGIN) from error


def _end_of(held: str) -> datetime | None:
    """When a token that says so ends: a JWT's `exp`."""
    parts = held.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        return datetime.fromtimestamp(float(claims["exp"]), UTC)
    except (binascii.Error, ValueError, KeyError, TypeError, OverflowError):
        return None
