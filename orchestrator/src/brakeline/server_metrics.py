"""A look at a server's /metrics: which model is its primary, and what was counted of that model's rows."""

import ssl
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

import httpx
from prometheus_client.parser import text_string_to_metric_families

from brakeline.drift import Counts

_TIMEOUT_S = 10.0
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_PAST_ALL = "+Inf"

_Samples = dict[str, list[tuple[dict[str, str], float]]]


class CannotLook(Exception):
    """There is nothing to judge. `exit_code` is what a command that only looks ends with."""

    exit_code: ClassVar[int] = 69


class NotAllowed(CannotLook):
    """The server wants another token, or what answers is no server of ours."""

    exit_code: ClassVar[int] = 65


class UnusableServer(CannotLook):
    """An address or a file that can be used for no look at all."""

    exit_code: ClassVar[int] = 2


@dataclass(frozen=True)
class Address:
    """A server's URL, and files of the token to show and of the authorities to trust (PEM), where it needs them."""

    url: str
    token: Path | None = None
    authorities: Path | None = None


@dataclass(frozen=True)
class Look:
    """The primary, when its server's process started [s since 1970] where that is told, counts, and training shares.

    `training` has the share of the training data in each bin of a feature, missing ones last, as `Counts.features`.
    """

    version: str
    sha256: str
    started: float | None
    counts: Counts
    training: dict[str, tuple[float, ...]]


def look(address: Address) -> Look:
    """Ask a server for its metrics and read them.

    Raises CannotLook where it does not answer or serves no model, NotAllowed, UnusableServer.
    """
    return read(_fetch(address), address.url)


def read(page: str, url: str) -> Look:
    """Read Prometheus' text format. Raises NotAllowed for what no server of ours says, CannotLook without a model."""
    samples: _Samples = defaultdict(list)
    try:
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                samples[sample.name].append((sample.labels, sample.value))
    except (ValueError, KeyError, IndexError) as error:
        raise NotAllowed(f"{url}/metrics: found {page[:40]!r}, allowed Prometheus' text format: {error}") from error
    if "brakeline_rows_total" not in samples:
        raise NotAllowed(f"{url}/metrics: found no brakeline_rows_total, allowed the metrics of brakeline-serving")
    primary = [labels for labels, _ in samples["brakeline_model_info"] if labels.get("role") == "primary"]
    if not primary:
        raise CannotLook(f"{url}: no model is served yet")
    version = primary[0]["version"]
    started = [value for _, value in samples["process_start_time_seconds"]]
    missing = {labels["feature"]: value for labels, value in _of(samples, version, "brakeline_feature_missing_total")}
    bins = {name: (*steps, missing.get(name, 0.0)) for name, steps in _bins(samples, version, "feature_bucket").items()}
    shares = _bins(samples, version, "feature_training_share")
    counts = Counts(
        rows=_one(samples, "brakeline_rows_total"),
        out_of_range=_one(samples, "brakeline_out_of_range_total"),
        spread_rows=sum(value for _, value in _of(samples, version, "brakeline_bound_spread_metres_count")),
        spread_sum_m=sum(value for _, value in _of(samples, version, "brakeline_bound_spread_metres_sum")),
        features=bins,
    )
    # Shares are of all rows: what they do not add up to is the share of those without a reading.
    training = {name: (*steps, max(1.0 - sum(steps), 0.0)) for name, steps in shares.items()}
    return Look(version, primary[0]["sha256"], started[0] if started else None, counts, training)


def _of(samples: _Samples, version: str, name: str) -> list[tuple[dict[str, str], float]]:
    return [(labels, value) for labels, value in samples[name] if labels.get("version") == version]


def _one(samples: _Samples, name: str) -> float:
    return sum(value for _, value in samples[name])


def _bins(samples: _Samples, version: str, name: str) -> dict[str, tuple[float, ...]]:
    """What lies between the edges of each feature, of what is told up to each edge."""
    up_to: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for labels, value in _of(samples, version, f"brakeline_{name}"):
        up_to[labels["feature"]].append((float(labels["le"].replace(_PAST_ALL, "inf")), value))
    found = {}
    for feature, steps in up_to.items():
        running = [value for _, value in sorted(steps)]
        found[feature] = tuple(high - low for low, high in zip([0.0, *running], running, strict=False))
    return found


def _fetch(address: Address) -> str:
    parts = urlsplit(address.url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UnusableServer(f"--server: found {address.url!r}, allowed http://host:port or https://host:port")
    headers = {}
    if address.token is not None:
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise UnusableServer(f"--server: found {address.url!r} with a token, allowed https beyond this machine")
        headers["authorization"] = f"Bearer {_token(address.token)}"
    url = f"{address.url.rstrip('/')}/metrics"
    try:
        with httpx.Client(verify=_trust(address), timeout=_TIMEOUT_S, headers=headers) as client:
            answer = client.get(url)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        hint = "; --ca-file names certificates to trust" if "CERTIFICATE_VERIFY_FAILED" in str(error) else ""
        raise CannotLook(f"{url}: {type(error).__name__}: {error}{hint}") from error
    if answer.status_code in (401, 403):
        raise NotAllowed(f"{url}: found status {answer.status_code}; --token-file names the file of the server's token")
    if answer.status_code != httpx.codes.OK:
        raise CannotLook(f"{url}: found status {answer.status_code}, allowed 200")
    return answer.text


def _trust(address: Address) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if address.authorities is not None:
        try:
            context.load_verify_locations(cadata=_text(address.authorities, "--ca-file"))
        except (ssl.SSLError, ValueError) as error:
            raise UnusableServer(f"--ca-file: {address.authorities}: found no certificates, allowed PEM") from error
    return context


def _token(file: Path) -> str:
    token = _text(file, "--token-file").strip()
    # The client would quote it in its own message.
    if not token or any(not 0x20 < ord(sign) < 0x7F for sign in token):
        raise UnusableServer(f"--token-file: {file} holds no token: allowed is one line of printable characters")
    return token


def _text(file: Path, option: str) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UnusableServer(f"{option}: cannot read {file}: {error}") from error
