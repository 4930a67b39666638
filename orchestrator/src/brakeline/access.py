"""Where a Kubeflow Pipelines API is, who asks it, and whose certificates are trusted.

The environment says so, never a parameter: `BRAKELINE_KFP_URL` the route, `BRAKELINE_KFP_TOKEN_FILE` a file with the
bearer token (else the token of the kubeconfig's current context, as `oc login` leaves it, else the pod's service
account's), `BRAKELINE_KFP_CA` a file of certificates beside the system's, `BRAKELINE_KFP_NAMESPACE` where one
installation serves many.
"""

import ipaddress
import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

URL, TOKEN_FILE, CA, NAMESPACE = (f"BRAKELINE_KFP_{name}" for name in ("URL", "TOKEN_FILE", "CA", "NAMESPACE"))
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class ClusterError(Exception):
    """What was asked of the cluster cannot be done. `exit_code` is what the command ends with."""

    exit_code: ClassVar[int] = 70


class UnusableAccess(ClusterError):
    """Address, token or certificates are not what they have to be."""

    exit_code = 2


class Refused(ClusterError):
    """The cluster refuses what was asked, or does not know it."""

    exit_code = 65


class Unavailable(ClusterError):
    """The cluster does not answer, also when asked again."""

    exit_code = 69


@dataclass(frozen=True)
class Access:
    """How the API is reached. `token` reads the bearer token anew each time, since tokens expire; "" sends none."""

    url: str
    token: Callable[[], str]
    token_from: str
    trust: ssl.SSLContext
    namespace: str = ""


def access(url: str = "", namespace: str = "") -> Access:
    """How the API at a URL is reached, or at the environment's. Raises UnusableAccess."""
    found = _checked(url or os.environ.get(URL, ""))
    token_from, token = _token(found)
    return Access(found, token, token_from, trust(), namespace or os.environ.get(NAMESPACE, ""))


def trust() -> ssl.SSLContext:
    """The system's certificates, the pod's cluster's, and those of `BRAKELINE_KFP_CA`. Raises UnusableAccess."""
    context = ssl.create_default_context()
    for bundle in (SERVICE_ACCOUNT / "ca.crt", SERVICE_ACCOUNT / "service-ca.crt"):
        if bundle.is_file():
            context.load_verify_locations(bundle)
    if named := os.environ.get(CA):
        try:
            context.load_verify_locations(named)
        except (OSError, ssl.SSLError) as error:
            raise UnusableAccess(f"{CA}: found {named}, allowed a PEM file of certificates: {error}") from error
    return context


def is_guarded(url: str) -> bool:
    """Whether a token may be sent there: over TLS, or to this machine's loopback."""
    parts = urlsplit(url)
    return parts.scheme == "https" or parts.hostname in _LOOPBACK


def proxy_of(url: str) -> str | None:
    """The environment's proxy for a URL; None where `NO_PROXY` names its host: by name, suffix, address or network."""
    parts = urlsplit(url)
    host, proxies = parts.hostname or "", getproxies()
    found = proxies.get(parts.scheme) or proxies.get("all")
    if not found or host in _LOOPBACK or proxy_bypass(host) or _is_within(host, proxies.get("no", "")):
        return None
    return found if "://" in found else f"http://{found}"


def _is_within(host: str, networks: str) -> bool:
    """Whether an address is in one of the networks of a list; Python's own reading of such lists knows names alone."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    for network in networks.split(","):
        try:
            if address in ipaddress.ip_network(network.strip(), strict=False):
                return True
        except ValueError:
            continue
    return False


def _checked(url: str) -> str:
    if not url:
        raise UnusableAccess(f"no address of a pipelines API: give --url or set {URL}, the DSPA's route (https://…)")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise UnusableAccess(f"{URL}: found {url!r}, allowed https://host: {error}") from error
    if parts.username or parts.password:
        # Not repeated: what stands there may be a secret.
        raise UnusableAccess(f"{URL}: allowed is no user or password in the address; a token comes by {TOKEN_FILE}")
    in_the_clear = parts.scheme == "http" and host in _LOOPBACK
    if not host or (parts.scheme != "https" and not in_the_clear) or parts.query or parts.fragment:
        raise UnusableAccess(f"{URL}: found {url!r}, allowed https://host, or http on this machine's loopback")
    return url.rstrip("/")


def _token(url: str) -> tuple[str, Callable[[], str]]:
    """Where the token comes from, in words, and how it is read."""
    if named := os.environ.get(TOKEN_FILE):
        return TOKEN_FILE, lambda: _read(Path(named), TOKEN_FILE)
    if url.startswith("http://"):
        # A token is never sent in the clear unasked, not even to this machine's own ports.
        return "none", lambda: ""
    if any(Path(file).is_file() for file in kubeconfig().split(os.pathsep)):
        return f"the current context of {kubeconfig()}", _of_kubeconfig
    file = SERVICE_ACCOUNT / "token"
    if file.is_file():
        return "the pod's service account", lambda: _read(file, "the pod's service account")
    raise UnusableAccess(f"no token: run `oc login`, or set {TOKEN_FILE}; there is no {kubeconfig()} and no {file}")


def _read(file: Path, named: str) -> str:
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UnusableAccess(f"{named}: cannot read {file}: {getattr(error, 'strerror', '') or 'no text'}") from error
    if not token or any(not 0x20 < ord(sign) < 0x7F for sign in token):
        raise UnusableAccess(f"{named}: {file} holds no token: allowed is one line of printable characters")
    return token


def kubeconfig() -> str:
    """The file, or the files, that `oc login` writes."""
    return os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")


def _of_kubeconfig() -> str:
    import yaml  # noqa: PLC0415
    from kubernetes import client, config  # noqa: PLC0415  loads the whole client

    found = client.Configuration()
    try:
        # Named here: the library reads the environment once, when it is loaded.
        config.load_kube_config(config_file=kubeconfig(), client_configuration=found)
    except (config.ConfigException, OSError, ValueError) as error:
        raise UnusableAccess(f"{kubeconfig()}: {error}; run `oc login`, or set {TOKEN_FILE}") from error
    except (yaml.YAMLError, TypeError, AttributeError, KeyError) as error:
        # Not its own words: they may quote the file, and a token with it.
        raise UnusableAccess(f"{kubeconfig()}: no kubeconfig: run `oc login`, or set {TOKEN_FILE}") from error
    token = str(found.api_key.get("authorization", "")).removeprefix("Bearer ").strip()
    if not token:
        raise UnusableAccess(
            f"{kubeconfig()}: the current context's user has no token (a client certificate opens no route): "
            f"run `oc login`, or set {TOKEN_FILE}"
        )
    return token
