"""What outlives a run: a registry that answers, a bucket that takes, gives and forgets, and a clock that agrees."""

import contextlib
import os
import re
import sqlite3
import ssl
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

from brakeline import access, recordings
from brakeline.doctor import answers
from brakeline.doctor.examination import Ask, Failed, Skipped

REGISTRY, REGISTRY_TOKEN_FILE, REGISTRY_CA = (f"BRAKELINE_REGISTRY{end}" for end in ("", "_TOKEN_FILE", "_CA"))
STORE = "BRAKELINE_STORE"
REGISTRY_API = "/api/model_registry/v1alpha3"
SQLITE = "sqlite:///"
# S3 refuses requests that are 15 minutes off; tokens and schedules suffer sooner.
MOST_SKEW_S = 60.0
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def registry(ask: Ask) -> str:
    """Does the model registry answer, or is its file sound?"""
    url = ask.registry or os.environ.get(REGISTRY, "") or f"{SQLITE}{ask.state / 'registry.sqlite'}"
    if url.startswith(SQLITE):
        return _file(Path(url.removeprefix(SQLITE)))
    parts = urlsplit(url)
    if parts.username or parts.password or (parts.scheme != "https" and not _is_near(url)):
        raise Failed(
            f"{REGISTRY}: allowed is sqlite:///PATH, or https://HOST without a user in it", "correct the address"
        )
    absent = f"{REGISTRY} must be the address of a model registry, which serves {REGISTRY_API}"
    asked = f"{url.rstrip('/')}{REGISTRY_API}/registered_models?pageSize=1"
    answer = answers.get(asked, _registry_token(url), _trust(REGISTRY_CA), ask.timeout_s, "the registry")
    found = answers.content(answer, absent)
    if not isinstance(found.get("items"), list):
        raise Failed(f"{url}: what answers is no model registry", absent)
    return f"{url} speaks v1alpha3"


def bucket(ask: Ask) -> str:
    """Does the bucket take an object, give it back as it was, and forget it?"""
    prefix = ask.bucket or os.environ.get(STORE, "")
    if not prefix:
        raise Skipped("no bucket is named", f"--bucket s3://bucket/prefix, or {STORE}")
    name, _, path = prefix.removeprefix(recordings.SCHEME).partition("/")
    if not prefix.startswith(recordings.SCHEME) or not name:
        raise Failed(f"found {prefix!r}, allowed s3://bucket/prefix", "correct the address")
    if unset := re.search(r"\$\((\w+)\)", name):
        # Kubernetes leaves a variable's name where it has no value, as where a connection's Secret was not there.
        todo = f"make the connection's Secret, with {unset[1]} in it, and start the workbench or pod anew"
        raise Failed(f"found {prefix!r}: {unset[1]} had no value when this pod started", todo)
    key = "/".join(part for part in (path.strip("/"), f".doctor-{os.urandom(8).hex()}") if part)
    uri = f"{recordings.SCHEME}{name}/{key}"
    try:
        _exchange(uri, name, key)
    except recordings.UnusableAddress as error:
        raise Failed(str(error), "correct the AWS_… variables") from error
    except recordings.NoSuchRecording as error:
        raise Failed(
            str(error), "is the bucket there, and do the keys have rights to read, write and delete?"
        ) from error
    except recordings.StoreUnavailable as error:
        raise Failed(
            str(error), "AWS_ENDPOINT_URL says where the store is; is it up, and reached from here?"
        ) from error
    return f"s3://{'/'.join(part for part in (name, path.strip('/')) if part)}: put, read back and deleted"


def _exchange(uri: str, name: str, key: str) -> None:
    import obstore  # noqa: PLC0415  native code that only this needs

    sent = os.urandom(1024)
    with recordings.told(uri):
        store = recordings.store(name)
        obstore.put(store, key, sent)
        try:
            got = bytes(obstore.get(store, key).bytes())
        finally:
            obstore.delete(store, key)
        with contextlib.suppress(FileNotFoundError):
            obstore.head(store, key)
            raise Failed(f"{uri}: still there after it was deleted", "do the keys have the right to delete?")
    if got != sent:
        raise Failed(f"{uri}: came back with other bytes", "what stands between here and the store?")


def clock(ask: Ask) -> str:
    """Does this machine's clock agree with the services'?"""
    for url in _addresses(ask):
        begun = time.time()
        try:
            answer = answers.get(url, "", _trust(access.CA, REGISTRY_CA, "AWS_CA_BUNDLE"), ask.timeout_s, "it")
            there = parsedate_to_datetime(answer.headers["Date"]).timestamp()
        except (Failed, KeyError, ValueError):
            continue
        # The header has whole seconds; and it was written some time between request and answer.
        skew_s = there + 0.5 - (begun + time.time()) / 2
        host = urlsplit(url).netloc
        if abs(skew_s) > MOST_SKEW_S:
            way = "behind" if skew_s > 0 else "ahead of"
            raise Failed(
                f"this clock is {abs(skew_s):.0f} s {way} that of {host}", "set it by NTP (chronyd, timedatectl)"
            )
        return f"within {max(abs(skew_s), 1):.0f} s of {host}"
    raise Skipped("no service that answers tells the time")


def _addresses(ask: Ask) -> Iterator[str]:
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    for url in (ask.url or os.environ.get(access.URL, ""), ask.registry or os.environ.get(REGISTRY, ""), endpoint):
        parts = urlsplit(url)
        if parts.hostname and parts.username is None and (parts.scheme == "https" or _is_near(url)):
            yield f"{parts.scheme}://{parts.netloc}/"


def _file(path: Path) -> str:
    if not path.exists():
        return f"{path}: none yet, the first run makes it"
    try:
        with contextlib.closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=2)
        ) as database:
            (sound,) = database.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        raise Failed(
            f"{path}: {error}", "restore it from a backup; the models beside it are kept by content"
        ) from error
    if sound != "ok":
        raise Failed(f"{path}: {sound}", "restore it from a backup; the models beside it are kept by content")
    if not os.access(path, os.W_OK):
        raise Failed(f"{path}: may not be written", "run as its owner, or choose another --registry")
    return f"{path} is sound"


def _registry_token(url: str) -> str:
    named, account = os.environ.get(REGISTRY_TOKEN_FILE), access.SERVICE_ACCOUNT / "token"
    if not named and url.startswith("http://"):
        return ""
    if not named and not account.is_file():
        raise Failed("no token for the registry", f"set {REGISTRY_TOKEN_FILE} to a file with one")
    try:
        held = Path(named or account).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Failed(
            f"{REGISTRY_TOKEN_FILE}: cannot read {named or account}", "is it there, and yours to read?"
        ) from error
    if not held or any(not 0x20 < ord(sign) < 0x7F for sign in held):
        raise Failed(
            f"{REGISTRY_TOKEN_FILE}: {named or account} holds no token", "allowed is one line of printable text"
        )
    return held


def _trust(*variables: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    bundles = [access.SERVICE_ACCOUNT / name for name in ("ca.crt", "service-ca.crt")]
    for bundle in bundles + [Path(os.environ[name]) for name in variables if os.environ.get(name)]:
        # Those that cannot be read are the check of certificates' to tell.
        with contextlib.suppress(OSError, ssl.SSLError):
            context.load_verify_locations(bundle)
    return context


def _is_near(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname in _LOOPBACK
