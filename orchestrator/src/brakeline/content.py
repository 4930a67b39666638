"""Artifacts by content, as the steps hash them: a file by its bytes, a folder by names and hashes of what is in it."""

import hashlib
from pathlib import Path

# Beside an artifact's own files; no hash covers it.
LINEAGE_FILE = ".lineage.json"


def sha256_of(path: Path) -> str:
    """The sha256 of a file, or of a folder with hidden files aside. Raises OSError."""
    if not path.is_dir():
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    named = sorted((file.relative_to(path).as_posix(), file) for file in path.rglob("*") if _counts(file))
    return hashlib.sha256("".join(f"{sha256_of(file)}  {name}\n" for name, file in named).encode()).hexdigest()


def _counts(file: Path) -> bool:
    return file.is_file() and not file.name.startswith(".")
