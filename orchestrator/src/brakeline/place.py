"""Where a run takes place: how its steps are started, with which images, and a server for the time of the run."""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from brakeline import images

_SECONDS_TO_LISTEN = 30.0
_SERVING_PORT = 8080
_LOOPBACK = {"localhost", "127.0.0.1", "[::1]", "::1"}


class Runner(StrEnum):
    """Where steps run."""

    AUTO = "auto"
    PROCESS = "process"
    DOCKER = "docker"


class ServerFailed(Exception):
    """The server did not start; the message holds its last words."""


class NoEngine(Exception):
    """Containers were asked for, and no engine answers."""


@dataclass(frozen=True)
class Address:
    """The server's URL as people reach it, and as steps do."""

    people: str
    steps: str


class Place(Protocol):
    """A runner, its images and its server."""

    images: Mapping[str, str]

    def launcher(self, state: Path, run_id: str, server: str) -> Any:
        """How steps of a run are started."""

    def server(self, store: Path, log: Path, port: int) -> contextlib.AbstractContextManager[Address]:
        """A server on a model store, up until the end of the block. Raises ServerFailed."""


def choose(wanted: Runner, tell: Callable[[str], None]) -> Place:
    """The place of a run: `auto` takes containers where an engine answers and the images are current.

    Raises NoEngine, brakeline.images.NotBuilt.
    """
    if wanted == Runner.PROCESS:
        return OnThisMachine()
    try:
        named = images.for_containers()
        return InContainers(engine(), named)
    except (NoEngine, images.NotBuilt) as error:
        if wanted == Runner.DOCKER:
            raise
        tell(f"steps run as processes ({error})")
        return OnThisMachine()


class OnThisMachine:
    """Steps and server as processes of this environment."""

    def __init__(self) -> None:
        self.images: Mapping[str, str] = images.for_processes()

    def launcher(self, state: Path, run_id: str, server: str) -> Any:
        """Processes need no more than the environment."""
        from brakeline.process import Processes  # noqa: PLC0415  loads kfp

        return Processes()

    @contextmanager
    def server(self, store: Path, log: Path, port: int) -> Iterator[Address]:
        """The server as a process."""
        store.mkdir(parents=True, exist_ok=True)
        script = Path(sys.executable).parent / "brakeline-serving"
        with tempfile.TemporaryDirectory() as folder, log.open("ab") as stream:
            ready = Path(folder) / "ready"
            command = [str(script), "--model-store", str(store), "--port", str(port), "--ready-file", str(ready)]
            # A session of its own: Ctrl-C ends the run first, and the server after it. The pipe closes, and the
            # server ends, also when this process is killed.
            child = subprocess.Popen(
                [*command, "--until-stdin-closes"],
                stdin=subprocess.PIPE,
                # Its one line is in the log too, and a full disk would keep it from starting.
                stdout=subprocess.DEVNULL,
                stderr=stream,
                start_new_session=True,
            )
            try:
                _await(ready.exists, lambda: child.poll() is None, lambda: log.read_text(errors="replace"))
                url = ready.read_text(encoding="utf-8").strip()
                yield Address(url, url)
            finally:
                child.terminate()
                try:
                    child.wait(10)
                except subprocess.TimeoutExpired:
                    child.kill()


class InContainers:
    """Steps and server as containers, on a network of their own."""

    def __init__(self, client: Any, named: Mapping[str, str]) -> None:
        self._client = client
        self.images: Mapping[str, str] = named
        self._network = ""

    def launcher(self, state: Path, run_id: str, server: str) -> Any:
        """Containers; where the server is this machine's, those that ask it share the machine's network."""
        from brakeline.containers import Containers  # noqa: PLC0415  loads kfp

        of_this_machine = urlsplit(server).hostname in _LOOPBACK
        return Containers(state, run_id, "host" if of_this_machine else self._network or "bridge")

    @contextmanager
    def server(self, store: Path, log: Path, port: int) -> Iterator[Address]:
        """The server as a container: the steps reach it by name, people by a port of this machine's loopback."""
        from brakeline.containers import HARDENED, caller  # noqa: PLC0415  loads kfp

        store.mkdir(parents=True, exist_ok=True)
        name = f"brakeline-{os.getpid()}-{os.urandom(3).hex()}"
        network = self._client.networks.create(name, labels={"brakeline": "run"})
        container = None
        try:
            container = self._client.containers.create(
                self.images[images.SERVING],
                ["brakeline-serving", "--model-store", str(store), "--host", "0.0.0.0", "--port", str(_SERVING_PORT),  # noqa: S104
                 "--insecure", "--until-stdin-closes"],
                user=caller(), ports={_SERVING_PORT: ("127.0.0.1", port or None)}, stdin_open=True,
                volumes={str(store): {"bind": str(store), "mode": "ro"}}, labels={"brakeline": "run"},
                # The steps find it by this name. It has no underscore: the C library resolves no such name.
                network=name, name=name, **HARDENED,
            )  # fmt: skip
            # The engine closes the container's stdin, and the server ends, also when this process is killed.
            held = container.attach_socket(params={"stdin": 1, "stream": 1})
            container.start()
            container.reload()
            published = container.ports[f"{_SERVING_PORT}/tcp"][0]["HostPort"]
            address = Address(f"http://127.0.0.1:{published}", f"http://{name}:{_SERVING_PORT}")
            _await(lambda: _is_live(address.people), lambda: _is_running(container), lambda: container.logs().decode())
            self._network = name
            yield address
            held.close()
        finally:
            self._network = ""
            if container is not None:
                with log.open("ab") as stream:
                    stream.write(container.logs())
                container.remove(force=True)
            network.remove()


def engine() -> Any:
    """A client of the container engine. Raises NoEngine."""
    try:
        import docker  # noqa: PLC0415  an extra of this package
        from docker.errors import DockerException  # noqa: PLC0415
    except ImportError as error:
        raise NoEngine("the docker package is not installed: pip install 'brakeline[docker]'") from error
    try:
        client = docker.from_env()
        client.ping()
    except (DockerException, OSError) as error:
        raise NoEngine("no container engine answers") from error
    return client


def tags(client: Any) -> set[str]:
    """Those of all images, asked for at once: the engine's client looks at each, and fails where one goes meanwhile."""
    return {tag for image in client.api.images() for tag in image["RepoTags"] or []}


def _is_live(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/v2/health/live", timeout=1) as answer:  # noqa: S310  our own address
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _is_running(container: Any) -> bool:
    container.reload()
    return bool(container.status == "running")


def _await(is_up: Callable[[], bool], is_alive: Callable[[], bool], words: Callable[[], str]) -> None:
    deadline = time.monotonic() + _SECONDS_TO_LISTEN
    while not is_up():
        if not is_alive() or time.monotonic() > deadline:
            last = words().splitlines()[-3:]
            raise ServerFailed(f"the server did not start: {' '.join(last) or 'no word'}")
        time.sleep(0.02)
