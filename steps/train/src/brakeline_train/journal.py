"""A journal of finished trials, so that a killed shard of a search goes on where it was when its call is repeated.

JSON lines: the key of the call first, then a line per trial. It lies beside the output, on this machine's disk: a pod
that is started anew elsewhere finds none and starts from the first trial.
"""

import hashlib
import json
import os
import platform
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

import stepkit
from stepkit import artifacts, diary, reuse

# What the scores of a trial depend on beside our own code.
_LIBRARIES = ("numpy", "polars", "scikit-learn", "scipy")


class Journal:
    """Finished trials of one call: those found, and a way to add more."""

    def __init__(self, stream: IO[bytes], found: list[dict[str, Any]]) -> None:
        self._stream = stream
        self.found = found

    def add(self, entry: dict[str, Any]) -> None:
        """Keep one more, on the disk before this returns."""
        self._stream.write(_line(entry))
        self._stream.flush()
        os.fsync(self._stream.fileno())


@contextmanager
def kept(staged: Path, dataset: Path, **call: Any) -> Iterator[Journal]:
    """The journal beside the output that is staged at `staged`; one of another call, dataset or code is replaced.

    Raises TryAgain when the disk is full.
    """
    file = artifacts.resume_path(staged)
    told = json.dumps({**call, "dataset": artifacts.sha256_of(dataset), "code": _code()}, sort_keys=True, default=vars)
    key = {"key": hashlib.sha256(told.encode()).hexdigest()}
    found, whole_bytes = _read(file, key)
    # Around the file: closing it writes once more what a full disk did not take.
    with artifacts.writing(file), file.open("r+b" if whole_bytes else "wb") as stream:
        # A torn last line must not run into the next one.
        stream.truncate(whole_bytes)
        stream.seek(whole_bytes)
        journal = Journal(stream, found)
        if not whole_bytes:
            journal.add(key)
        if found:
            diary.note("resumed", trials=len(found))
        yield journal


def _code() -> dict[str, Any]:
    """What this code is: its image where that is known, its sources and its libraries in any case."""
    digest = hashlib.sha256()
    for package in (Path(__file__).parent, Path(stepkit.__file__).parent):
        for file in sorted(package.glob("*.py")):
            digest.update(f"{file.name}\n{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    libraries = {name: version(name) for name in _LIBRARIES}
    return {
        "image": reuse.code_identity(),
        "sources": digest.hexdigest(),
        "python": platform.python_version(),
        **libraries,
    }


def _read(file: Path, key: dict[str, Any]) -> tuple[list[dict[str, Any]], int]:
    """The entries of a journal with this key, and how many of its bytes are whole lines; none if it has another."""
    found, whole_bytes = list[Any](), 0
    try:
        lines = file.read_bytes().splitlines(keepends=True)
    except OSError:
        return [], 0
    for line in lines:
        try:
            entry = json.loads(line)["entry"]
        except (ValueError, KeyError, TypeError):
            break
        # Exactly as we write it or not at all: half a line can be JSON too, and a flipped byte a number.
        if line != _line(entry):
            break
        found.append(entry)
        whole_bytes += len(line)
    return (found[1:], whole_bytes) if found[:1] == [key] else ([], 0)


def _line(entry: dict[str, Any]) -> bytes:
    checked = zlib.crc32(json.dumps(entry, sort_keys=True).encode())
    return json.dumps({"entry": entry, "crc32": checked}, sort_keys=True).encode() + b"\n"
