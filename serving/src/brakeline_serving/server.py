"""A server from its start to its exit code: alone in this process, or as the parent of several workers."""

import json
import os
import resource
from collections.abc import Callable
from pathlib import Path

import uvloop

from brakeline_serving import diary, listeners, workers
from brakeline_serving.cells import Board
from brakeline_serving.errors import BadSecret, CannotKeep, CannotListen, ModelRefused
from brakeline_serving.listeners import Listeners
from brakeline_serving.settings import Settings
from brakeline_serving.wishes import Wishes
from brakeline_serving.workers import Place


def run(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit code."""
    _allow_many_files()
    if settings.ready_file is not None:
        settings.ready_file.unlink(missing_ok=True)  # an earlier life's
    try:
        listening = listeners.listen(settings)
    except CannotListen as error:
        return _not_serving(error)
    try:
        if settings.workers > 1:
            return workers.run(settings, listening, lambda: announce(settings, listening))
        return serve(settings, listening)
    finally:
        listening.remove_path()


def _allow_many_files() -> None:
    """Every connection is an open file, of which the usual limit allows a thousand."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def serve(settings: Settings, listening: Listeners) -> int:
    """Serve in this process alone; returns the exit code."""
    place = Place(Board(), Wishes(), 0, None)
    return serve_as_worker(settings, listening, place, lambda: announce(settings, listening))


def serve_as_worker(settings: Settings, listening: Listeners, place: Place, ready: Callable[[], object]) -> int:
    """Serve in this process, one of several perhaps; `ready` is called when it does. Returns the exit code."""

    async def live() -> None:
        from brakeline_serving.worker import Worker  # noqa: PLC0415  a parent of workers does without

        await Worker(settings, place, listening).serve(ready)

    try:
        uvloop.run(live())
    except (ModelRefused, BadSecret, CannotListen, CannotKeep) as error:
        return _not_serving(error)
    return 0


def _not_serving(error: CannotListen | CannotKeep | ModelRefused | BadSecret) -> int:
    diary.error("not_serving", message=str(error), exit_code=error.exit_code)
    return error.exit_code


def announce(settings: Settings, listening: Listeners) -> None:
    """Say where the server is, on stdout, in the diary and in the ready file."""
    url = listeners.url_of(listening, "https" if settings.secrets.certificate else "http")
    said = {"url": url}
    if listening.grpc_port is not None:
        said["grpc"] = f"{listening.host}:{listening.grpc_port}"
    if settings.watched is not None:
        for name, doors in (("metrics", listening.metrics), ("health", listening.health)):
            if doors:
                said[name] = f"{settings.watched.host}:{listeners.port_of(doors)}"
    print(json.dumps({"status": "listening", **said}), flush=True)
    diary.note("listening", **said)
    if settings.ready_file is not None:
        _write(settings.ready_file, url)


def _write(file: Path, text: str) -> None:
    staged = file.with_name(f".{file.name}.{os.getpid()}")
    staged.write_text(text)
    staged.replace(file)
