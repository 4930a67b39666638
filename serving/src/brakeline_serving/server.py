"""The server's life: listen, follow the store, serve until a signal comes, then finish what is under way."""

import asyncio
import json
import os
import signal
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnxruntime
import uvloop

from brakeline_serving import diary
from brakeline_serving import model as models
from brakeline_serving.dataplane import DataPlane
from brakeline_serving.errors import CannotListen, ModelRefused
from brakeline_serving.http import Connections
from brakeline_serving.metrics import Metrics
from brakeline_serving.routes import Routes
from brakeline_serving.store import Follower, Served

FILE_VERSION = "1"  # of a model that is served from a file, without a store

_BACKLOG = 4096
_SWEEP_S = 1.0
# Clients that keep their connection get this long to send one more request and be told that it closes.
_LAST_CALL_S = 0.5
_DRAIN_S = 4.0  # with the rest it stays below the 5 s in which the server promises to end
_POLL_DRAINED_S = 0.02
_ERRORS_ONLY = 3  # onnxruntime's own lines on stderr are no JSON


@dataclass(frozen=True)
class Settings:
    """How to serve: exactly one of `store` and `file`, and port 0 for any free one."""

    name: str
    store: Path | None
    file: Path | None
    host: str
    port: int
    ready_file: Path | None
    until_stdin_closes: bool = False


def run(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit code."""
    onnxruntime.set_default_logger_severity(_ERRORS_ONLY)
    try:
        uvloop.run(_serve(settings))
    except (CannotListen, ModelRefused) as error:
        diary.error("not_serving", message=str(error), exit_code=error.exit_code)
        return error.exit_code
    return 0


async def _serve(settings: Settings) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if settings.until_stdin_closes:
        _stop_when_stdin_closes(loop, stop)
    loop.set_exception_handler(_report)
    metrics = Metrics()
    plane = DataPlane(settings.name, metrics)
    if settings.file is not None:
        plane.adopt(Served(primary=models.load(settings.file, FILE_VERSION)))
    connections = Connections(Routes(plane, metrics), loop.time)
    if settings.ready_file is not None:
        settings.ready_file.unlink(missing_ok=True)  # an earlier life's
    listener = await _listen(settings, connections)
    _announce(_url_of(settings.host, listener), settings.ready_file)
    follower = _follow(settings, loop, plane)
    sweeper = asyncio.create_task(_sweep(connections))
    await stop.wait()
    diary.note("stopping", connections=len(connections.open))
    sweeper.cancel()
    listener.close()
    await _drain(connections)
    if follower is not None:
        follower.stop(timeout_s=0.2)
    diary.note("stopped")


def _stop_when_stdin_closes(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """A starter that is killed cannot signal; but the pipe it holds closes with it."""
    stdin = sys.stdin.fileno()

    def read() -> None:
        if not os.read(stdin, 4096):
            loop.remove_reader(stdin)
            stop.set()

    loop.add_reader(stdin, read)


def _report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What asyncio would write to stderr in lines of its own."""
    error = context.get("exception")
    told = "".join(traceback.format_exception(error)) if isinstance(error, BaseException) else None
    diary.error("bug", message=str(context.get("message")), traceback=told)


async def _listen(settings: Settings, connections: Connections) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    try:
        return await loop.create_server(connections, settings.host, settings.port, backlog=_BACKLOG)
    except OSError as error:
        raise CannotListen(settings.host, settings.port, str(error)) from error


def _url_of(host: str, listener: asyncio.Server) -> str:
    port = listener.sockets[0].getsockname()[1]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _announce(url: str, ready_file: Path | None) -> None:
    print(json.dumps({"status": "listening", "url": url}), flush=True)
    diary.note("listening", url=url)
    if ready_file is not None:
        staged = ready_file.with_name(f".{ready_file.name}.{os.getpid()}")
        staged.write_text(url)
        staged.replace(ready_file)


def _follow(settings: Settings, loop: asyncio.AbstractEventLoop, plane: DataPlane) -> Follower | None:
    if settings.store is None:
        return None
    follower = Follower(
        settings.store / settings.name,
        # The follower has a thread of its own; what is served changes between two requests only.
        adopt=lambda served: loop.call_soon_threadsafe(plane.adopt, served),
    )
    follower.start()
    return follower


async def _sweep(connections: Connections) -> None:
    while True:
        await asyncio.sleep(_SWEEP_S)
        connections.expire()


async def _drain(connections: Connections) -> None:
    connections.draining = True
    await _until_none(connections, _LAST_CALL_S)
    connections.close_idle()
    await _until_none(connections, _DRAIN_S - _LAST_CALL_S)
    connections.abort()


async def _until_none(connections: Connections, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while connections.open and loop.time() < deadline:
        await asyncio.sleep(_POLL_DRAINED_S)
