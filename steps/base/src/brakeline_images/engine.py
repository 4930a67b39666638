"""The container engine, by the docker SDK. Errors in its streams are items, not exceptions: here they become ours."""

import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from typing import IO, Any

import docker
from docker.errors import APIError, DockerException, ImageNotFound, NotFound

from brakeline_images.errors import BaseNotPullable, BuildFailed, NoEngine, PushFailed

_TIMEOUT_S = 900


class Engine:
    """What building needs of an engine."""

    def __init__(self) -> None:
        """Connect as the environment says (DOCKER_HOST and its kin). Raises NoEngine."""
        try:
            self._api = docker.from_env(timeout=_TIMEOUT_S).api
            self._api.ping()
        except (DockerException, OSError) as error:
            raise NoEngine(str(error)[:200]) from error

    def inspect(self, reference: str) -> dict[str, Any] | None:
        """An image's description, or None where the engine has no such image."""
        try:
            return dict(self._api.inspect_image(reference))
        except (ImageNotFound, NotFound):
            return None

    def files(self, reference: str, paths: Iterable[str]) -> dict[str, bytes]:
        """The regular files at these paths of an image, and below them, by their full names. Nothing is run."""
        found: dict[str, bytes] = {}
        # A container is made to be read, never started: any command will do.
        container = self._api.create_container(reference, command=["none"], network_disabled=True)["Id"]
        try:
            for path in paths:
                try:
                    stream, _ = self._api.get_archive(container, path)
                except NotFound:
                    continue
                with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as archive:
                    above = path.rpartition("/")[0]
                    for entry in filter(tarfile.TarInfo.isreg, archive):
                        content = archive.extractfile(entry)
                        found[f"{above}/{entry.name}"] = content.read() if content else b""
        finally:
            self._api.remove_container(container, v=True, force=True)
        return found

    def tag(self, reference: str, other: str) -> None:
        """Give an image another name too."""
        repository, _, tag = other.rpartition(":")
        self._api.tag(reference, repository, tag)

    def load_root(self, tar: IO[bytes], reference: str) -> None:
        """Make an image of a root file system."""
        repository, _, tag = reference.rpartition(":")
        said = self._api.import_image_from_data(tar, repository=repository, tag=tag)
        errors = [item["error"] for item in map(json.loads, str(said).splitlines()) if "error" in item]
        if errors:
            raise BuildFailed(reference, errors[0])

    def build(self, context: IO[bytes], reference: str, arguments: Mapping[str, str]) -> None:
        """Build a context without network. Raises BuildFailed with the builder's last words."""
        stream = self._api.build(
            fileobj=context, custom_context=True, tag=reference, rm=True, forcerm=True, decode=True,
            buildargs=dict(arguments), network_mode="none",
        )  # fmt: skip
        words: list[str] = []
        for item in stream:
            words = [*words, item.get("stream", "").strip()][-8:]
            if "error" in item:
                raise BuildFailed(reference, " | ".join([*filter(None, words), item["error"]]))

    def pull(self, image: str) -> str:
        """Pull an image; returns its reference by digest. Raises BaseNotPullable."""
        try:
            _raise_first_error(self._api.pull(image, stream=True, decode=True))
            found = self._api.inspect_image(image)
        except (APIError, OSError, _StreamError) as error:
            raise BaseNotPullable(image, str(error)[:300]) from error
        return pinned(found, image)

    def push(self, reference: str, registry: str) -> str:
        """Push an image to a registry; returns its reference there by digest. Raises PushFailed."""
        name, _, tag = reference.rpartition(":")
        repository = f"{registry.rstrip('/')}/{name}"
        digest = ""
        try:
            self.tag(reference, f"{repository}:{tag}")
            for item in self._api.push(repository, tag=tag, stream=True, decode=True):
                if "error" in item:
                    raise PushFailed(f"{repository}:{tag}", item["error"])
                digest = item.get("aux", {}).get("Digest", digest)
        except (APIError, OSError) as error:
            raise PushFailed(f"{repository}:{tag}", str(error)[:300]) from error
        if not digest:
            raise PushFailed(f"{repository}:{tag}", "the registry told no digest")
        return f"{repository}@{digest}"


class _StreamError(Exception):
    pass


def pinned(image: Mapping[str, Any], asked: str) -> str:
    """An image's name by content: its digest, at best from the registry asked for, or the engine's own id of it."""
    digests = sorted(image.get("RepoDigests") or [], key=lambda digest: not asked.startswith(digest.partition("@")[0]))
    return str(digests[0] if digests else image["Id"])


def _raise_first_error(stream: Iterable[Mapping[str, Any]]) -> None:
    for item in stream:
        if "error" in item:
            raise _StreamError(item["error"])
