"""A Kubernetes API as the pipeline's account may use it: get, list, server-side apply and delete; no update, no watch.

The official client speaks; what it leaves to its caller is here: which errors are worth another try, and what they say.
"""

import ipaddress
import json
import os
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import yaml
from kubernetes import client, config
from kubernetes.client import ApiException
from kubernetes.config import ConfigException, incluster_config
from stepkit import diary
from stepkit.errors import Refused, ServiceUnavailable, StepError, UsageError
from urllib3.exceptions import HTTPError

MANAGER = "brakeline-deploy"
RESOURCE = "/apis/serving.kserve.io/v1beta1/namespaces/{namespace}/inferenceservices/{name}"
PODS = "/api/v1/namespaces/{namespace}/pods"
_APPLY = "application/apply-patch+yaml"
_TIMEOUT_S = (5.0, 20.0)
_TRIES, _FIRST_PAUSE_S, _LONGEST_PAUSE_S = 6, 0.25, 8.0
_AGAIN = {408, 429, 500, 502, 503, 504}
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
# An apply whose fields the schema does not know ends with a plain 500 that no other try would change.
_NO_SUCH_FIELD = "failed to create typed patch object"


class Denied(Refused):
    """The account may not do this; its administrator has to grant it."""


class Conflict(Refused):
    """Other managers own fields that are to change, with other values."""


class Changed(StepError):
    """The object is another one than was read. `kserve` reads it again; nobody else sees this."""

    exit_code = 75


class UnknownField(Refused):
    """The cluster's schema does not know a field, or not with such a value."""


class Cluster:
    """InferenceServices and pods of one namespace."""

    def __init__(self, api: Any, namespace: str) -> None:
        self._api, self.namespace = api, namespace

    def get(self, name: str) -> dict[str, Any] | None:
        """An InferenceService, or None. Raises Denied, ServiceUnavailable."""
        try:
            return self._call("GET", RESOURCE, name)
        except _NotThere:
            return None

    def apply(self, wanted: dict[str, Any], *, force: bool = False, dry_run: bool = False) -> dict[str, Any]:
        """Server-side apply: create it, or change the fields that are named. The whole of what then is.

        Raises Conflict, Changed, Denied, UnknownField, ServiceUnavailable.
        """
        query = [("fieldManager", MANAGER), ("fieldValidation", "Strict"), ("force", "true" if force else "false")]
        if dry_run:
            query.append(("dryRun", "All"))
        try:
            return self._call("PATCH", RESOURCE, wanted["metadata"]["name"], query, wanted)
        except _NotThere as error:
            raise Refused(f"{error}; is the namespace {self.namespace} there?") from error

    def delete(self, name: str, uid: str) -> None:
        """Delete the very object of this uid; one that is gone, or another one by now, is left alone."""
        try:
            self._call("DELETE", RESOURCE, name, [], {"preconditions": {"uid": uid}})
        except (_NotThere, Changed):
            return

    def pods(self, selector: str) -> list[dict[str, Any]]:
        """Pods by their labels. Raises Denied, ServiceUnavailable."""
        found = self._call("GET", PODS, "", [("labelSelector", selector)])
        return [pod for pod in found.get("items", []) if isinstance(pod, dict)]

    def _call(
        self, method: str, path: str, name: str, query: list[tuple[str, str]] | None = None, body: Any = None
    ) -> dict[str, Any]:
        """One request, asked again where that may help: each of them gives the same however often it is asked."""
        pause, problem = _FIRST_PAUSE_S, ""
        for attempt in range(_TRIES):
            try:
                return self._once(method, path, name, query or [], body)
            except _Again as error:
                problem, wait = str(error), error.after_s or pause
            if attempt + 1 < _TRIES:
                diary.note("asking_again", server=self.host, why=problem, pause_s=wait)
                time.sleep(min(wait, _LONGEST_PAUSE_S))
                pause = min(2 * pause, _LONGEST_PAUSE_S)
        raise ServiceUnavailable(
            f"the cluster's API at {self.host} did not answer {_TRIES} times: {problem}", server=self.host
        )

    @property
    def host(self) -> str:
        """Where the API is."""
        return str(self._api.configuration.host)

    def _once(self, method: str, path: str, name: str, query: list[tuple[str, str]], body: Any) -> dict[str, Any]:
        parameters = {"namespace": self.namespace} | ({"name": name} if name else {})
        kind = _APPLY if method == "PATCH" else "application/json"
        try:
            found = self._api.call_api(
                path, method, parameters, list(query), {"Accept": "application/json", "Content-Type": kind}, body,
                response_type="object", auth_settings=["BearerToken"], _return_http_data_only=True,
                _request_timeout=_TIMEOUT_S,
            )  # fmt: skip
        except ApiException as error:
            raise self._told(error, name) from error
        except (HTTPError, UnicodeDecodeError, OSError) as error:
            raise _Again(f"{type(error).__name__}: {error}") from error
        except ValueError:
            # Without its words: they tell the whole of a header that cannot be sent, which is the token's.
            told = f"the account's token for {self.host} cannot be sent: allowed one line, without its end"
            raise UsageError(told) from None
        if not isinstance(found, dict):
            raise _Again(f"{method}: found {str(found)[:80]!r}, allowed a JSON object")
        return found

    def _told(self, error: Any, name: str) -> Exception:
        """The API's error as ours, in the API's own words where it has some."""
        if error.status == 0:
            trust = "the kubeconfig's certificate-authority names whom to trust"
            return ServiceUnavailable(f"the cluster's API at {self.host}: {str(error.reason)[:300]}; {trust}")
        status = _status_of(error.body)
        message = str(status.get("message") or error.reason or "no word")
        found = status.get("details")
        details: dict[str, Any] = found if isinstance(found, dict) else {}
        told: dict[int, Exception] = {
            401: Denied(f"{self.host} does not accept the account's token: {message}; log in again"),
            403: Denied(f"{message} (namespace {self.namespace}; ask its administrator for the right)"),
            404: _NotThere(message)
            if details.get("name")
            else Refused(f"{self.host} knows no InferenceService: {message}; is KServe installed?"),
            409: _conflict(name, message, details.get("causes") or []),
        }
        if error.status in told:
            return told[error.status]
        if _NO_SUCH_FIELD in message or error.status in (400, 415, 422):
            return UnknownField(f"{name}: the cluster refuses the object: {message}", found=message)
        if error.status in _AGAIN:
            return _Again(f"{error.status} {message}", _seconds((error.headers or {}).get("Retry-After")))
        return Refused(f"{self.host} answered {error.status}: {message}")


def _conflict(name: str, message: str, causes: list[dict[str, Any]]) -> Exception:
    fields = [
        f"{cause.get('field')}: {cause.get('message')}"
        for cause in causes
        if cause.get("reason") == "FieldManagerConflict"
    ]
    if not fields:
        return Changed(message)
    return Conflict(
        f"{name}: others manage what is to change, and it stays as it is: {'; '.join(fields)}; "
        "let them give it up, or take it over with --take-over",
        conflicts=fields,
    )


class _NotThere(Exception):
    """No such object."""


class _Again(Exception):
    """A failure that another try may not meet."""

    def __init__(self, message: str, after_s: float = 0.0) -> None:
        super().__init__(message)
        self.after_s = after_s


def connect(namespace: str) -> Cluster:
    """The cluster of KUBECONFIG, else of the pod this is, else of the home's kubeconfig.

    Its own namespace is taken where none is named. Raises UsageError, also for one that is not verified.
    """
    settings, named = client.Configuration(), os.environ.get("KUBECONFIG") or None
    try:
        if not named and Path(incluster_config.SERVICE_TOKEN_FILENAME).is_file():
            incluster_config.InClusterConfigLoader(
                incluster_config.SERVICE_TOKEN_FILENAME, incluster_config.SERVICE_CERT_FILENAME
            ).load_and_set(settings)
            found = Path(incluster_config.SERVICE_TOKEN_FILENAME).with_name("namespace")
            own = found.read_text(encoding="utf-8").strip() if found.is_file() else ""
        else:
            config.load_kube_config(named, client_configuration=settings)
            own = config.list_kube_config_contexts(named)[1]["context"].get("namespace", "")
    except (ConfigException, OSError, KeyError, TypeError, ValueError, yaml.YAMLError) as error:
        raise UsageError(
            f"no cluster to deploy to: {error}; set KUBECONFIG, or run in a pod with an account"
        ) from error
    host = urlsplit(settings.host)
    if not settings.verify_ssl:
        raise UsageError(
            f"the kubeconfig leaves {settings.host} unverified; name its certificate-authority instead of "
            "insecure-skip-tls-verify"
        )
    if host.scheme != "https" and host.hostname not in _LOOPBACK:
        raise UsageError(f"the cluster's API: found {settings.host}, allowed https, or http on this machine's loopback")
    settings.retries = False  # tries again are ours: the client's own are for few methods and say nothing
    settings.proxy = settings.proxy or _proxy_for(host.scheme, host.hostname or "")
    if not (namespace or own):
        raise UsageError("no namespace: neither kserve://NAMESPACE/… nor the kubeconfig's context names one")
    return Cluster(client.ApiClient(settings), namespace or own)


def _proxy_for(scheme: str, host: str) -> str | None:
    """The environment's proxy, unless `NO_PROXY` names the host.

    In a pod the API is an address, and a cluster names its networks, which Python's own reading of the list does not
    know.
    """
    proxies = getproxies()
    found = proxies.get(scheme)
    inside = any(_is_within(host, one.strip()) for one in proxies.get("no", "").split(","))
    return None if inside or not found or proxy_bypass(host) else found


def _is_within(host: str, network: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False


def _status_of(body: Any) -> dict[str, Any]:
    try:
        content = json.loads(body or "{}")
    except (ValueError, TypeError):
        return {}
    return content if isinstance(content, dict) else {}


def _seconds(text: Any) -> float:
    try:
        return max(float(text), 0.0)
    except (TypeError, ValueError):
        return 0.0
