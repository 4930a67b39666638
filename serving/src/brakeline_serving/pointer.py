"""What a model store names to be served: `serving.json`, and the versions' names."""

import re
from pathlib import Path

import msgspec

from brakeline_serving.errors import ModelRefused

POINTER = "serving.json"
MODEL_FILE = "model.onnx"

_VERSION = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")  # no path out of the model's folder


def is_version(name: str) -> bool:
    """Whether a name may be a version's folder."""
    return _VERSION.fullmatch(name) is not None


class Pointer(msgspec.Struct, frozen=True):
    """The versions to serve."""

    primary: str | None  # null takes the model out of service, which a missing file does not
    shadow: str | None = None

    @property
    def named(self) -> list[str]:
        """Both, where they are."""
        return [version for version in (self.primary, self.shadow) if version]


def read(content: bytes, path: Path) -> Pointer:
    """Read the file's content; `path` is for the message. Raises ModelRefused, ValueError, RecursionError."""
    pointer = msgspec.json.decode(content, type=Pointer)
    for role, version in (("primary", pointer.primary), ("shadow", pointer.shadow)):
        if version is not None and not is_version(version):
            allowed = "letters, digits, '.', '_' and '-'"
            raise ModelRefused(path, role, f"found {version[:100]!r}, allowed {allowed}")
    return pointer
