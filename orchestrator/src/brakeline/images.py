"""Which image a step runs in: by content, never by a floating tag, so that caches and lineage can rely on it."""

import hashlib
import json
from functools import cache
from pathlib import Path

STEPS = ("synthesize", "train", "validate", "register", "deploy")
HOUSE = Path(__file__).resolve().parents[3]
LOCK = HOUSE / "orchestrator" / "images.lock.json"

_NOT_CONTENT = {"__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"}


@cache
def reference(step: str) -> str:
    """The image of a step: the lock's if images were built, else a name with the hash of the step's sources.

    The process runner pulls nothing; there the name serves as the identity of the code in cache keys.
    """
    if LOCK.is_file():
        return str(json.loads(LOCK.read_text(encoding="utf-8"))[step])
    return f"brakeline/{step}:{source_hash(step)[:20]}"


def source_hash(step: str) -> str:
    """sha256 over the names and bytes of all files that make a step: its own folder and the kit's."""
    digest = hashlib.sha256()
    for folder in (HOUSE / "steps" / "kit", HOUSE / "steps" / step):
        for file in sorted(folder.rglob("*")):
            if file.is_file() and not _NOT_CONTENT & set(file.parts) and not file.name.endswith(".pyc"):
                digest.update(f"{file.relative_to(HOUSE).as_posix()}\0".encode())
                digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
