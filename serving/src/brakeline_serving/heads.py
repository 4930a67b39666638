"""Request heads that were parsed before: a client repeats itself, so most heads are known byte for byte.

Only what the HTTP parser itself accepted is kept, and only in its plainest form (HTTP/1.1, kept open, no chunks,
nothing expected): for the same bytes the parser would say the same again.
"""

from dataclasses import dataclass

KEPT_HEADERS = frozenset(
    (
        *(b"content-length", b"transfer-encoding", b"content-encoding", b"accept-encoding", b"if-none-match"),
        *(b"expect", b"inference-header-content-length", b"authorization", b"traceparent", b"origin", b"host"),
    )
)
MOST_HEADS = 1024
LONGEST_HEAD_BYTES = 4096
_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Head:
    """What a head says; `length` is the body's, in bytes."""

    method: str
    path: bytes
    headers: dict[bytes, bytes]
    length: int


class Heads:
    """A bounded memory of heads by their bytes."""

    def __init__(self) -> None:
        self._known: dict[bytes, Head] = {}

    def find(self, data: bytes, start: int) -> tuple[Head, int] | None:
        """The known head that begins at `start`, and where its body begins; None leaves it to the parser."""
        end = data.find(_END, start, start + LONGEST_HEAD_BYTES)
        if end < 0:
            return None
        end += len(_END)
        head = self._known.get(data[start:end])
        return None if head is None else (head, end)

    def first_of(self, data: bytes) -> bytes:
        """The head that data begins with, empty where it is not whole or does not begin at once."""
        end = data.find(_END, 0, LONGEST_HEAD_BYTES)
        return data[: end + len(_END)] if end > 0 and data[:1].isalpha() else b""

    def keep(self, data: bytes, head: Head) -> None:
        """Remember a head; when there are too many, all are forgotten, which costs one parse each."""
        if len(self._known) >= MOST_HEADS:
            self._known.clear()
        self._known[data] = head
