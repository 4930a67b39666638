"""Following the model store: `<root>/<model>/serving.json` names the versions that are to be served.

A thread looks several times a second, loads and checks what is new, and hands over a complete picture of what
is served. What cannot be served is refused with a reason, and what was served before stays.
"""

import re
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from brakeline_serving import diary
from brakeline_serving import model as models
from brakeline_serving.errors import ModelRefused
from brakeline_serving.model import Model

POLL_S = 0.2
POINTER = "serving.json"
MODEL_FILE = "model.onnx"

_VERSION = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")  # no path out of the model's folder

_Stamp = tuple[int, int, int] | None


@dataclass(frozen=True)
class Served:
    """What is served at one moment, and why other things are not (reason by version, or by file)."""

    primary: Model | None = None
    shadow: Model | None = None
    refused: Mapping[str, str] = field(default_factory=dict)

    @property
    def versions(self) -> dict[str, Model]:
        """The addressable versions, the primary first."""
        return {model.version: model for model in (self.primary, self.shadow) if model is not None}


class _Pointer(msgspec.Struct, frozen=True):
    primary: str | None  # null takes the model out of service, which a missing file does not
    shadow: str | None = None


class Follower:
    """Watches one model's folder and calls `adopt`, in its own thread, with each new picture."""

    def __init__(self, folder: Path, adopt: Callable[[Served], object]) -> None:
        self._folder = folder
        self._adopt = adopt
        self._served = Served()
        self._pointer: tuple[_Stamp, _Pointer | None, str] = (None, None, "")
        self._seen: object = None
        self._tried: dict[tuple[str, _Stamp], Model | str] = {}
        self._stopping = threading.Event()
        # A daemon, so that a store that hangs (a network file system) cannot keep the process from ending.
        self._thread = threading.Thread(target=self._follow, name="model-store", daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Stop following and wait a little for a look that is under way."""
        self._stopping.set()
        self._thread.join(timeout_s)

    def look(self) -> Served | None:
        """Look once; the new picture, or None where nothing changed since the last look."""
        pointer, problem = self._read_pointer()
        wanted = [version for version in (pointer.primary, pointer.shadow) if version] if pointer else []
        stamps = {version: _stamp(self._folder / version / MODEL_FILE) for version in wanted}
        sight = (pointer, problem, stamps)
        if sight == self._seen:
            return None
        self._seen = sight
        found = {version: self._load(version, stamp) for version, stamp in stamps.items()}
        self._tried = {(version, stamps[version]): result for version, result in found.items()}
        refused = {version: result for version, result in found.items() if isinstance(result, str)}
        if problem:
            refused[POINTER] = problem
        self._served = self._next(pointer, found, refused)
        return self._served

    def _follow(self) -> None:
        while not self._stopping.is_set():
            try:
                served = self.look()
            except Exception:  # noqa: BLE001  a bug here must not end the following of later versions
                diary.error("store_not_followed", folder=self._folder, traceback=traceback.format_exc())
            else:
                if served is not None and not self._stopping.is_set():
                    self._adopt(served)
            self._stopping.wait(POLL_S)

    def _read_pointer(self) -> tuple[_Pointer | None, str]:
        """The pointer and, if there is none that can be followed, why. Parsed only when the file changed."""
        path = self._folder / POINTER
        stamp = _stamp(path)
        if stamp is not None and stamp == self._pointer[0]:
            return self._pointer[1:]
        try:
            pointer = msgspec.json.decode(path.read_bytes(), type=_Pointer)
            _check_versions(path, pointer)
        except FileNotFoundError:
            self._pointer = (None, None, f"{path}: no such file")
        except ModelRefused as error:
            self._pointer = (stamp, None, str(error))
        except (OSError, ValueError, RecursionError) as error:
            self._pointer = (stamp, None, f"{path}: {error}")
        else:
            self._pointer = (stamp, pointer, "")
        return self._pointer[1:]

    def _load(self, version: str, stamp: _Stamp) -> Model | str:
        """The model, or the reason why it is refused; a file once tried is not tried again."""
        tried = self._tried.get((version, stamp))
        if tried is not None:
            return tried
        try:
            return models.load(self._folder / version / MODEL_FILE, version)
        except ModelRefused as error:
            return str(error)

    def _next(self, pointer: _Pointer | None, found: Mapping[str, Model | str], refused: Mapping[str, str]) -> Served:
        if pointer is None:
            return Served(self._served.primary, self._served.shadow, refused)
        if pointer.primary is None:
            return Served(None, None, refused)
        primary = found[pointer.primary]
        shadow = found[pointer.shadow] if pointer.shadow else None
        return Served(
            primary=primary if isinstance(primary, Model) else self._served.primary,
            shadow=shadow if isinstance(shadow, Model) else None,
            refused=refused,
        )


def _check_versions(path: Path, pointer: _Pointer) -> None:
    for role, version in (("primary", pointer.primary), ("shadow", pointer.shadow)):
        if version is not None and not _VERSION.fullmatch(version):
            allowed = "letters, digits, '.', '_' and '-'"
            raise ModelRefused(path, role, f"found {version[:100]!r}, allowed {allowed}")


def _stamp(path: Path) -> _Stamp:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size
