"""What is kept, as it was stated, and what that leaves to go."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

DOOMED = ".pruned-"


@dataclass(frozen=True)
class Policy:
    """What to keep. A rule that is None says nothing; what any rule keeps is kept, without a rule nothing goes.

    `even_lineage` gives up the runs that made the versions in service.
    """

    runs: int | None = None
    age: timedelta | None = None
    versions: int | None = None
    images: bool = False
    even_lineage: bool = False

    @property
    def is_of_runs(self) -> bool:
        """Whether it says anything about runs."""
        return self.runs is not None or self.age is not None

    @property
    def is_stated(self) -> bool:
        """Whether it says anything at all."""
        return self.is_of_runs or self.versions is not None or self.images


@dataclass(frozen=True)
class Kept:
    """Something that a rule would not keep, and why it stays all the same."""

    kind: str
    name: str
    why: str


@dataclass(frozen=True)
class Item:
    """Something to go: its size [byte], None where only its going tells, and what makes it go; that returns why not."""

    kind: str
    name: str
    bytes: int | None
    remove: Callable[[], str]


def remove_path(path: Path) -> None:
    """Remove a file or folder so that under its own name it is whole or gone; what is gone already is as well."""
    try:
        if not path.is_dir():
            path.unlink()
            return
        doomed = path.with_name(f"{DOOMED}{path.name}-{os.urandom(4).hex()}")
        path.rename(doomed)
    except FileNotFoundError:
        return
    shutil.rmtree(doomed, ignore_errors=True)


def size_of(path: Path) -> int:
    """Size of a file, or of all files of a folder [byte]; what goes meanwhile does not count."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(_size(file) for file in files)


def _size(file: Path) -> int:
    try:
        return file.lstat().st_size if not file.is_dir() else 0
    except OSError:
        return 0
