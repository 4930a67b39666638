"""The way to a Kubeflow Model Registry: its address, who asks, whom to trust, and how often to ask again.

The client is the generated one that the package model-registry brings (`mr_openapi`, API v1alpha3): its high-level
class has no timeouts and patches the event loop. `INTERNALS` names all of it that is used; a test holds it to that.
"""

import asyncio
import json
import os
import random
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp
from mr_openapi import ApiClient, Configuration, ModelRegistryServiceApi
from mr_openapi.exceptions import ApiException
from stepkit import diary
from stepkit.errors import Refused, ServiceUnavailable, StepError, UsageError

TOKEN_FILE, CA_FILE, TIMEOUT = "BRAKELINE_REGISTRY_TOKEN_FILE", "BRAKELINE_REGISTRY_CA", "BRAKELINE_REGISTRY_TIMEOUT_S"
NAME = "BRAKELINE_REGISTRY_NAME"
INTERNALS = {
    ApiClient: ("close", "rest_client"),
    Configuration: ("access_token", "host", "ssl_ca_cert"),
    ModelRegistryServiceApi: (
        "create_model_version",
        "create_registered_model",
        "find_artifact",
        "find_model_version",
        "find_registered_model",
        "get_model_version_artifacts",
        "get_model_versions",
        "get_registered_model",
        "get_registered_model_versions",
        "update_model_version",
        "upsert_model_version_artifact",
    ),
}
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_TIMEOUT_S, _PATIENCE_S = 15.0, 60.0
_TRIES, _FIRST_DELAY_S, _LONGEST_DELAY_S = 5, 0.25, 10.0
_RETRIED = {408, 425, 429, 500, 502, 503, 504}


class Absent(Exception):
    """The registry says that it has no such thing."""


class Conflict(Exception):
    """The registry says that a thing of this name is there already."""


class Denied(StepError):
    """The registry does not know us, or does not let us."""

    exit_code = 65


@dataclass(frozen=True)
class Settings:
    """Where the registry is, what the platform calls it, and how it is asked. `authority` are files of certificates
    trusted instead of, `besides` in addition to those of the system."""

    url: str
    token: str | None
    token_from: str
    authority: Path | None
    besides: tuple[Path, ...]
    timeout_s: float
    name: str


def settle(url: str) -> Settings:
    """All that is needed, from the URL and the environment. Raises UsageError; no message tells the token."""
    address = _address(url)
    token, token_from = _token(address)
    authority = next((Path(os.environ[name]) for name in (CA_FILE, "SSL_CERT_FILE") if os.environ.get(name)), None)
    besides = (
        () if authority else tuple(file for file in (ACCOUNT / "ca.crt", ACCOUNT / "service-ca.crt") if file.is_file())
    )
    for file in (authority, *besides) if authority else besides:
        _require_certificates(file)
    return Settings(address, token, token_from, authority, besides, _timeout_s(), name_of(address))


class Client:
    """The generated client, asked patiently, for the time of a block. Its answers are the client's own objects."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        authority = str(settings.authority) if settings.authority else None
        configuration = Configuration(host=settings.url, access_token=settings.token, ssl_ca_cert=authority)
        self._client = ApiClient(configuration)
        for file in settings.besides:
            self._client.rest_client.ssl_context.load_verify_locations(cafile=str(file))
        self._api = ModelRegistryServiceApi(self._client)

    @property
    def registry_name(self) -> str:
        """What the platform calls the registry; empty where nobody says."""
        return self._settings.name

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()

    async def ask(self, operation: str, *arguments: Any, **named: Any) -> Any:
        """Call an operation of the API, again where that may help, and only such calls as may be repeated.

        Raises Absent (404), Conflict (409), Denied, Refused, ServiceUnavailable.
        """
        ends = time.monotonic() + _PATIENCE_S
        for attempt in range(1, _TRIES + 1):
            try:
                call = getattr(self._api, operation)
                return await call(*arguments, _request_timeout=self._settings.timeout_s, **named)
            except ApiException as error:
                why, delay_s = self._said(operation, error), _asked_to_wait_s(error)
            except (aiohttp.ClientSSLError, ssl.SSLError) as error:
                raise self._silent(
                    f"its certificate is not trusted ({error}); {CA_FILE} names a file to trust"
                ) from error
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                why, delay_s = _first_line(error), 0.0
            except ValueError as error:
                raise self._silent(f"its answer is none of a Model Registry ({_first_line(error)})") from error
            delay_s = max(delay_s, _FIRST_DELAY_S * 2 ** (attempt - 1)) * random.uniform(0.7, 1.3)  # noqa: S311
            if attempt == _TRIES or time.monotonic() + delay_s > ends:
                break
            diary.note(
                "asking the registry again", operation=operation, attempt=attempt, why=why, delay_s=round(delay_s, 2)
            )
            await asyncio.sleep(delay_s)
        raise self._silent(f"{why}, asked {attempt} times")

    def _said(self, operation: str, error: ApiException) -> str:
        """What the registry said where asking again may help; the rest is raised."""
        status, message = error.status or 0, self._message(error)
        if status in _RETRIED or status > 504:
            return f"{status} {message}"
        if status in {404, 409} and message is not None:
            raise (Absent if status == 404 else Conflict)(message) from error
        if status in {401, 403}:
            raise Denied(
                f"{self._settings.url}: the registry denies {operation} ({status}): {self._settings.token_from}; "
                f"{TOKEN_FILE} names a file with a token that may",
                status=status,
            ) from error
        if status in {400, 422} and message is not None:
            raise Refused(
                f"{self._settings.url}: the registry refuses {operation}: {message}", status=status
            ) from error
        raise self._silent(f"its answer to {operation} is none of a Model Registry (status {status})") from error

    def _silent(self, why: str) -> ServiceUnavailable:
        hint = "is --registry the address of a Model Registry, and is it up?"
        return ServiceUnavailable(
            f"{self._settings.url}: the registry does not answer: {why}; {hint}", registry=self._settings.url
        )

    def _message(self, error: ApiException) -> str | None:
        """The message of the API's own form of error, or None where it is of another form."""
        try:
            said = json.loads(error.body or "")
        except ValueError:
            return None
        message = said.get("message") if isinstance(said, dict) else None
        if message is None:
            return None
        token = self._settings.token
        return (str(message).replace(token, "…") if token else str(message))[:300]


def name_of(address: str) -> str:
    """The name of the ModelRegistry behind an address, as the environment says, or as the operator makes addresses.

    Those are of its Service (NAME.NAMESPACE.svc), of its Route (NAME-rest.DOMAIN) and of the gateway's path
    (/model-registry/NAME). Any other tells no name: a wrong one would hide a deployment from the dashboard.
    """
    if said := os.environ.get(NAME):
        return said
    parts = urlsplit(address)
    labels, path = (parts.hostname or "").split("."), parts.path.strip("/").split("/")
    if path[0] == "model-registry" and len(path) > 1:
        return path[1]
    if labels[2:3] == ["svc"]:
        return labels[0]
    return labels[0].removesuffix("-rest") if labels[0].endswith("-rest") and len(labels) > 1 else ""


def _address(url: str) -> str:
    parts = urlsplit(url)
    allowed = "allowed https://HOST, or http://HOST on this machine's loopback"
    try:
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        port_is_fine = False
    if parts.username or parts.password:
        raise UsageError(f"--registry: found a user or password in the URL, {allowed}; {TOKEN_FILE} says who asks")
    in_the_clear = parts.scheme == "http" and parts.hostname in _LOOPBACK
    if not (parts.scheme == "https" or in_the_clear) or not parts.hostname or not port_is_fine:
        raise UsageError(f"--registry: found {url!r}, {allowed}", found=url)
    if parts.query or parts.fragment:
        raise UsageError(f"--registry: found {url!r}, allowed no query and no fragment", found=url)
    return url.rstrip("/")


def _token(address: str) -> tuple[str | None, str]:
    """The token, or None where none is needed, and words on where it is from."""
    named, account = os.environ.get(TOKEN_FILE), ACCOUNT / "token"
    file = Path(named) if named else account if account.is_file() else None
    if file is None:
        if address.startswith("https:"):
            raise UsageError(
                f"{TOKEN_FILE}: not set, needed for {address}: a file with a token, such as `oc whoami -t` tells"
            )
        return None, "no token was sent"
    try:
        token = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{TOKEN_FILE}: cannot read a token from {file}: {type(error).__name__}", file=file) from error
    if not token or not token.isprintable() or " " in token:
        raise UsageError(f"{TOKEN_FILE}: {file} holds no token: allowed one line of printable characters", file=file)
    return token, f"the token of {file} was sent"


def _timeout_s() -> float:
    text = os.environ.get(TIMEOUT, "")
    try:
        timeout_s = float(text or _TIMEOUT_S)
    except ValueError:
        timeout_s = 0.0
    if not 0.05 <= timeout_s <= 600:
        raise UsageError(f"{TIMEOUT}: found {text!r}, allowed seconds from 0.05 to 600", found=text)
    return timeout_s


def _require_certificates(file: Path) -> None:
    try:
        ssl.create_default_context(cafile=str(file))
    except (OSError, ssl.SSLError) as error:
        raise UsageError(f"{CA_FILE}: {file} holds no certificates that can be read: {error}", file=file) from error


def _asked_to_wait_s(error: ApiException) -> float:
    try:
        return min(max(float((error.headers or {}).get("Retry-After", 0)), 0.0), _LONGEST_DELAY_S)
    except ValueError:
        # A date; the usual delay is near enough.
        return 0.0


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__} {(str(error).splitlines() or [''])[0][:200]}".strip()
