"""The container engine, by the docker SDK. Errors in its streams are items, not exceptions: here they become ours."""

import json
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

    def labelled(self, label: str) -> list[dict[str, Any]]:
        """The images with a label (`name=value`), newest first."""
        found = self._api.images(filters={"label": label})
        return sorted(found, key=lambda image: int(image["Created"]), reverse=True)

    def load_root(self, tar: IO[bytes], reference: str, labels: Mapping[str, str]) -> None:
        """Make an image of a root file system."""
        repository, _, tag = reference.rpartition(":")
        changes = [f"LABEL {name}={json.dumps(value)}" for name, value in labels.items()]
        said = self._api.import_image_from_data(tar, repository=repository, tag=tag, changes=changes)
        errors = [item["error"] for item in map(json.loads, str(said).splitlines()) if "error" in item]
        if errors:
            raise BuildFailed(reference, errors[0])

    def build(
        self, context: IO[bytes], reference: str, arguments: Mapping[str, str], labels: Mapping[str, str]
    ) -> None:
        """Build a context without network. Raises BuildFailed with the builder's last words."""
        stream = self._api.build(
            fileobj=context, custom_context=True, tag=reference, rm=True, forcerm=True, decode=True,
            buildargs=dict(arguments), labels=dict(labels), network_mode="none",
        )  # fmt: skip
        words: list[str] = []
        for item in stream:
            words = [*words, item.get("stream", "").strip()][-8:]
            if "error" in item:
                raise BuildFailed(reference, " | ".join([*filter(None, words), item["error"]]))

    def pull(self, image: str) -> str:
        """Pull an image; returns its reference by digest. Raises BaseNotPullable."""
        repository, _, tag = image.rpartition(":") if ":" in image.rsplit("/", 1)[-1] else (image, "", "")
        try:
            _raise_first_error(self._api.pull(repository, tag=tag or None, stream=True, decode=True))
            found = self._api.inspect_image(image)
        except (APIError, OSError, _StreamError) as error:
            raise BaseNotPullable(image, str(error)[:300]) from error
        return pinned(found)

    def push(self, reference: str, registry: str) -> str:
        """Push an image to a registry; returns its reference there by digest. Raises PushFailed."""
        name, _, tag = reference.rpartition(":")
        repository = f"{registry.rstrip('/')}/{name}"
        digest = ""
        try:
            self._api.tag(reference, repository, tag)
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


def pinned(image: Mapping[str, Any]) -> str:
    """An image's name by content: its registry digest, or the engine's own id for one that no registry knows."""
    digests = image.get("RepoDigests") or []
    return str(digests[0] if digests else image["Id"])


def _raise_first_error(stream: Iterable[Mapping[str, Any]]) -> None:
    for item in stream:
        if "error" in item:
            raise _StreamError(item["error"])
