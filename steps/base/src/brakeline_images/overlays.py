"""Overlays of `manifests/`: rendered by the locked kubectl, and held to what an installation has to set.

What nobody has set yet is a name under the top-level domain `.invalid`, or a digest of zeros.
"""

import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from brakeline.images import HOUSE

from brakeline_images import processes
from brakeline_images.errors import NoKubectl, NotRendered
from brakeline_images.manifests import FILE as IMAGES
from brakeline_images.manifests import NO_DIGEST

ROOM = HOUSE / "manifests"
VALUES = ROOM / "installation" / "values.yaml"
_UNSET = re.compile(r"[\w.-]+\.invalid(?![\w-]|\.\w)")


@dataclass(frozen=True)
class Unset:
    """A placeholder: the file and field to set it in, and the object and field that it is seen in."""

    file: str
    field: str
    found: str
    seen: str

    def __str__(self) -> str:
        return f"{self.file}: {self.field}: found {self.found}, a placeholder, in {self.seen}"


def names() -> dict[str, Path]:
    """The overlays that can be applied, by name."""
    folders = sorted([*ROOM.glob("overlays/*"), *ROOM.glob("registry/rhoai-*"), ROOM / "gitops"])
    known = [folder for folder in folders if (folder / "kustomization.yaml").is_file()]
    return {folder.relative_to(ROOM).as_posix().removeprefix("overlays/"): folder for folder in known}


def render(folder: Path) -> str:
    """An overlay as YAML, as it would be applied. Raises NotRendered."""
    beside = Path(sys.executable).with_name("kubectl")
    program = str(beside) if beside.is_file() else shutil.which("kubectl")
    if not program:
        raise NoKubectl
    done = processes.run([program, "kustomize", str(folder)])
    if done.status:
        raise NotRendered(folder, done.stderr.strip())
    return done.stdout


def objects(text: str) -> list[dict[str, Any]]:
    """The objects of a rendered overlay."""
    return [one for one in yaml.safe_load_all(text) if one]


def unset(rendered: list[dict[str, Any]]) -> list[Unset]:
    """What an installation has to set before these objects can work, each place once."""
    values = yaml.safe_load(VALUES.read_text(encoding="utf-8"))["data"]
    found: dict[tuple[str, str, str], Unset] = {}
    for one in rendered:
        name = f"{one['kind']}/{one['metadata']['name']}"
        for field, text in _strings(one, ""):
            for match in [text] if text.endswith(NO_DIGEST) else _UNSET.findall(text):
                file, key = _source(match, values)
                found.setdefault((file, key, match), Unset(file, key or field, match, f"{name} {field}"))
    return list(found.values())


def _source(match: str, values: dict[str, object]) -> tuple[str, str]:
    """The file and field that a placeholder comes from; no field where only the place it is seen in is known."""
    if match.endswith(NO_DIGEST):
        return _shown(IMAGES), f"images[{match.partition('@')[0].partition('/')[2]}]"
    for key, value in values.items():
        if match in str(value):
            return _shown(VALUES), f"data.{key}"
    return "the overlay", ""


def _shown(file: Path) -> str:
    return file.relative_to(HOUSE).as_posix() if file.is_relative_to(HOUSE) else str(file)


def _strings(value: Any, field: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _strings(inner, f"{field}.{key}" if field else str(key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _strings(inner, f"{field}[{index}]")
    elif isinstance(value, str):
        yield field, value
