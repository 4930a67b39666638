"""The life of one process that serves: load, listen, follow, and on a signal finish what is under way."""

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnxruntime

from brakeline_serving import access, awaited, diary, origin, shadow
from brakeline_serving import model as models
from brakeline_serving.batch import Batcher
from brakeline_serving.bulk import Bulk
from brakeline_serving.connections import Connections
from brakeline_serving.counters import Counters
from brakeline_serving.dataplane import DataPlane
from brakeline_serving.doors import Doors
from brakeline_serving.errors import ModelRefused
from brakeline_serving.guard import Guard
from brakeline_serving.listeners import Listeners
from brakeline_serving.model import Model
from brakeline_serving.observe import Observer
from brakeline_serving.predictions import PredictionLog
from brakeline_serving.repository import Repository
from brakeline_serving.routes import Routes
from brakeline_serving.scrape import Scrape
from brakeline_serving.settings import Settings
from brakeline_serving.spin import Spinner
from brakeline_serving.store import Follower, Served
from brakeline_serving.tls import Certificate
from brakeline_serving.wishes import Wishes
from brakeline_serving.workers import Place

_RARELY = (50_000, 50, 100)  # searched for garbage: a body of many small parts would make the loop wait for it
_SWEEP_S = 1.0
_FIRST_LOOK_S = 10.0
# Clients that keep their connection get this long to send one more request and be told that it closes.
_LAST_CALL_S = 0.5
_DRAIN_S = 4.0  # with the rest it stays below the 5 s in which the server promises to end
_POLL_DRAINED_S = 0.02
_ERRORS_ONLY = 3  # onnxruntime's own lines on stderr are no JSON


class Worker:
    """One process's part of a server; the parts are put together here."""

    def __init__(self, settings: Settings, place: Place, listeners: Listeners) -> None:
        """Load a model served from a file and read the secrets. Raises ModelRefused, BadSecret."""
        onnxruntime.set_default_logger_severity(_ERRORS_ONLY)
        self._settings = settings
        self._listeners = listeners
        self._place = place
        self.loop = asyncio.get_running_loop()
        self._stop, self._hurry = asyncio.Event(), asyncio.Event()
        self._looked = asyncio.Event()
        counters = Counters(place.board, place.number)
        self._shadow = shadow.Shadow(counters)
        kept = settings.predictions
        self._log = PredictionLog(kept, settings.name, place.number, counters) if kept else None
        self._observer = Observer(counters, self._shadow, self._log)
        self.plane = DataPlane(
            settings.name, counters, Batcher(counters, self._observer, Bulk(counters), Spinner(settings.spin_s))
        )
        self.guard = Guard(settings.secrets.token)
        self.certificate = Certificate.of(settings.secrets)
        self._follower = self._new_follower(place.wishes)
        self._scrape = Scrape(settings.name, place.board, lambda: self.plane.served, self._settle)
        self._repository = Repository(self.plane, self._follower)
        self.routes = Routes(self.plane, self._scrape, self._repository, self.guard, settings.limits)
        self._access = access.AccessLog() if settings.access_log else None
        self._connections = Connections(self.routes, self.loop.time, settings.limits, self._access)
        watched = settings.watched
        self._doors = Doors(self.routes, self.loop.time, watched.secrets) if watched else None
        self._awaits = settings.file if settings.awaits and settings.file and not settings.file.exists() else None
        if settings.file is not None:
            self._adopt(awaited.nothing_yet(self._awaits) if self._awaits else Served(primary=self._load()))

    async def serve(self, listening: Callable[[], object]) -> None:
        """Serve until a signal, or until the other end of the parent's pipe closes."""
        for number in (signal.SIGTERM, signal.SIGINT):
            self.loop.add_signal_handler(number, self._on_signal)
        if self._settings.until_stdin_closes and self._place.parent is None:
            self._stop_when_closed(sys.stdin.fileno())
        if self._place.parent is not None:
            self._stop_when_closed(self._place.parent)
        self.loop.set_exception_handler(_report)
        if self._follower is not None:
            self._follower.start()
            await self._first_look()
        listener = self._listeners.tcp[self._place.number]
        spare = [socket.socket(fileno=os.dup(each.fileno())) for each in (listener, self._listeners.unix) if each]
        context = self.certificate.context if self.certificate else None
        servers = [await self.loop.create_server(self._connections, sock=listener, ssl=context, backlog=4096)]
        if self._listeners.unix is not None:
            servers.append(await self.loop.create_unix_server(self._connections, sock=self._listeners.unix))
        calls = await self._answer_calls()
        if self._doors is not None:
            await self._doors.open(self._listeners, self._place.number)
        tasks = [asyncio.create_task(self._sweep())]
        if self._awaits is not None:
            tasks.append(asyncio.create_task(awaited.follow(self._awaits, self._load, self._adopt)))
        # What is there now stays; and requests make no garbage that only a search would find.
        gc.freeze()
        gc.set_threshold(*_RARELY)
        listening()
        await self._stop.wait()
        await self._withdraw()
        diary.note("stopping", connections=len(self._connections.open))
        for task in tasks:
            task.cancel()
        for server in servers:
            server.close()
        await self._take_waiting(spare, context)
        ends = calls.stop(_DRAIN_S) if calls else asyncio.sleep(0)
        await asyncio.gather(self._drain(), ends)
        if self._doors is not None:
            self._doors.close()
        self._end()

    def _on_signal(self) -> None:
        """The first ends it, the next without more ado."""
        if self._stop.is_set():
            self._hurry.set()
        self._stop.set()

    async def _withdraw(self) -> None:
        """Go on for a while: whoever leads traffic here learns only now, and in its own time, that it ends."""
        seconds = self._settings.withdrawal_s
        if not seconds:
            return
        self.plane.is_leaving = True
        diary.note("withdrawing", seconds=seconds)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._hurry.wait(), seconds)

    def _load(self) -> Model:
        """The file's model. Raises ModelRefused."""
        assert self._settings.file is not None
        told = origin.read()
        model = models.load(self._settings.file, told.version, self._settings.name)
        if told.sha256 not in ("", model.sha256):
            allowed = f"{told.sha256[:64]}, of {origin.SHA256}"
            raise ModelRefused(self._settings.file, "sha256", f"found {model.sha256}, allowed {allowed}")
        if told.is_told:
            model.since_s = told.since_s
        return model

    async def _first_look(self) -> None:
        """Take no connection before what the store has is loaded: a worker among others would refuse what they answer.

        Whoever has connected waits in the kernel; not for ever, as a store may hang.
        """
        waits = [asyncio.create_task(event.wait()) for event in (self._looked, self._stop)]
        await asyncio.wait(waits, timeout=_FIRST_LOOK_S, return_when=asyncio.FIRST_COMPLETED)
        for each in waits:
            each.cancel()

    async def _answer_calls(self) -> Any:
        """Start gRPC, where it is wanted; its library is loaded for nobody else."""
        if self._listeners.grpc_port is None:
            return None
        from brakeline_serving import grpc_service  # noqa: PLC0415

        host = f"[{self._listeners.host}]" if ":" in self._listeners.host else self._listeners.host
        service = grpc_service.Service(self.plane, self._repository, self.guard)
        address, most_bytes = f"{host}:{self._listeners.grpc_port}", self._settings.limits.body_bytes
        return await grpc_service.start(service, address, self.certificate, most_bytes)

    def _new_follower(self, wishes: Wishes) -> Follower | None:
        if self._settings.store is None:
            return None

        # The follower has a thread of its own; what is served changes between two requests only.
        def adopt(served: Served) -> None:
            self.loop.call_soon_threadsafe(self._adopt, served)

        def looked() -> None:
            self.loop.call_soon_threadsafe(self._looked.set)

        folder = self._settings.store / self._settings.name
        return Follower(folder, adopt, wishes, looked, self._new_mirror(folder, wishes))

    def _new_mirror(self, folder: Path, wishes: Wishes) -> Any:
        if self._settings.remote is None:
            return None
        # Whoever follows a folder starts without these.
        from brakeline_serving.mirror import Mirror  # noqa: PLC0415
        from brakeline_serving.remote import Remote  # noqa: PLC0415

        return Mirror(Remote(self._settings.remote, self._settings.name), folder, wishes)

    def _adopt(self, served: Served) -> None:
        self._observer.settle()
        self.plane.adopt(served)
        self._shadow.model, self._shadow.primary = served.shadow, served.primary

    def _settle(self) -> None:
        self._observer.settle()
        self.plane.counters.set("connections", len(self._connections.open))

    async def _sweep(self) -> None:
        await asyncio.sleep(_SWEEP_S)
        await asyncio.to_thread(self._scrape.prepare)
        while True:
            await asyncio.sleep(_SWEEP_S)
            try:
                self._connections.expire()
                self._settle()
                self.guard.refresh()
                if self.certificate is not None:
                    self.certificate.refresh()
                if self._doors is not None:
                    await self._doors.sweep()
            except Exception:  # noqa: BLE001  a bug in one sweep must not be the last one's
                diary.error("bug", endpoint="sweep", traceback=traceback.format_exc())

    async def _take_waiting(self, spare: list[socket.socket], context: Any) -> None:
        """Take the connections that the kernel has made already, so that no client is cut off by the closing."""
        for listener in spare:
            listener.setblocking(False)
            while True:
                try:
                    made, _ = listener.accept()
                except OSError:
                    break
                made.setblocking(False)
                ssl = context if made.family != socket.AF_UNIX else None
                asyncio.ensure_future(self.loop.connect_accepted_socket(self._connections, made, ssl=ssl))  # noqa: RUF006
            listener.close()

    async def _drain(self) -> None:
        self._connections.draining = True
        await self._until_none(_LAST_CALL_S)
        self._connections.close_idle()
        await self._until_none(_DRAIN_S - _LAST_CALL_S)
        self._connections.abort()

    async def _until_none(self, seconds: float) -> None:
        deadline = self.loop.time() + seconds
        while self._connections.open and self.loop.time() < deadline:
            await asyncio.sleep(_POLL_DRAINED_S)

    def _end(self) -> None:
        self._settle()
        if self._follower is not None:
            self._follower.stop(timeout_s=0.2)
        if self._log is not None:
            self._log.close(timeout_s=1.0)
        if self._access is not None:
            self._access.close(timeout_s=1.0)
        self.plane.counters.set("connections", 0.0)
        diary.note("stopped")

    def _stop_when_closed(self, pipe: int) -> None:
        """A starter that is killed cannot signal; but the pipe it holds closes with it."""

        def read() -> None:
            if not os.read(pipe, 4096):
                self.loop.remove_reader(pipe)
                self._hurry.set()
                self._stop.set()

        self.loop.add_reader(pipe, read)


def _report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What asyncio would write to stderr in lines of its own."""
    error = context.get("exception")
    told = "".join(traceback.format_exception(error)) if isinstance(error, BaseException) else None
    if isinstance(error, OSError | ConnectionError):
        # A client's handshake that failed, or its connection: nobody here has to mend that.
        diary.note("client_lost", message=f"{type(error).__name__}: {error}")
        return
    diary.error("bug", message=str(context.get("message")), traceback=told)
