"""The official client of the Kubeflow Pipelines API, with an end to every wait and errors that say what to do.

The generated client waits for ever and follows redirections; its requests are sent by `_Rest` instead, which asks
again where that is safe. `INTERNALS` names what of kfp's is touched; a test fails when the pinned kfp lacks it.
"""

import contextlib
import io
import json
import logging
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any, TypeVar
from urllib.parse import urlsplit

import kfp_server_api
import urllib3
from kfp.client import Client
from kfp_server_api.exceptions import ApiException
from kfp_server_api.rest import RESTClientObject

from brakeline.access import Access, ClusterError, Refused, Unavailable, UnusableAccess, proxy_of

INTERNALS = {Client: ("get_kfp_healthz", "_load_config"), RESTClientObject: ("request",)}
CONNECT_WITHIN_S, ANSWER_WITHIN_S = 10.0, 60.0
PAUSES_S = (0.5, 1.0, 2.0, 4.0)
_AGAIN = {429, 500, 502, 503, 504}
_LONGEST_PAUSE_S = 30.0
_UNTRUSTED = "{}: no trusted connection: {}; BRAKELINE_KFP_CA names a file of certificates to trust"
_T = TypeVar("_T")


class Unanswered(Unavailable):
    """A change was sent and its answer was lost: it may have been made or not."""


class Conflict(Refused):
    """What was to be made is there under its name."""


class NotThere(Refused):
    """The API does not know what was asked for."""


def connect(access: Access) -> Any:
    """A `kfp.Client` on the API. Nothing is asked yet. Raises UnusableAccess."""
    access.token()
    logging.getLogger("kfp_server_api").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client = _Client(host=access.url, namespace=access.namespace, credentials=_Credentials(access))
    client.runs.run_service_get_run.__self__.api_client.rest_client = _Rest(access)
    return client


def once(find: Callable[[], _T | None], make: Callable[[], _T]) -> tuple[_T, bool]:
    """What `find` finds, or what `make` makes, and whether it was made here.

    An answer that was lost is no reason to make it twice: it is looked for first, each time. Raises ClusterError.
    """
    sent = False
    for pause_s in (*PAUSES_S, None):
        if (found := find()) is not None:
            return found, sent
        try:
            return make(), True
        except (Unanswered, Conflict) as error:
            sent = sent or isinstance(error, Unanswered)
            if pause_s is None:
                raise
            time.sleep(pause_s)
    raise AssertionError("unreachable")


@contextlib.contextmanager
def told(what: str) -> Iterator[None]:
    """The client's errors as ours; what it prints is not for stdout."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    except ApiException as error:
        raise _told(what, int(error.status or 0), _words(error)) from error
    except (ValueError, AttributeError, TypeError) as error:
        raise Refused(f"{what}: what answers is no pipelines API: {error}"[:300]) from error


class _Client(Client):  # type: ignore[misc]  # the client is untyped
    """Asks nothing while it is made, where the original asks five times and sleeps between."""

    def get_kfp_healthz(self, sleep_duration: int = 5) -> Any:
        return kfp_server_api.V2beta1GetHealthzResponse(multi_user=False)


class _Credentials:
    """The token, read anew for each request."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def refresh_api_key_hook(self, config: Any) -> None:
        config.api_key["authorization"] = self._access.token()


class _Rest(RESTClientObject):  # type: ignore[misc]
    """Sends requests: bounded in time, over the trusted certificates and the environment's proxy, never redirected."""

    def __init__(self, access: Access) -> None:
        settings: dict[str, Any] = {"ssl_context": access.trust, "retries": False, "maxsize": 4}
        if proxy := proxy_of(access.url):
            self.pool_manager: Any = urllib3.ProxyManager(proxy, **settings)
        else:
            self.pool_manager = urllib3.PoolManager(**settings)

    def request(self, method: str, url: str, **call: Any) -> Any:
        """As the generated client's. Reads are asked again; of a change, only what was surely never taken."""
        call["_request_timeout"] = call.get("_request_timeout") or (CONNECT_WITHIN_S, ANSWER_WITHIN_S)
        for pause_s in (*PAUSES_S, None):
            try:
                return _json(super().request(method, url, **call))
            except ApiException as error:
                if not error.status:
                    # The generated client would trip over an error that has no body.
                    raise UnusableAccess(_UNTRUSTED.format(_host(url), _first_line(error.reason))) from error
                again_s = _pause(error, pause_s) if _is_safe(method, error) else None
                if again_s is None:
                    raise
            except urllib3.exceptions.HTTPError as error:
                never_sent = isinstance(
                    error, urllib3.exceptions.ConnectTimeoutError | urllib3.exceptions.NewConnectionError
                )
                if method != "GET" and not never_sent:
                    raise Unanswered(f"{_host(url)}: the answer was lost: {_first_line(error.args[0])}") from error
                if pause_s is None:
                    raise Unavailable(f"{_host(url)} does not answer: {_first_line(error.args[0])}") from error
                again_s = pause_s
            time.sleep(again_s)
        raise AssertionError("unreachable")


def _json(answer: Any) -> Any:
    """The answer, where it is JSON: of a page for people the generated client would make an empty list."""
    if "json" not in (answer.getheader("Content-Type") or ""):
        raise Refused("what answers is no pipelines API: a page, not JSON; is the URL the DSPA's route?")
    return answer


def _is_safe(method: str, error: ApiException) -> bool:
    return (method == "GET" and error.status in _AGAIN) or error.status == 429


def _pause(error: ApiException, pause_s: float | None) -> float | None:
    """How long to wait before asking again [s]; None where it was asked often enough."""
    said = (error.headers or {}).get("Retry-After", "")
    return max(pause_s, min(float(said), _LONGEST_PAUSE_S)) if pause_s is not None and said.isdigit() else pause_s


def _told(what: str, status: int, words: str) -> ClusterError:
    if status == 401 or 300 <= status < 400:
        return Refused(f"{what}: the token is not accepted ({status}): run `oc login` again, or renew the token's file")
    if status == 403:
        return Refused(
            f"{what}: denied (403): {words}; the account needs access to datasciencepipelinesapplications/api, or on "
            "OpenShift AI 2.x to `get` the API's Route"
        )
    if status == 404:
        return NotThere(f"{what}: not there (404): {words}")
    if status == 409:
        return Conflict(f"{what}: there already (409): {words}")
    if status >= 500 or status == 429:
        return Unanswered(f"{what}: the API fails ({status}): {words}")
    return Refused(f"{what}: refused ({status}): {words}")


def _words(error: ApiException) -> str:
    """The API's own message; nothing of headers, where tokens are."""
    body = error.body.decode(errors="replace") if isinstance(error.body, bytes) else str(error.body or "")
    with contextlib.suppress(ValueError, AttributeError):
        said = json.loads(body)
        body = str(said.get("message") or said.get("error") or "")
    return _first_line(body or error.reason or "no word")


def _first_line(said: object) -> str:
    return (str(said).strip().splitlines() or [type(said).__name__])[-1][:300]


def _host(url: str) -> str:
    return urlsplit(url).netloc
