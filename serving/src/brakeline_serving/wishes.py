"""What requests asked the repository for, beside what `serving.json` says: one record that all workers follow.

It lies in an unnamed file that the workers inherit. It outlives a worker, and ends with the server.
"""

import fcntl
import os
from collections.abc import Callable

import msgspec

_BYTES, _TRIES = 4096, 100
Stamp = tuple[int, int, int] | None


class Wish(msgspec.Struct, frozen=True):
    """Versions loaded by request, and the pointer that a request took out of service, if it is still that one.

    `sequence` counts the changes; `retry` those that want refused files looked at again.
    """

    sequence: int = 0
    retry: int = 0
    loaded: tuple[str, ...] = ()
    unloaded: Stamp = None
    is_unloaded: bool = False


class Wishes:
    """The record; may be used by several processes and threads at once."""

    def __init__(self) -> None:
        self._file = os.memfd_create("wishes")

    def read(self) -> Wish:
        """What is wished at present."""
        for _ in range(_TRIES):
            content = os.pread(self._file, _BYTES, 0)
            try:
                return msgspec.json.decode(content, type=Wish) if content else Wish()
            except ValueError:
                continue  # it was being written
        raise ValueError("the record of wishes cannot be read")

    def change(self, change: Callable[[Wish], Wish]) -> Wish:
        """Replace the record by a change of it; the sequence is counted here."""
        fcntl.lockf(self._file, fcntl.LOCK_EX)
        try:
            before = self.read()
            after = msgspec.structs.replace(change(before), sequence=before.sequence + 1)
            os.pwrite(self._file, msgspec.json.encode(after).ljust(_BYTES), 0)
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN)
        return after
