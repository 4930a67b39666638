"""Build contexts: deterministic tar archives of files and folders, so that equal content is an equal context."""

import io
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import IO

# 2020-01-01, the time of every file in every image: builds do not leave their hour behind.
EPOCH_S = 1_577_836_800


def pack(dockerfile: bytes, files: Iterable[tuple[str, Path | bytes]]) -> IO[bytes]:
    """A context with `Dockerfile` and the files by their names in it, owned by root, readable by all."""
    out: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=64 << 20)  # noqa: SIM115  the caller closes it
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in sorted([("Dockerfile", dockerfile), *files], key=lambda item: item[0]):
            _add(archive, name, content)
    out.seek(0)
    return out


def tree(folder: Path, under: str) -> list[tuple[str, Path | bytes]]:
    """All files of a folder, named below `under`."""
    return [(f"{under}/{file.relative_to(folder).as_posix()}", file) for file in folder.rglob("*") if file.is_file()]


def _add(archive: tarfile.TarFile, name: str, content: Path | bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.mtime = EPOCH_S
    entry.mode = 0o755 if "/bin/" in name else 0o644
    if isinstance(content, bytes):
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    else:
        entry.size = content.stat().st_size
        with content.open("rb") as stream:
            archive.addfile(entry, stream)
