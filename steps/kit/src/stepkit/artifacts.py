"""Artifacts on disk: hashed by content, written beside their place and moved there when they are whole."""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stepkit.errors import OutputNotWritable, TryAgain, UnreadableArtifact

_CHUNK_BYTES = 1 << 20
_PARTIAL = ".partial-"


def sha256_of(path: Path) -> str:
    """Hash a file by its bytes, a folder by the names and hashes of the files in it (hidden ones aside)."""
    if path.is_dir():
        listing = "".join(
            f"{sha256_of(file)}  {file.relative_to(path).as_posix()}\n"
            for file in sorted(path.rglob("*"), key=lambda file: file.relative_to(path).as_posix())
            if file.is_file() and not file.name.startswith(".")
        )
        return hashlib.sha256(listing.encode()).hexdigest()
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def size_of(path: Path) -> int:
    """Size of a file, or of all files of a folder that its hash covers [byte]."""
    if not path.is_dir():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))


def staging_path(target: Path, shared: bool = False) -> Path:
    """Make the parent of `target` and return the hidden name under which it is written until it is whole.

    What a killed forerunner left there is removed, unless the place is `shared` with others who may be at work.

    Raises OutputNotWritable where the parent cannot be a folder of ours.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputNotWritable(target, error.strerror or str(error)) from error
    if not os.access(target.parent, os.W_OK):
        raise OutputNotWritable(target, "the folder may not be written")
    if shared:
        return target.parent / f".{target.name}.partial-{os.urandom(8).hex()}"
    for leftover in target.parent.glob(f".{target.name}.partial-*"):
        discard(leftover)
    return target.parent / f".{target.name}.partial-{os.getpid()}"


def resume_path(staged: Path) -> Path:
    """Where a step keeps what the same call, killed and repeated, goes on from: hidden beside the output's place.

    It outlives the process that wrote it until the output is in place; no artifact's hash covers it.
    """
    hidden = staged.name.rpartition(".partial-")[0] or f".{staged.name}"
    return staged.with_name(f"{hidden}.resume")


def commit(staged: Path, target: Path) -> None:
    """Move a whole artifact to its place. Its bytes are on the disk before its name is."""
    for file in [staged] if staged.is_file() else staged.rglob("*"):
        if file.is_file():
            _flush_to_disk(file)
    if target.is_dir() and not target.is_symlink():
        # A folder cannot replace a full one in one move: the old artifact goes first, so that at any
        # instant there is either a whole artifact or none.
        doomed = target.parent / f".{target.name}.partial-old"
        discard(doomed)
        target.rename(doomed)
        staged.rename(target)
        discard(doomed)
    else:
        staged.replace(target)
    _flush_to_disk(target.parent)


def discard(path: Path) -> None:
    """Remove a file or folder if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def write_text(target: Path, text: str) -> None:
    """Write a text file atomically. Raises TryAgain when the disk is full."""
    staged = staging_path(target)
    try:
        staged.write_text(text, encoding="utf-8")
        commit(staged, target)
    except OSError as error:
        discard(staged)
        raise writing_failed(target, error) from error


def write_json(target: Path, value: object) -> None:
    """Write JSON atomically, keys sorted, so that equal values give equal bytes."""
    write_text(target, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON artifact. Raises UnreadableArtifact."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UnreadableArtifact(path, "JSON file", str(error)) from error


@contextmanager
def writing(file: Path) -> Iterator[None]:
    """For a block that writes a file: what the operating system refuses is told with its name.

    Raises as `writing_failed`.
    """
    try:
        yield
    except OSError as error:
        raise writing_failed(file, error) from error


def copy_folder(source: Path, target: Path) -> None:
    """Copy a folder with all that is in it to where nothing is; a copy that fails leaves nothing.

    Raises as `writing_failed`.
    """

    def copy(one: str, other: str) -> None:
        # Told at once: shutil would go on, and tell at the end in words alone.
        with writing(Path(other)):
            shutil.copy2(one, other)

    try:
        with writing(target):
            shutil.copytree(source, target, copy_function=copy)
    except BaseException:
        discard(target)
        raise


def writing_failed(target: Path, error: OSError) -> OutputNotWritable | TryAgain:
    """The step's error for an operating system's: a full disk may pass, the rest is the caller's to mend."""
    shown = _under_its_own_name(target)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        told = f"cannot write output {shown}: {error.strerror}; make room there, then make the same call again"
        return TryAgain(told, output=shown)
    return OutputNotWritable(shown, error.strerror or str(error))


def _under_its_own_name(path: Path) -> Path:
    """The path of a file that is being staged as it will be: nobody knows the hidden name."""
    parts = [part.rpartition(_PARTIAL)[0].removeprefix(".") if _PARTIAL in part else part for part in path.parts]
    return Path(*parts)


def _flush_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
