"""The sockets that a server listens on: one TCP socket per worker on each port, and one at a path.

They are made before the workers are forked and stay open in the parent, so that the connections that wait for a worker
which was killed wait for the next one instead of being reset.
"""

import contextlib
import os
import socket
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from brakeline_serving.errors import CannotListen
from brakeline_serving.guard import stamp_of
from brakeline_serving.settings import Settings

BACKLOG = 4096


@dataclass
class Listeners:
    """The TCP sockets, one for each worker, and the one at a path, which all workers share.

    `metrics` and `health` are those of who watches; they are bound, and listen when a worker opens them.
    """

    host: str
    tcp: list[socket.socket]
    path: Path | None = None
    unix: socket.socket | None = None
    grpc_port: int | None = None
    made: tuple[int, int, int] | None = None  # what tells the socket at the path from another's
    metrics: list[socket.socket] = field(default_factory=list)
    health: list[socket.socket] = field(default_factory=list)
    _reserved: list[socket.socket] = field(default_factory=list)

    @property
    def port(self) -> int:
        """The TCP port."""
        return port_of(self.tcp)

    def close(self) -> None:
        """Close this process's copies."""
        for listener in (*self.tcp, *self._reserved, *self.metrics, *self.health, *([self.unix] if self.unix else ())):
            listener.close()

    def keep_only(self, worker: int) -> None:
        """Close this process's copies of the other workers' sockets."""
        for listeners in (self.tcp, self.metrics, self.health):
            for other, listener in enumerate(listeners):
                if other != worker:
                    listener.close()

    def remove_path(self) -> None:
        """Take the path away, unless another server has put its own socket there."""
        if self.path is not None and stamp_of(self.path) == self.made:
            self.path.unlink(missing_ok=True)


def listen(settings: Settings) -> Listeners:
    """Listen. Raises CannotListen for an address that cannot be had."""
    host, path, watched = settings.host, settings.unix_socket, settings.watched
    listeners = Listeners(host, _all_bound(host, settings.port, settings.workers), path)
    try:
        for listener in listeners.tcp:
            listener.listen(BACKLOG)
        if path is not None:
            listeners.unix = _at_path(path)
            listeners.made = stamp_of(path)
        if settings.grpc_port is not None:
            listeners.grpc_port = _reserve(listeners, host, settings.grpc_port)
        if watched is not None and watched.metrics_port is not None:
            listeners.metrics = _all_bound(watched.host, watched.metrics_port, settings.workers)
        if watched is not None and watched.health_port is not None:
            listeners.health = _all_bound(watched.host, watched.health_port, settings.workers)
    except CannotListen:
        listeners.close()
        listeners.remove_path()
        raise
    except OSError as error:
        listeners.close()
        raise CannotListen(host, settings.port, str(error)) from error
    return listeners


def port_of(listeners: Sequence[socket.socket]) -> int:
    """The port that sockets share."""
    return int(listeners[0].getsockname()[1])


def _all_bound(host: str, port: int, workers: int) -> list[socket.socket]:
    """A socket for each worker at one address."""
    made: list[socket.socket] = []
    try:
        family, address = _resolve(host, port)
        if workers > 1:
            _refuse_taken(family, address)
        for _ in range(workers):
            made.append(_bound(family, address, reuse=workers > 1))
            address = made[0].getsockname()
    except OSError as error:
        for listener in made:
            listener.close()
        raise CannotListen(host, port, str(error)) from error
    return made


def _resolve(host: str, port: int) -> tuple[int, tuple[object, ...]]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, address = found[0]
    return family, address


def _bound(family: int, address: tuple[object, ...], *, reuse: bool) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.setblocking(False)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    return listener


def _refuse_taken(family: int, address: tuple[object, ...]) -> None:
    """Sockets that share a port would share it with another server, too, and its clients. Raises OSError."""
    _bound(family, address, reuse=False).close()


def _at_path(path: Path) -> socket.socket:
    """A socket at a path; one that an earlier life left there is replaced, anything else stays."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISSOCK(path.stat().st_mode) and not _answers(path):
                path.unlink()
        listener.setblocking(False)
        listener.bind(os.fspath(path))
        path.chmod(0o660)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise CannotListen(str(path), 0, str(error)) from error
    return listener


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        try:
            caller.connect(os.fspath(path))
        except OSError:
            return False
        return True


def _reserve(listeners: Listeners, host: str, port: int) -> int:
    """Find or check the port of gRPC, whose library makes sockets of its own: it is bound here, never listened on."""
    try:
        family, address = _resolve(host, port)
        _refuse_taken(family, address)
        reserved = _bound(family, address, reuse=True)
    except OSError as error:
        raise CannotListen(host, port, str(error)) from error
    listeners._reserved.append(reserved)
    return int(reserved.getsockname()[1])


def url_of(listeners: Listeners, scheme: str) -> str:
    """The address as clients write it."""
    host = f"[{listeners.host}]" if ":" in listeners.host else listeners.host
    return f"{scheme}://{host}:{listeners.port}"
