"""Which image a step runs in: by content, never by a floating tag, so that caches and lineage can rely on it.

`python build.py` writes the lock, `orchestrator/images.lock.json`; runners and manifests read it through here, or the
file that `BRAKELINE_IMAGES_LOCK` names.
"""

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

STEPS = ("synthesize", "train", "validate", "register", "deploy")
SERVING, CLIENT, WORKBENCH = "serving", "client", "workbench"
NOTEBOOKS = ("initial_development", "pipeline", "endpoint", "register_model")
# What a workbench brings for people, beside code.
SHARED = (*(f"notebooks/{name}.ipynb" for name in NOTEBOOKS), "examples/recorded_stops.csv")
# What an image is made of: files and folders.
CONTENT: dict[str, tuple[str, ...]] = {
    **{step: ("steps/kit", f"steps/{step}") for step in STEPS},
    SERVING: ("serving/src", "serving/Dockerfile", "serving/pyproject.toml", "serving/requirements.lock"),
    CLIENT: ("serving/client",),
    WORKBENCH: (
        *("steps/kit", *(f"steps/{step}" for step in STEPS), "orchestrator/src", "orchestrator/pyproject.toml"),
        *("serving/src", "serving/pyproject.toml", "serving/client", "notebooks/src", "notebooks/Dockerfile"),
        *("notebooks/pyproject.toml", "notebooks/requirements.lock", *SHARED),
    ),
}
# Images that nothing else here needs: built where they are asked for.
OPTIONAL = (WORKBENCH,)
HOUSE = Path(__file__).resolve().parents[3]
# A workbench has no lock of its own making: it is told where the one of its installation is.
LOCK_VARIABLE = "BRAKELINE_IMAGES_LOCK"
LOCK = Path(os.environ.get(LOCK_VARIABLE) or HOUSE / "orchestrator" / "images.lock.json")
# What an image with this package in it was made of: it has no sources to hash.
SOURCES = Path(sys.prefix) / "share" / "brakeline" / "sources.json"
SCHEMA_VERSION = 1

_NOT_CONTENT = {"__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache"}


@dataclass(frozen=True)
class Built:
    """An image that was built: its local name, its id in the engine, what it was made of, and where it was pushed."""

    reference: str
    id: str
    source: str
    pushed: str = ""


class NotBuilt(Exception):
    """Images are missing, or older than the sources they were made of."""


def built() -> dict[str, Built]:
    """The images of the lock by name; none where nothing was built, or by a builder of another time."""
    content = _lock()
    return {name: Built(**image) for name, image in content.get("images", {}).items()}


def base() -> dict[str, str]:
    """The base that the lock's images stand on: `asked` and `reference`; empty where nothing was built."""
    return dict(_lock().get("base", {}))


def write(base_image: Mapping[str, str], images: Mapping[str, Built]) -> None:
    """Write the lock atomically."""
    staged = LOCK.with_name(f".{LOCK.name}.partial")
    staged.write_text(content(base_image, images), encoding="utf-8")
    staged.replace(LOCK)


def content(base_image: Mapping[str, str], images: Mapping[str, Built]) -> str:
    """A lock as text."""
    listed = {name: asdict(image) for name, image in sorted(images.items())}
    return json.dumps({"schema_version": SCHEMA_VERSION, "base": dict(base_image), "images": listed}, indent=2) + "\n"


def stale(names: Iterable[str] = ()) -> list[str]:
    """The images that are not built, or were built of other sources than those here: of these, or of the usual."""
    have, wanted = built(), list(names) or [name for name in CONTENT if name not in OPTIONAL]
    return [name for name in wanted if name not in have or have[name].source != source_hash(name)]


def for_containers() -> dict[str, str]:
    """The local image of every step, the server's and the client's. Raises NotBuilt."""
    if missing := stale():
        state = "not built" if not LOCK.is_file() else "older than their sources"
        raise NotBuilt(f"images of {', '.join(missing)} are {state}: run `python build.py`")
    return {name: image.reference for name, image in built().items() if name not in OPTIONAL}


def for_cluster() -> dict[str, str]:
    """What a pipeline for a cluster names: registry digests where images were pushed, else the local names."""
    have = built()
    return {step: have[step].pushed or have[step].reference if step in have else reference(step) for step in STEPS}


def for_processes() -> dict[str, str]:
    """Names that stand for the steps' sources as they are. Nothing is pulled: they are the code in cache keys."""
    return {step: reference(step) for step in STEPS}


@cache
def reference(step: str) -> str:
    """The name of a step's code as it is here."""
    return f"brakeline/{step}:{source_hash(step)[:20]}"


def source_hash(name: str) -> str:
    """sha256 over the names and bytes of all files that make an image.

    What is only read by people (`.md`) is not in it. A workbench's image has no sources, and tells those that it was
    made of. Raises NotBuilt where there is neither: nothing may pass for the code in a cache's key.
    """
    if not (HOUSE / "steps").is_dir():
        return _told(name)
    digest = hashlib.sha256()
    for place in (HOUSE / path for path in CONTENT[name]):
        for file in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if file.is_file() and not _NOT_CONTENT & set(file.parts) and file.suffix not in {".pyc", ".md"}:
                digest.update(f"{file.relative_to(HOUSE).as_posix()}\0".encode())
                digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _told(name: str) -> str:
    try:
        told: dict[str, str] = json.loads(SOURCES.read_text(encoding="utf-8"))
        return told[name]
    except (OSError, ValueError, KeyError) as error:
        raise NotBuilt(f"no sources in {HOUSE}, and {SOURCES} does not tell what {name} was made of") from error


def _lock() -> dict[str, Any]:
    if not LOCK.is_file():
        return {}
    content: dict[str, Any] = json.loads(LOCK.read_text(encoding="utf-8"))
    return content if content.get("schema_version") == SCHEMA_VERSION else {}
