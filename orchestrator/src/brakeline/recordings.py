"""Recorded stops from a path or an S3 store, brought into a run's state under their content's sha256.

Who may read and where the store is come from the environment alone: AWS_ENDPOINT_URL, AWS_REGION, AWS_ACCESS_KEY_ID,
AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN or a file of them (AWS_SHARED_CREDENTIALS_FILE, AWS_PROFILE), AWS_CA_BUNDLE and
the rest that S3 clients know.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlsplit

from brakeline import s3_identity
from brakeline.whole import CannotWrite, is_full

if TYPE_CHECKING:
    from obstore.store import ClientConfig, S3Config, S3Store

SCHEME = "s3://"
NO_RECORDING = "none.csv"
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_CHUNK_BYTES = 1 << 20
_RETRIES, _RETRY_FOR, _CONNECT_WITHIN = 3, timedelta(seconds=15), timedelta(seconds=5)


class RecordingError(Exception):
    """The recorded stops cannot be had. `exit_code` is what the command ends with."""

    exit_code: ClassVar[int]


class UnusableAddress(RecordingError):
    """What was asked for can be no recording: no such file, no key in the URI, an endpoint that is not allowed."""

    exit_code = 2


class NoSuchRecording(RecordingError):
    """The store has no such object, or does not show it to us."""

    exit_code = 65


class StoreDenies(NoSuchRecording):
    """The store does not show it to us, whether it has it or not."""


class StoreUnavailable(RecordingError):
    """The store does not answer, also when asked again."""

    exit_code = 69


def check(recorded: str) -> str:
    """Return the path or `s3://bucket/key` as it is. Raises UnusableAddress where it can be neither."""
    if recorded.startswith(SCHEME):
        bucket, _, key = recorded.removeprefix(SCHEME).partition("/")
        if not bucket or not key or key.endswith("/"):
            raise UnusableAddress(f"found {recorded!r}, allowed s3://bucket/key of one object")
    elif "://" in recorded:
        raise UnusableAddress(f"found {recorded!r}, allowed a path or s3://bucket/key")
    elif not Path(recorded).is_file():
        raise UnusableAddress(f"no such file: {recorded!r}")
    return recorded


def bring_in(recorded: str | None, inputs: Path) -> Path:
    """Copy recorded stops below `inputs`, so that caches know them again by their content; None gives an empty file.

    Raises RecordingError, CannotWrite.
    """
    inputs.mkdir(parents=True, exist_ok=True)
    staged, digest = inputs / f".{os.urandom(8).hex()}.partial", hashlib.sha256()
    try:
        with staged.open("wb") as stream:
            for chunk in _content(recorded):
                stream.write(chunk)
                digest.update(chunk)
        target = inputs / digest.hexdigest() / (PurePosixPath(recorded).name if recorded else NO_RECORDING)
        if not target.exists():
            target.parent.mkdir(exist_ok=True)
            staged.replace(target)
    except OSError as error:
        if not is_full(error):
            raise
        raise CannotWrite(inputs, error) from error
    finally:
        staged.unlink(missing_ok=True)
    return target


def send(recorded: str | None, prefix: str) -> str:
    """Recorded stops as an object that a cluster can read, `s3://bucket/key`; None gives an empty one.

    A file is put below the prefix under its content's sha256, once. Raises RecordingError.
    """
    if recorded is not None and check(recorded).startswith(SCHEME):
        return recorded
    import obstore  # noqa: PLC0415  native code that only this needs

    content = Path(recorded).read_bytes() if recorded else b""
    name = PurePosixPath(recorded).name if recorded else NO_RECORDING
    uri = f"{prefix.rstrip('/')}/{hashlib.sha256(content).hexdigest()}/{name}"
    bucket, _, key = uri.removeprefix(SCHEME).partition("/")
    with told(uri):
        try:
            obstore.head(store(bucket), key)
        except FileNotFoundError:
            obstore.put(store(bucket), key, content)
    return uri


def read(uri: str) -> bytes:
    """The whole of one object of a store. Raises RecordingError."""
    return b"".join(_content(uri))


def bring_folder(uri: str, folder: Path) -> None:
    """All objects below `s3://bucket/key` as files in a folder; none where there are none. Raises RecordingError."""
    import obstore  # noqa: PLC0415  native code that only this needs

    bucket, _, key = uri.removeprefix(SCHEME).partition("/")
    with told(uri):
        there = [one["path"] for many in obstore.list(store(bucket), prefix=key) for one in many]
        for path in (path for path in there if len(path) > len(key) + 1):
            name = PurePosixPath(path[len(key) + 1 :])
            if name.is_absolute() or ".." in name.parts:
                raise NoSuchRecording(f"{uri}: found the name {name}, allowed one that stays below its folder")
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            with (folder / name).open("wb") as file:
                for chunk in obstore.get(store(bucket), path).stream(min_chunk_size=_CHUNK_BYTES):
                    file.write(chunk)


def _content(recorded: str | None) -> Iterator[bytes]:
    if recorded is None:
        return
    if check(recorded).startswith(SCHEME):
        with told(recorded):
            yield from _objects_content(recorded)
        return
    with Path(recorded).open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            yield chunk


def _objects_content(uri: str) -> Iterable[bytes]:
    import obstore  # noqa: PLC0415  native code that only this needs

    bucket, _, key = uri.removeprefix(SCHEME).partition("/")
    for chunk in obstore.get(store(bucket), key).stream(min_chunk_size=_CHUNK_BYTES):
        yield bytes(chunk)


def store(bucket: str) -> "S3Store":
    """A bucket of the S3 store that the environment tells of. Raises UnusableAddress."""
    from obstore.store import S3Store  # noqa: PLC0415

    endpoint = next((os.environ[name] for name in _ENDPOINTS if os.environ.get(name)), "")
    parts = urlsplit(endpoint)
    in_the_clear = parts.scheme == "http" and parts.hostname in _LOOPBACK
    if endpoint and parts.scheme != "https" and not in_the_clear:
        raise UnusableAddress(f"the S3 endpoint: found {endpoint}, allowed https, or http on this machine's loopback")
    # Said here, so that no variable of the environment can say otherwise.
    options: ClientConfig = {"allow_http": in_the_clear, "allow_invalid_certificates": False}
    options["connect_timeout"] = _CONNECT_WITHIN
    if bundle := os.environ.get("AWS_CA_BUNDLE"):
        options["root_certificate"] = _ca_bundle(bundle)
    try:
        config: S3Config = {**s3_identity.of_file(bool(endpoint)), **({"endpoint": endpoint} if endpoint else {})}
    except ValueError as error:
        raise UnusableAddress(str(error)) from error
    return S3Store(
        bucket,
        config=config,
        client_options=options,
        retry_config={"max_retries": _RETRIES, "retry_timeout": _RETRY_FOR},
    )


def _ca_bundle(named: str) -> bytes:
    try:
        return Path(named).read_bytes()
    except OSError as error:
        raise UnusableAddress(f"AWS_CA_BUNDLE: cannot read {named}: {error.strerror}") from error


@contextmanager
def told(uri: str) -> Iterator[None]:
    """The client's errors as ours, which say what to mend."""
    from obstore.exceptions import (  # noqa: PLC0415
        BaseError,
        InvalidPathError,
        PermissionDeniedError,
        UnauthenticatedError,
    )

    try:
        yield
    except FileNotFoundError as error:
        raise NoSuchRecording(f"{uri}: no such object") from error
    except (PermissionDeniedError, UnauthenticatedError) as error:
        names = ("AWS_ACCESS_KEY_ID", s3_identity.FILE)
        said = [name for name in names if os.environ.get(name)]
        known = f"{said[0]} is set" if said else "AWS_ACCESS_KEY_ID is not set"
        raise StoreDenies(f"{uri}: the store denies it; {known}") from error
    except InvalidPathError as error:
        raise UnusableAddress(f"{uri}: no key of an object: {_first_line(error)}") from error
    except (BaseError, OSError, ValueError) as error:
        hint = "; AWS_CA_BUNDLE names a file of certificates to trust" if "certificate" in str(error).lower() else ""
        raise StoreUnavailable(f"{uri}: the store does not answer: {_first_line(error)}{hint}") from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
