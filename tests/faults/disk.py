"""A disk that is too small: a tmpfs, filled so far that only so many bytes are left."""

import math
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")  # what a tmpfs gives at a time
FILLER = "filler"


def pages(path: Path) -> int:
    """Pages that a file takes, or all files of a folder."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(math.ceil(file.stat().st_size / PAGE_BYTES) for file in files)


class Disk:
    """A mounted disk; what is not left free is taken by one file on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def leave(self, pages: int) -> None:
        """Take all but so many pages."""
        self.clear()
        there = os.statvfs(self.folder)
        with (self.folder / FILLER).open("wb") as stream:
            os.posix_fallocate(stream.fileno(), 0, (there.f_bavail - pages) * there.f_frsize)

    def clear(self) -> None:
        """Make room."""
        (self.folder / FILLER).unlink(missing_ok=True)

    def files(self) -> set[str]:
        """Everything on it, hidden or not, but the filler."""
        found = {str(file.relative_to(self.folder)) for file in self.folder.rglob("*")}
        return found - {FILLER}


@contextmanager
def mounted(folder: Path, megabytes: int = 8) -> Iterator[Disk]:
    """A small disk at a folder; skips where this user may mount none."""
    folder.mkdir(parents=True)
    size = f"size={megabytes}m,mode=0777"
    command = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}; it takes root and CAP_SYS_ADMIN")
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
