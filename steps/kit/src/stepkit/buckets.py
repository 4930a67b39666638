"""Buckets of S3 stores: addresses, the client as the environment describes it, and its errors as ours.

https is demanded of every endpoint beyond this machine's loopback, whatever the environment allows.
"""

import configparser
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from stepkit.errors import ObjectDenied, ObjectMissing, ServiceUnavailable, StepError, UsageError

if TYPE_CHECKING:
    from obstore.store import ClientConfig, S3Config, S3Store

SCHEME = "s3://"
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_IDENTITIES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_SKIP_SIGNATURE",
)
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_RETRIES, _RETRY_FOR, _CONNECT_WITHIN = 3, timedelta(seconds=15), timedelta(seconds=5)
# Silence ends a request; as long as bytes come it goes on, since a model may be large and the way slow.
_SILENCE, _WHOLE_REQUEST = timedelta(seconds=15), timedelta(minutes=10)


@dataclass(frozen=True)
class Place:
    """A key of a bucket and the client to ask there; `is_prefix` if only objects below it can be meant."""

    store: "S3Store"
    bucket: str
    key: str
    is_prefix: bool = False

    @property
    def uri(self) -> str:
        """Its address."""
        return f"{SCHEME}{self.bucket}/{self.key}"

    def below(self, name: str) -> "Place":
        """An object of the folder that this is."""
        return replace(self, key=f"{self.key}/{name}", is_prefix=False)


def place(uri: str) -> Place:
    """The bucket and key of `s3://bucket/key`. Raises UsageError where it is none, or no store may be asked."""
    bucket, _, key = uri.removeprefix(SCHEME).partition("/")
    parts = key.rstrip("/").split("/")
    if not uri.startswith(SCHEME) or not bucket or any(part in ("", ".", "..") for part in parts):
        raise UsageError(f"found {uri!r}, allowed s3://bucket/key", found=uri, allowed="s3://bucket/key")
    with answered(uri):
        return Place(_store(bucket), bucket, "/".join(parts), is_prefix=key.endswith("/"))


def _store(bucket: str) -> "S3Store":
    from obstore.store import S3Store  # noqa: PLC0415  native code that only this needs

    endpoint = next((os.environ[name] for name in _ENDPOINTS if os.environ.get(name)), "")
    parts = urlsplit(endpoint)
    in_the_clear = parts.scheme == "http" and parts.hostname in _LOOPBACK
    if endpoint and parts.scheme != "https" and not in_the_clear:
        raise UsageError(f"the S3 endpoint: found {endpoint}, allowed https, or http on this machine's loopback")
    # Said here, so that no variable of the environment can say otherwise.
    options: ClientConfig = {
        "allow_http": in_the_clear,
        "allow_invalid_certificates": False,
        "connect_timeout": _CONNECT_WITHIN,
        "read_timeout": _SILENCE,
        "timeout": _WHOLE_REQUEST,
    }
    if bundle := os.environ.get("AWS_CA_BUNDLE"):
        options["root_certificate"] = _read("AWS_CA_BUNDLE", bundle)
    return S3Store(
        bucket,
        config=_identity(endpoint),
        client_options=options,
        retry_config={"max_retries": _RETRIES, "retry_timeout": _RETRY_FOR},
    )


def _identity(endpoint: str) -> "S3Config":
    """Where and as whom to ask, as far as the client does not find it in the environment itself."""
    config: S3Config = {"endpoint": endpoint} if endpoint else {}
    if any(os.environ.get(name) for name in _IDENTITIES):
        return config
    named, profile = os.environ.get("AWS_SHARED_CREDENTIALS_FILE"), os.environ.get("AWS_PROFILE") or "default"
    if named:
        known = _profile(named, profile)
        config["access_key_id"], config["secret_access_key"] = (
            known["aws_access_key_id"],
            known["aws_secret_access_key"],
        )
        if token := known.get("aws_session_token"):
            config["session_token"] = token
    elif endpoint:
        # Without this the client would look for a cloud machine's identity, where there is no such cloud.
        raise UsageError(
            "no S3 credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_SHARED_CREDENTIALS_FILE"
        )
    return config


def _profile(named: str, profile: str) -> dict[str, str]:
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(_read("AWS_SHARED_CREDENTIALS_FILE", named).decode())
        known = dict(parser[profile])
    except (configparser.Error, UnicodeDecodeError, KeyError):
        # Its own message would quote the line, and a secret with it.
        known = {}
    if not {"aws_access_key_id", "aws_secret_access_key"} <= known.keys():
        allowed = f"[{profile}] with aws_access_key_id and aws_secret_access_key"
        raise UsageError(f"AWS_SHARED_CREDENTIALS_FILE: found {named} without, allowed {allowed}") from None
    return known


def _read(variable: str, named: str) -> bytes:
    try:
        return Path(named).read_bytes()
    except OSError as error:
        raise UsageError(f"{variable}: cannot read {named}: {error.strerror}") from error


@contextmanager
def answered(uri: str) -> Iterator[None]:
    """The client's errors as ours, which say what to mend. Raises StepError."""
    from obstore.exceptions import (  # noqa: PLC0415  native code that only this needs
        BaseError,
        InvalidPathError,
        PermissionDeniedError,
        UnauthenticatedError,
    )

    try:
        yield
    except StepError:
        raise
    except FileNotFoundError as error:
        raise ObjectMissing(uri, "no such object, or no such bucket") from error
    except (PermissionDeniedError, UnauthenticatedError) as error:
        known = "AWS_ACCESS_KEY_ID is set" if os.environ.get("AWS_ACCESS_KEY_ID") else "AWS_ACCESS_KEY_ID is not set"
        raise ObjectDenied(uri, known) from error
    except InvalidPathError as error:
        raise UsageError(f"{uri}: no key of an object: {_first_line(error)}") from error
    except (BaseError, ValueError) as error:
        hint = "; AWS_CA_BUNDLE names a file of certificates to trust" if "certificate" in str(error).lower() else ""
        raise ServiceUnavailable(f"{uri}: the store does not answer: {_first_line(error)}{hint}", uri=uri) from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
