"""Doors for those who watch a server: metrics, and health, on ports of their own where no token is asked for.

Each lets a few paths through to the server's routes and knows no others. The door of the metrics speaks TLS where
it has a certificate, and opens when that is there: a cluster may sign it after the server's start.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from brakeline_serving import diary
from brakeline_serving.connections import Connections, Limits
from brakeline_serving.errors import BadSecret, ServingError, UnknownPath
from brakeline_serving.guard import stamp_of
from brakeline_serving.listeners import Listeners
from brakeline_serving.messages import Done, Request, Response
from brakeline_serving.routes import Routes
from brakeline_serving.settings import Secrets
from brakeline_serving.tls import Certificate

_HEALTH = (b"/v2/health/live", b"/v2/health/ready")
_LIMITS = Limits(body_bytes=64 * 1024, head_bytes=16 * 1024, all_bodies_bytes=1024 * 1024, connections=200)
_BACKLOG = 128


class _Through:
    """A `Service` of some of the routes' paths."""

    def __init__(self, routes: Routes, *paths: bytes) -> None:
        self._routes, self._paths = routes, frozenset(paths)

    def answer(self, request: Request, done: Done) -> Response | None:
        """Answer as the routes do, without a token and without reasons."""
        path = request.path.partition(b"?")[0]
        if path not in self._paths:
            return self.refuse(UnknownPath(path.decode("latin-1")))
        return self._routes.answer(request, done, at_door=True)

    def refusal(self, path: bytes, headers: dict[bytes, bytes]) -> ServingError | None:
        """Nobody's body need be received."""
        return UnknownPath(path.decode("latin-1")) if path.partition(b"?")[0] not in self._paths else None

    def refuse(self, error: ServingError) -> Response:
        """Answer what could not be read as a request, or has no path here."""
        return self._routes.refuse(error, "unknown" if isinstance(error, UnknownPath) else "unreadable")


class Doors:
    """One worker's doors. `secrets` has the certificate of the metrics' one, if it has any."""

    def __init__(self, routes: Routes, clock: Callable[[], float], secrets: Secrets) -> None:
        self._health = Connections(_Through(routes, *_HEALTH), clock, _LIMITS)
        self._metrics = Connections(_Through(routes, b"/metrics", *_HEALTH), clock, _LIMITS)
        self._secrets = secrets
        self._certificate: Certificate | None = None
        self._waiting: socket.socket | None = None
        self._tried: object = None
        self._servers: list[asyncio.Server] = []

    async def open(self, listeners: Listeners, worker: int) -> None:
        """Open what the server was asked for. Raises BadSecret for a certificate that is there and is none."""
        if listeners.health:
            await self._listen(self._health, listeners.health[worker], None)
        if not listeners.metrics:
            return
        self._waiting = listeners.metrics[worker]
        if self._secrets.certificate is None:
            await self._listen(self._metrics, self._waiting, None)
            self._waiting = None
        elif not await self._open_guarded():
            diary.note("metrics_awaited", file=self._secrets.certificate, message="no certificate yet, so no metrics")

    async def sweep(self) -> None:
        """End what takes too long, and follow the certificate."""
        for connections in (self._health, self._metrics):
            connections.expire()
        if self._certificate is not None:
            self._certificate.refresh()
        elif self._waiting is not None:
            try:
                if await self._open_guarded():
                    diary.note("metrics_opened", file=self._secrets.certificate)
            except BadSecret as error:
                diary.warn("metrics_awaited", message=str(error))

    def close(self) -> None:
        """Take no more connections, and cut off those that are there."""
        for server in self._servers:
            server.close()
        for connections in (self._health, self._metrics):
            connections.abort()

    async def _open_guarded(self) -> bool:
        chain, key = self._secrets.certificate, self._secrets.key
        assert chain is not None
        assert key is not None
        stamps = (stamp_of(chain), stamp_of(key))
        if None in stamps or stamps == self._tried:
            return False
        self._tried = stamps
        self._certificate = Certificate(chain, key)
        assert self._waiting is not None
        await self._listen(self._metrics, self._waiting, self._certificate.context)
        self._waiting = None
        return True

    async def _listen(self, connections: Connections, listener: socket.socket, context: Any) -> None:
        loop = asyncio.get_running_loop()
        self._servers.append(await loop.create_server(connections, sock=listener, ssl=context, backlog=_BACKLOG))
