"""A compose project of this repository: `up` and what came of it."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest

from tests import engine
from tests.conftest import HOUSE

PATIENCE_S = 400
# Enough rows for a model that passes; a free port for the server.
# Sizes as the CLI derives them: two faulty rows for three of the holdout.
PASSING = {
    "BRAKELINE_ROWS": "120000",
    "BRAKELINE_HOLDOUT_ROWS": "40000",
    "BRAKELINE_FAULTY_ROWS": "26666",
    "BRAKELINE_TRIALS": "1",
}
REFUSED = {
    "BRAKELINE_ROWS": "1000",
    "BRAKELINE_HOLDOUT_ROWS": "1000",
    "BRAKELINE_FAULTY_ROWS": "666",
    "BRAKELINE_TRIALS": "1",
}
FREE_PORTS = {"BRAKELINE_PORT": "0", "BRAKELINE_PROMETHEUS_PORT": "0"}
PROFILES = ("smoke", "store", "monitoring")
FLAVOURS = {"1.29": ["docker-compose"], "v2": ["docker", "compose"]}


@dataclass(frozen=True)
class Done:
    """How a compose command ended."""

    code: int
    out: str


@dataclass(frozen=True)
class Project:
    """One project under one Compose; `down` removes all of it."""

    program: list[str]
    name: str
    settings: dict[str, str] = field(default_factory=dict)

    def call(self, *words: str, settings: dict[str, str] | None = None) -> Done:
        """Run a compose command on the project."""
        environment = {**os.environ, **FREE_PORTS, **self.settings, **(settings or {})}
        command = [*self.program, "--project-name", self.name, *words]
        done = subprocess.run(
            command,
            cwd=HOUSE,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        return Done(done.returncode, done.stdout)

    def container(self, service: str) -> Any:
        """The service's one container."""
        label = [f"com.docker.compose.project={self.name}", f"com.docker.compose.service={service}"]
        (found,) = engine.client().containers.list(all=True, filters={"label": label})
        return found

    def was_started(self, service: str) -> bool:
        """Whether the service ever ran; 1.29 makes no container for what it does not come to, v2 one that waits."""
        label = [f"com.docker.compose.project={self.name}", f"com.docker.compose.service={service}"]
        return any(
            found.status != "created" for found in engine.client().containers.list(all=True, filters={"label": label})
        )

    def results(self, service: str) -> list[dict[str, Any]]:
        """What a step printed as its results, one for each time it was started."""
        lines = self.container(service).logs(stdout=True, stderr=False).decode().splitlines()
        return [json.loads(line) for line in lines]

    def sha256(self, service: str, artifact: str) -> str:
        """The sha256 that a step reported of an artifact."""
        return str(self.results(service)[-1]["artifacts"][artifact]["metadata"]["sha256"])

    def down(self) -> None:
        """Remove containers, volumes and networks."""
        profiles = [word for profile in PROFILES for word in ("--profile", profile)]
        self.call(*profiles, "down", "--volumes", "--remove-orphans", "--timeout", "2")


@cache
def _works(flavour: str) -> bool:
    words = FLAVOURS[flavour]
    found = shutil.which(words[0]) is not None
    return found and subprocess.run([*words, "version"], capture_output=True, check=False).returncode == 0


def program(flavour: str) -> list[str]:
    """The command of a Compose, or a skip."""
    if not _works(flavour):
        pytest.skip(f"Compose {flavour} is not installed: {' '.join(FLAVOURS[flavour])} does not answer")
    return FLAVOURS[flavour]


def any_program() -> list[str]:
    """Whichever Compose is here, or a skip."""
    return program(next(filter(_works, FLAVOURS), "v2"))
