"""Hash-locked requirements as data: what a lock installs for the image's Python, and what locks have in common."""

from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement

from brakeline_images.errors import LocksDisagree

PYTHON = "3.13"
# Where locked packages will run; everything that a lock's markers may ask.
TARGET = {
    "python_version": PYTHON,
    "python_full_version": f"{PYTHON}.0",
    "sys_platform": "linux",
    "platform_system": "Linux",
    "platform_machine": "x86_64",
    "os_name": "posix",
    "implementation_name": "cpython",
    "platform_python_implementation": "CPython",
    "extra": "",
}


@dataclass(frozen=True, order=True)
class Pinned:
    """One package of a lock: its name, its version, and the lock's own lines with all hashes."""

    name: str
    version: str
    lines: str


def read(lock: Path) -> frozenset[Pinned]:
    """The packages that a lock installs in an image."""
    blocks: list[list[str]] = []
    for line in lock.read_text(encoding="utf-8").splitlines():
        if line.startswith((" ", "\t")):
            blocks[-1].append(line)
        elif line and not line.startswith("#"):
            blocks.append([line])
    found = set()
    for block in blocks:
        wanted = Requirement(block[0].removesuffix("\\").strip())
        if wanted.marker is None or wanted.marker.evaluate(TARGET):
            version = next(iter(wanted.specifier)).version
            found.add(Pinned(wanted.name, version, "\n".join(block)))
    return frozenset(found)


def shared(sets: list[frozenset[Pinned]]) -> frozenset[Pinned]:
    """What all of these locks install. Raises LocksDisagree where one package is locked to two versions."""
    versions: dict[str, str] = {}
    for pinned in (package for packages in sets for package in packages):
        if versions.setdefault(pinned.name, pinned.version) != pinned.version:
            raise LocksDisagree(
                f"{pinned.name} is locked to {pinned.version} and to {versions[pinned.name]}: "
                "run `python build.py lock`"
            )
    return frozenset.intersection(*sets)
