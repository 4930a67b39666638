"""Following the model store: `<root>/<model>/serving.json` names the versions that are to be served.

A thread looks several times a second, loads and checks what is new, and hands over a complete picture of what
is served. What cannot be served is refused with a reason, and what was served before stays. What requests asked the
repository for (`wishes`) is seen to in the same look.
"""

import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from brakeline_serving import diary
from brakeline_serving import model as models
from brakeline_serving import pointer as pointers
from brakeline_serving.errors import ModelRefused
from brakeline_serving.guard import stamp_of
from brakeline_serving.model import Model
from brakeline_serving.pointer import MODEL_FILE, POINTER, Pointer
from brakeline_serving.wishes import Stamp, Wish, Wishes

if TYPE_CHECKING:
    from brakeline_serving.mirror import Mirror, State

POLL_S, FIRST_POLL_S = 0.2, 0.02
LIST_S = 1.0
_ALWAYS = -1


@dataclass(frozen=True)
class Served:
    """What is served at one moment, and why other things are not (reason by version, or by file)."""

    primary: Model | None = None
    shadow: Model | None = None
    refused: Mapping[str, str] = field(default_factory=dict)
    loaded: tuple[Model, ...] = ()  # by request
    met: int = 0  # the last wish that this picture is of
    is_store_reachable: bool | None = None  # None for a folder, which is there or is empty
    awaited: str = ""  # what is not there yet, and need not be

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why nothing is served."""
        return tuple(self.refused.values()) or ((self.awaited,) if self.awaited else ())

    @cached_property
    def versions(self) -> dict[str, Model]:
        """The addressable versions, the primary first."""
        return {model.version: model for _, model, _ in self.beside(Served())}

    def beside(self, before: "Served") -> Iterator[tuple[str, Model, Model | None]]:
        """Each model with its role, and what had that role before."""
        for role in ("primary", "shadow"):
            model = getattr(self, role)
            if model is not None:
                yield role, model, getattr(before, role)
        for model in self.loaded:
            if model not in (self.primary, self.shadow):
                yield "loaded", model, model if model in before.loaded else None


class Follower:
    """Watches one model's folder and calls `adopt`, in its own thread, with each new picture."""

    def __init__(
        self,
        folder: Path,
        adopt: Callable[[Served], object],
        wishes: Wishes | None = None,
        looked: Callable[[], object] = lambda: None,
        mirror: "Mirror | None" = None,
    ) -> None:
        """`looked` is called, in the thread as well, when the first look is over.

        `mirror`, where there is one, fills the folder from a store elsewhere; it is followed as far as it has come.
        """
        self._folder = folder
        self._adopt = adopt
        self._looked = looked
        self._mirror = mirror
        self.wishes = wishes or Wishes()
        self.there: tuple[str, ...] = ()  # versions in the store, served or not
        self._list_again_s = 0.0
        self._served = Served()
        self._pointer: tuple[Stamp, Pointer | None, str] = (None, None, "")
        self._seen: object = None
        self._tried: dict[tuple[str, Stamp, int], Model | str] = {}
        self._stopping = False
        self._awake = threading.Event()
        # A daemon, so that a store that hangs (a network file system) cannot keep the process from ending.
        self._thread = threading.Thread(target=self._follow, name="model-store", daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        if self._mirror:
            self._mirror.start()
        self._thread.start()

    def wake(self) -> None:
        """Look at once."""
        self._awake.set()

    def stop(self, timeout_s: float) -> None:
        """Stop following and wait a little for a look that is under way."""
        self._stopping = True
        self._awake.set()
        if self._mirror:
            self._mirror.stop()
        self._thread.join(timeout_s)

    def pointer_stamp(self) -> Stamp:
        """Which pointer was read last."""
        return self._pointer[0]

    def look(self) -> Served | None:
        """Look once; the new picture, or None where nothing changed since the last look."""
        wish = self.wishes.read()
        mirrored = self._mirror.state() if self._mirror else None
        if self._mirror and (mirrored is None or mirrored.met < wish.sequence):
            return None
        pointer, problem = self._read_pointer()
        self._list(mirrored)
        if wish.is_unloaded and wish.unloaded == self._pointer[0] and pointer is not None:
            pointer = Pointer(primary=None)
        named = pointer.named if pointer else []
        stamps = {
            version: stamp_of(self._folder / version / MODEL_FILE) for version in dict.fromkeys((*named, *wish.loaded))
        }
        sight = (pointer, problem, stamps, wish, mirrored and (mirrored.trouble, mirrored.refused))
        if sight == self._seen:
            return None
        self._seen = sight
        found = {version: self._load(version, stamp, wish.retry) for version, stamp in stamps.items()}
        self._tried = {(version, stamps[version], _retry(wish, result)): result for version, result in found.items()}
        refused = {version: result for version, result in found.items() if isinstance(result, str)}
        if problem:
            refused[POINTER] = problem
        if self._mirror and mirrored:
            refused = _of_store(refused, mirrored, self._folder, self._mirror.uri)
        loaded = tuple(found[version] for version in wish.loaded)
        self._served = replace(
            self._next(pointer, found, refused),
            loaded=tuple(model for model in loaded if isinstance(model, Model)),
            met=wish.sequence,
            is_store_reachable=None if mirrored is None else not mirrored.trouble,
        )
        return self._served

    def _follow(self) -> None:
        self._look_and_tell()
        while self._mirror and self._mirror.state() is None and not self._stopping:
            self._awake.wait(FIRST_POLL_S)
            self._look_and_tell()
        self._looked()
        while not self._stopping:
            self._awake.wait(POLL_S)
            self._awake.clear()
            self._look_and_tell()

    def _look_and_tell(self) -> None:
        if not self._stopping:
            try:
                served = self.look()
            except Exception:  # noqa: BLE001  a bug here must not end the following of later versions
                diary.error("store_not_followed", folder=self._folder, traceback=traceback.format_exc())
            else:
                if served is not None and not self._stopping:
                    self._adopt(served)

    def _list(self, mirrored: "State | None") -> None:
        if mirrored is not None:
            self.there = mirrored.there
            return
        # A version's file may come later than its folder, which the stamp of the folder above does not tell.
        if time.monotonic() < self._list_again_s:
            return
        self._list_again_s = time.monotonic() + LIST_S
        folders = self._folder.iterdir() if self._folder.is_dir() else ()
        self.there = tuple(sorted(folder.name for folder in folders if (folder / MODEL_FILE).is_file()))

    def _read_pointer(self) -> tuple[Pointer | None, str]:
        """The pointer and, if there is none that can be followed, why. Parsed only when the file changed."""
        path = self._folder / POINTER
        stamp = stamp_of(path)
        if stamp is not None and stamp == self._pointer[0]:
            return self._pointer[1:]
        try:
            pointer = pointers.read(path.read_bytes(), path)
        except FileNotFoundError:
            self._pointer = (None, None, f"{path}: no such file")
        except ModelRefused as error:
            self._pointer = (stamp, None, str(error))
        except (OSError, ValueError, RecursionError) as error:
            self._pointer = (stamp, None, f"{path}: {error}")
        else:
            self._pointer = (stamp, pointer, "")
        return self._pointer[1:]

    def _load(self, version: str, stamp: Stamp, retry: int) -> Model | str:
        """The model, or the reason why it is refused; a file once tried is not tried again unless it is wished."""
        tried = self._tried.get((version, stamp, _ALWAYS)) or self._tried.get((version, stamp, retry))
        if tried is not None:
            return tried
        try:
            return models.load(self._folder / version / MODEL_FILE, version, self._folder.name)
        except ModelRefused as error:
            return str(error)

    def _next(self, pointer: Pointer | None, found: Mapping[str, Model | str], refused: Mapping[str, str]) -> Served:
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


def _of_store(found: Mapping[str, str], mirrored: "State", folder: Path, uri: str) -> dict[str, str]:
    """Reasons in terms of the store that is mirrored, and what the mirror says itself."""
    trouble = {uri: mirrored.trouble} if mirrored.trouble else {}
    if mirrored.trouble and POINTER in found:
        found = {what: why for what, why in found.items() if what != POINTER}
    return {what: why.replace(str(folder), uri) for what, why in found.items()} | mirrored.refused | trouble


def _retry(wish: Wish, result: Model | str) -> int:
    """Under which count of retries a result holds."""
    return wish.retry if isinstance(result, str) else _ALWAYS
