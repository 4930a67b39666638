"""All open connections of a server, and what they may take: bytes, time, and how many they are."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from brakeline_serving.errors import ServingError, TooManyConnections
from brakeline_serving.heads import Heads
from brakeline_serving.messages import Service

if TYPE_CHECKING:
    from brakeline_serving.exchange import Exchange
    from brakeline_serving.http import Connection


@dataclass(frozen=True)
class Limits:
    """What one client may take."""

    body_bytes: int = 8 * 1024 * 1024
    head_bytes: int = 32 * 1024
    idle_s: float = 75.0
    receive_s: float = 30.0
    all_bodies_bytes: int = 512 * 1024 * 1024
    connections: int = 20_000


class Access(Protocol):
    """What is told of every answered request."""

    def note(self, exchange: "Exchange") -> None:
        """Tell of one."""


@dataclass
class Connections:
    """All open connections of a server; called for each new one."""

    service: Service
    clock: Callable[[], float]
    limits: Limits = field(default_factory=Limits)
    access: Access | None = None
    open: set["Connection"] = field(default_factory=set)
    heads: Heads = field(default_factory=Heads)
    draining: bool = False
    body_bytes: int = 0  # of requests that are being received

    def __call__(self) -> "Connection":
        """A new connection."""
        from brakeline_serving.http import Connection  # noqa: PLC0415  each knows the other

        return Connection(self)

    def add(self, connection: "Connection") -> ServingError | None:
        """Count a connection in; the reason why it is refused, if it is."""
        self.open.add(connection)
        return TooManyConnections(self.limits.connections) if len(self.open) > self.limits.connections else None

    def expire(self) -> None:
        """End the connections that were idle, or receiving one request, for too long."""
        now = self.clock()
        for connection in tuple(self.open):
            connection.expire(now)

    def close_idle(self) -> None:
        """Close the connections on which no request is under way."""
        for connection in tuple(self.open):
            connection.close_if_idle()

    def abort(self) -> None:
        """Cut all connections off."""
        for connection in tuple(self.open):
            connection.transport.abort()
