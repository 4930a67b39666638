"""The body of a request that is being received, within what one client may take and all of them together."""

from typing import TYPE_CHECKING

from brakeline_serving.errors import BodyTooLarge, Overloaded, ServingError

if TYPE_CHECKING:
    from brakeline_serving.connections import Connections

LARGE_BYTES = 64 * 1024  # from here on a body is not received in vain, if its head says that it would be refused


class Body:
    """One connection's: added to part by part, then taken or dropped."""

    __slots__ = ("_connections", "_parts", "size")

    def __init__(self, connections: "Connections") -> None:
        self._connections = connections
        self._parts: list[bytes] = []
        self.size = 0

    def add(self, part: bytes) -> ServingError | None:
        """Keep a part; returns why it is too much, if it is."""
        limits = self._connections.limits
        self.size += len(part)
        self._connections.body_bytes += len(part)
        if self.size > limits.body_bytes:
            return BodyTooLarge(limits.body_bytes)
        if self._connections.body_bytes > limits.all_bodies_bytes:
            return Overloaded("bytes of bodies", limits.all_bodies_bytes)
        self._parts.append(part)
        return None

    def take(self) -> bytes:
        """The whole body, which is another's from now on."""
        whole = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self.drop()
        return whole

    def drop(self) -> None:
        """Forget what is there."""
        self._connections.body_bytes -= self.size
        self._parts = []
        self.size = 0
