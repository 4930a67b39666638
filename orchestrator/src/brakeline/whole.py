"""Files that are whole or not there: replaced in one move, added to line by line; what cannot be written is told."""

import errno
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from brakeline.refusals import TRY_AGAIN, USAGE, Refused


class CannotWrite(Refused):
    """A file that the operating system does not let us write: 75 where the disk is full, which may pass, else 2."""

    def __init__(self, file: Path, error: OSError) -> None:
        advice = "; make room there, then make the same call again" if is_full(error) else ""
        code = TRY_AGAIN if is_full(error) else USAGE
        super().__init__(f"cannot write {file}: {error.strerror or error}{advice}", code)


def is_full(error: OSError) -> bool:
    """Whether it is the disk, or one's share of it, that has no room."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


@contextmanager
def staged(file: Path) -> Iterator[Path]:
    """A hidden file to write in a block, which takes the place of `file` at its end; a block that fails leaves none.

    Raises CannotWrite.
    """
    # It keeps the ending, which some writers go by.
    hidden = file.with_name(f".{os.getpid()}.{file.name}")
    try:
        yield hidden
        hidden.replace(file)
    except BaseException as error:
        with suppress(OSError):
            hidden.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise CannotWrite(file, error) from error
        raise


def replace_text(file: Path, text: str, on_disk: bool = False) -> None:
    """Make a file this text; `on_disk`: it is there also after a power cut. Raises CannotWrite."""
    with staged(file) as hidden, hidden.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        if on_disk:
            os.fsync(stream.fileno())
    if on_disk:
        folder = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def add(file: Path, text: str) -> None:
    """Add text at the end of a file, all of it or nothing. Raises CannotWrite."""
    try:
        with file.open("ab", buffering=0) as stream:
            before, content = stream.tell(), text.encode()
            try:
                while content:
                    content = content[stream.write(content) or 0 :]
            except OSError:
                stream.truncate(before)
                raise
    except OSError as error:
        raise CannotWrite(file, error) from error


class Log(io.TextIOBase):
    """A stream into a file that others print to: what cannot be written is left out, and nobody fails of it."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def write(self, text: str) -> int:
        """Add it to the file."""
        with suppress(CannotWrite):
            add(self._file, text)
        return len(text)
