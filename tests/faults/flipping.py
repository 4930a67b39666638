"""Bytes flipped in a file, one bit at a place."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def places(size: int) -> list[int]:
    """The first, a middle and the last byte."""
    return sorted({0, size // 2, size - 1})


@contextmanager
def flipped(file: Path, place: int) -> Iterator[None]:
    """A file with one bit of one byte turned for the time of a block."""
    whole = file.read_bytes()
    file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    try:
        yield
    finally:
        file.write_bytes(whole)


def files_of(artifact: Path) -> list[Path]:
    """The files of an artifact that its hash covers."""
    if artifact.is_file():
        return [artifact]
    return [file for file in sorted(artifact.rglob("*")) if file.is_file() and not file.name.startswith(".")]
