"""A model's objects in an S3 store. Its client is loaded when the first is asked for.

Who may ask and where the store is come from the environment alone: AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID,
AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN or a file of them (AWS_SHARED_CREDENTIALS_FILE, AWS_PROFILE), AWS_CA_BUNDLE and
the rest that S3 clients know. https is demanded beyond this machine's loopback.
"""

import configparser
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from brakeline_serving.errors import ObjectMissing, StoreUnreachable

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3Config, S3Store

SCHEME = "s3://"
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_IDENTITIES = (
    *("AWS_ACCESS_KEY_ID", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_SKIP_SIGNATURE"),
    *("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
)
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_CHUNK_BYTES = 1 << 20
# Whoever follows asks again anyway.
_RETRIES, _RETRY_FOR, _CONNECT_WITHIN = 2, timedelta(seconds=5), timedelta(seconds=5)
_SILENCE, _WHOLE_REQUEST = timedelta(seconds=10), timedelta(minutes=10)


class Tagged(NamedTuple):
    """An object's content and the tag that tells it from an earlier one."""

    content: bytes
    tag: str


class Remote:
    """The objects of one model, named as the files of a model store's folder are."""

    def __init__(self, root: str, name: str) -> None:
        """`root` is s3://bucket or s3://bucket/prefix."""
        self.bucket, _, prefix = root.removeprefix(SCHEME).strip("/").partition("/")
        self._prefix = f"{prefix}/{name}" if prefix else name
        self.uri = f"{SCHEME}{self.bucket}/{self._prefix}"
        self._client: S3Store | None = None

    def read_changed(self, name: str, tag: str) -> Tagged | None:
        """An object's content if its tag is another one. Raises ObjectMissing, StoreUnreachable."""
        import obstore  # noqa: PLC0415
        from obstore.exceptions import NotModifiedError  # noqa: PLC0415

        with self._told(name):
            try:
                found = obstore.get(self._store(), self._key(name), options={"if_none_match": tag} if tag else None)
            except NotModifiedError:
                return None
            return Tagged(bytes(found.bytes()), found.meta["e_tag"] or "")

    def read(self, name: str) -> bytes:
        """An object's content. Raises ObjectMissing, StoreUnreachable."""
        import obstore  # noqa: PLC0415

        with self._told(name):
            return bytes(obstore.get(self._store(), self._key(name)).bytes())

    def fetch(self, name: str, target: Path) -> str:
        """Write an object to a file of the object's own time; its sha256.

        Raises ObjectMissing, StoreUnreachable, OSError.
        """
        import obstore  # noqa: PLC0415

        digest = hashlib.sha256()
        with target.open("wb") as stream:
            with self._told(name):
                found = obstore.get(self._store(), self._key(name))
                chunks = iter(found.stream(min_chunk_size=_CHUNK_BYTES))
            while True:
                with self._told(name):
                    chunk = next(chunks, None)
                if chunk is None:
                    break
                digest.update(chunk)
                stream.write(chunk)
        since_s = found.meta["last_modified"].timestamp()
        os.utime(target, (since_s, since_s))
        return digest.hexdigest()

    def versions(self) -> list[str]:
        """The names of the folders that are there. Raises StoreUnreachable."""
        import obstore  # noqa: PLC0415

        with self._told(""):
            found = obstore.list_with_delimiter(self._store(), prefix=self._prefix)["common_prefixes"]
        return sorted(str(one).rstrip("/").rpartition("/")[2] for one in found)

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}"

    def _store(self) -> "S3Store":
        if self._client is None:
            self._client = _client(self.bucket)
        return self._client

    @contextmanager
    def _told(self, name: str) -> Iterator[None]:
        """The client's errors as ours; after one the client is made anew, as credentials may have been replaced."""
        from obstore.exceptions import (  # noqa: PLC0415
            BaseError,
            PermissionDeniedError,
            PreconditionError,
            UnauthenticatedError,
        )

        uri = f"{self.uri}/{name}" if name else self.uri
        try:
            yield
        except FileNotFoundError as error:
            raise ObjectMissing(uri) from error
        except (PermissionDeniedError, UnauthenticatedError) as error:
            self._client = None
            raise StoreUnreachable(self.uri, "it denies us what we ask for; see the credentials") from error
        except PreconditionError as error:
            # Replaced while it was read.
            raise StoreUnreachable(self.uri, f"{uri} changes while it is read") from error
        except (BaseError, ValueError) as error:
            self._client = None
            is_distrusted = "certificate" in str(error).lower()
            hint = "its certificate is not trusted; AWS_CA_BUNDLE names a file of those that are"
            raise StoreUnreachable(self.uri, hint if is_distrusted else "it does not answer") from error


def complaint(root: str) -> str:
    """What is wrong with an address, or with the environment for it; empty if nothing is."""
    bucket, _, prefix = root.removeprefix(SCHEME).partition("/")
    parts = prefix.rstrip("/").split("/") if prefix else []
    if not root.startswith(SCHEME) or not bucket or any(part in ("", ".", "..") for part in parts):
        return f"found {root!r}, allowed a folder, or s3://bucket/prefix"
    endpoint = urlsplit(_endpoint())
    if _endpoint() and endpoint.scheme != "https" and not _is_near(_endpoint()):
        return f"the S3 endpoint: found {_endpoint()}, allowed https, or http on this machine's loopback"
    if _endpoint() and not os.environ.get("AWS_SHARED_CREDENTIALS_FILE") and not _has_identity():
        return "no S3 credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_SHARED_CREDENTIALS_FILE"
    return ""


def _client(bucket: str) -> "S3Store":
    from obstore.store import S3Store  # noqa: PLC0415

    # Said here, so that no variable of the environment can say otherwise.
    options: ClientConfig = {
        "allow_http": _is_near(_endpoint()),
        "allow_invalid_certificates": False,
        "connect_timeout": _CONNECT_WITHIN,
        "read_timeout": _SILENCE,
        "timeout": _WHOLE_REQUEST,
    }
    if bundle := os.environ.get("AWS_CA_BUNDLE"):
        options["root_certificate"] = _read("AWS_CA_BUNDLE", bundle)
    retries: RetryConfig = {"max_retries": _RETRIES, "retry_timeout": _RETRY_FOR}
    return S3Store(bucket, config=_identity(), client_options=options, retry_config=retries)


def _identity() -> "S3Config":
    config: S3Config = {"endpoint": _endpoint()} if _endpoint() else {}
    named, profile = os.environ.get("AWS_SHARED_CREDENTIALS_FILE"), os.environ.get("AWS_PROFILE") or "default"
    if named and not _has_identity():
        parser = configparser.RawConfigParser()
        try:
            parser.read_string(_read("AWS_SHARED_CREDENTIALS_FILE", named).decode())
            known = parser[profile]
            config["access_key_id"] = known["aws_access_key_id"]
            config["secret_access_key"] = known["aws_secret_access_key"]
        except (configparser.Error, UnicodeDecodeError, KeyError):
            # Its own message would quote the line, and a secret with it.
            allowed = f"[{profile}] with aws_access_key_id and aws_secret_access_key"
            raise StoreUnreachable(named, f"AWS_SHARED_CREDENTIALS_FILE: allowed {allowed}") from None
        if token := known.get("aws_session_token"):
            config["session_token"] = token
    return config


def _endpoint() -> str:
    return next((os.environ[name] for name in _ENDPOINTS if os.environ.get(name)), "")


def _has_identity() -> bool:
    return any(os.environ.get(name) for name in _IDENTITIES)


def _is_near(endpoint: str) -> bool:
    parts = urlsplit(endpoint)
    return parts.scheme == "http" and parts.hostname in _LOOPBACK


def _read(variable: str, named: str) -> bytes:
    try:
        return Path(named).read_bytes()
    except OSError as error:
        raise StoreUnreachable(named, f"{variable}: {error.strerror}") from error
