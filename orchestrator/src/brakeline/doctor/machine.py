"""What a run needs of this machine: an engine, images, a place for its state, and certificates that can be trusted."""

import os
import shutil
import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from brakeline import images
from brakeline.doctor.examination import Ask, Failed, Skipped
from brakeline.place import tags

# One run of the default size leaves some 0.2 GB, the images take 1.5 GB. A guess at what leaves room for a week.
LEAST_FREE_BYTES = 3 * 10**9
CERTIFICATES = ("BRAKELINE_KFP_CA", "BRAKELINE_REGISTRY_CA", "AWS_CA_BUNDLE", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
_SOON = timedelta(days=14)
_SOCKET = Path("/var/run/docker.sock")
_WITHOUT = "start Docker, or go without: --runner process needs none"


def engine(ask: Ask) -> str:
    """Does a container engine answer?"""
    version = _engine(ask).version()
    return f"Docker {version.get('Version', '?')}, API {version.get('ApiVersion', '?')}"


def images_current(ask: Ask) -> str:
    """Are all images built of the sources that are here, and does the engine have them?"""
    if not (images.HOUSE / "steps").is_dir():
        raise Skipped("no sources here to compare images with")
    if not images.LOCK.is_file():
        raise Skipped(f"none built here ({images.LOCK.name} is missing)", "python build.py; or --runner process")
    if stale := images.stale():
        raise Failed(f"older than their sources, or not built: {', '.join(stale)}", "python build.py")
    client, built = _engine(ask), images.built()
    have = tags(client)
    if lacking := [name for name, image in built.items() if image.reference not in have]:
        raise Failed(f"the lock names them, the engine lacks them: {', '.join(lacking)}", "python build.py")
    pushed = sum(bool(image.pushed) for image in built.values())
    return f"{len(built)} images are of these sources, {pushed} of them pushed"


def state_folder(ask: Ask) -> str:
    """Can state be written, and is there room for more?"""
    place = next(path for path in (ask.state, *ask.state.absolute().parents) if path.exists())
    try:
        with tempfile.NamedTemporaryFile(dir=place, prefix=".doctor-") as probe:
            probe.write(b"x")
            probe.flush()
    except OSError as error:
        raise Failed(f"{place}: {error.strerror}", "choose another folder with --state, or its owner") from error
    free = shutil.disk_usage(place).free
    if free < LEAST_FREE_BYTES:
        needed = f"{free / 1e9:.1f} GB free at {place}, allowed is {LEAST_FREE_BYTES / 1e9:g} GB and more"
        raise Failed(needed, "brakeline prune --dry-run says what is no longer needed")
    return f"{ask.state} can be written, {free / 1e9:.0f} GB free"


def certificates(_: Ask) -> str:
    """Can the files of certificates that the environment names be read, and do they hold?"""
    told = [f"{name}: {_examined(name, Path(os.environ[name]))}" for name in CERTIFICATES if os.environ.get(name)]
    if not told:
        raise Skipped(f"none named (by {', '.join(CERTIFICATES)}): the system's are trusted")
    return "; ".join(told)


def _examined(name: str, file: Path) -> str:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    mend = f"ask who runs the service for its CA bundle, PEM, and name it by {name}"
    try:
        context.load_verify_locations(file)
    except (OSError, ssl.SSLError) as error:
        reason = "no PEM file of certificates" if isinstance(error, ssl.SSLError) else error.strerror
        raise Failed(f"{name}: {file}: {reason}", mend) from error
    ends = [_end(authority) for authority in context.get_ca_certs()]
    now = datetime.now(UTC)
    gone, soon = sum(end < now for end in ends), [end for end in ends if now <= end < now + _SOON]
    # Old authorities stay in a bundle beside their successors; one of nothing else trusts nobody.
    if gone and gone == context.cert_store_stats()["x509"]:
        raise Failed(f"{name}: {file}: all expired, the last on {max(ends):%Y-%m-%d}", mend)
    told = [f"{context.cert_store_stats()['x509']} certificates"]
    told += [f"{gone} of them expired"] * bool(gone)
    told += [f"the next expires on {min(soon):%Y-%m-%d}"] if soon else []
    return ", ".join(told)


def _end(authority: Any) -> datetime:
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(authority["notAfter"]), UTC)


def _engine(ask: Ask) -> Any:
    try:
        import docker  # noqa: PLC0415  an extra of this package
        from docker.errors import DockerException  # noqa: PLC0415
    except ImportError as error:
        raise Skipped("the docker package is not installed", "pip install 'brakeline[docker]'") from error
    named = os.environ.get("DOCKER_HOST")
    try:
        near = {"base_url": f"unix://{_SOCKET}", "timeout": ask.timeout_s}
        client = docker.from_env(timeout=ask.timeout_s) if named else docker.DockerClient(**near)
        client.ping()
    except (DockerException, OSError) as error:
        if not named and not _SOCKET.exists():
            raise Skipped("no container engine here", _WITHOUT) from error
        raise Failed(f"no engine answers at {named or _SOCKET}", _WITHOUT) from error
    return client
