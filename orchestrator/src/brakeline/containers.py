"""Steps as containers of the locked images, by kfp.local's DockerRunner, hardened and with a truthful exit status.

kfp 2.17's own `run_docker_container` lets the engine remove a container at its end and reads one that is gone as a
success, so that some failures pass for none. Here a container is removed after its status was read.
"""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from docker.errors import APIError, NotFound
from kfp import local

from brakeline import revision
from brakeline.handed import by_file
from brakeline.local import TERMINATED, Attempt, LocalRunner
from brakeline.platform import TABLE, Needs
from brakeline.process import share_of_cores

# What OpenShift's restricted-v2 asks of a pod, and no network.
HARDENED = {
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
    "tmpfs": {"/tmp": "mode=1777"},  # noqa: S108  the container's own, in memory
}
RUN_LABEL = "brakeline.run"
# The environment's key files, each for the one step that reads it.
KEYS = {"register": "BRAKELINE_SIGNING_KEY", "deploy": "BRAKELINE_VERIFY_KEY"}


@dataclass(frozen=True)
class Containers:
    """Starts a step's container as the calling user; state is mounted, and a network given, where a step needs it."""

    state: Path
    run_id: str
    network: str
    name: str = "docker"
    revision: str = field(default_factory=revision.here)

    def runner(self) -> local.DockerRunner:
        """kfp.local's settings."""
        return local.DockerRunner(user=caller(), labels={RUN_LABEL: self.run_id}, **HARDENED)

    def replacements(self, run: LocalRunner) -> dict[str, Any]:
        """A run of a container that tells the truth in place of kfp's."""

        def run_container(client: Any, image: str, command: list[str], volumes: dict[str, Any], **settings: Any) -> int:
            # The run's folder is in the pipeline root, which is mounted where it is.
            words = by_file(command, run.record.folder)
            return run.carry_out(
                lambda attempt: _Container(client, image, words, self._settings(attempt, volumes, settings))
            )

        return {"run_docker_container": run_container}

    def _settings(self, attempt: Attempt, volumes: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
        needs, mode = TABLE.get(attempt.name, Needs()), next(iter(volumes.values()))["mode"]
        mounts = dict(volumes)
        for place in needs.state:
            folder = (self.state / place).resolve()
            folder.mkdir(parents=True, exist_ok=True)
            mounts[str(folder)] = {"bind": str(folder), "mode": mode}
        network = self.network if needs.network else "none"
        told = {revision.REVISION: self.revision, **share_of_cores(attempt.in_loop)}
        if key := os.environ.get(variable := KEYS.get(attempt.name, ""), ""):
            # A file that is not there is told by the step: nothing is deployed without the key that was named.
            told[variable], here = f"/run/secrets/{variable}", Path(key).resolve()
            if here.is_file():
                mounts[str(here)] = {"bind": told[variable], "mode": "ro"}
        environment = {**settings.get("environment", {}), **told}
        return {**settings, "volumes": mounts, "network_mode": network, "environment": environment}


class _Container:
    """A step as a container."""

    def __init__(self, client: Any, image: str, command: list[str], settings: dict[str, Any]) -> None:
        self._container = client.containers.create(image, command, detach=True, **settings)
        try:
            self._container.start()
        except BaseException:
            self._container.remove(force=True)
            raise

    def diary(self) -> Iterator[str]:
        rest = b""
        for chunk in self._container.logs(stream=True, follow=True, stdout=False, stderr=True):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                yield line.decode(errors="replace")
        if rest:
            yield rest.decode(errors="replace")

    def wait(self) -> int:
        try:
            return int(self._container.wait()["StatusCode"])
        except NotFound:
            # Gone before its status was read: whatever removed it, nothing says that the step succeeded.
            return TERMINATED
        finally:
            self._remove()

    def end(self, within_s: float) -> None:
        with contextlib.suppress(APIError):
            self._container.stop(timeout=int(within_s))
        self._remove()

    def _remove(self) -> None:
        # Whoever waits for it and whoever ends it may both come to remove it.
        with contextlib.suppress(APIError):
            self._container.remove(force=True)


def caller() -> str:
    """The calling user with group 0, as on OpenShift: what a step writes belongs to whoever ran it."""
    return f"{os.getuid()}:0"
