"""A folder that mirrors what is to be served of a model store in S3, for the workers of a server to follow.

One worker at a time does it, whichever holds the folder's lock: when it is killed another goes on. A model stands in
the folder when it is whole and has the sha256 that the store records beside it (`model.onnx.sha256`), and only then
does the pointer name it. While the store cannot be reached the folder stays as it is.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
import threading
import time
import traceback
from pathlib import Path

import msgspec

from brakeline_serving import diary, pointer
from brakeline_serving.errors import ModelRefused, ObjectMissing, StoreUnreachable
from brakeline_serving.pointer import MODEL_FILE, POINTER, is_version
from brakeline_serving.remote import Remote
from brakeline_serving.wishes import Wish, Wishes

POLL_S = 1.0
LIST_S = 5.0
AGAIN_S = 10.0  # until what was refused is looked at again
CHECKSUM_FILE = f"{MODEL_FILE}.sha256"
_TICK_S = 0.1
_STATE, _LOCK = ".mirror.json", ".mirror.lock"


class State(msgspec.Struct, frozen=True):
    """What the mirror last came to: `met` is the last wish that it saw to, `refused` has reasons by version or file."""

    met: int = 0
    trouble: str = ""  # why the store cannot be followed at present
    refused: dict[str, str] = {}
    there: tuple[str, ...] = ()  # versions in the store


class Mirror:
    """Keeps `folder` as the remote model is; every worker has one."""

    def __init__(self, remote: Remote, folder: Path, wishes: Wishes) -> None:
        self.uri = remote.uri
        self._remote, self._folder, self._wishes = remote, folder, wishes
        self._stopping = threading.Event()
        self._tag, self._named, self._named_before = "", list[str](), list[str]()
        self._state = State()
        self._refused: dict[str, tuple[float, int, str]] = {}  # when, under which count of retries, and why
        self._list_again_s = 0.0
        self._there: tuple[str, ...] = ()
        # A daemon, so that a store that hangs cannot keep the process from ending.
        self._thread = threading.Thread(target=self._follow, name="model-mirror", daemon=True)

    def start(self) -> None:
        """Begin to mirror, or to wait for who does to end."""
        self._thread.start()

    def stop(self) -> None:
        """Begin nothing more."""
        self._stopping.set()

    def state(self) -> State | None:
        """What the mirror came to, whichever worker it was; None before it first did."""
        try:
            return msgspec.json.decode((self._folder / _STATE).read_bytes(), type=State)
        except (OSError, ValueError):
            return None

    def _follow(self) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with (self._folder / _LOCK).open("w") as lock:
                self._await_turn(lock.fileno())
                self._tidy()
                self._keep_up()
        except OSError as error:
            diary.error("store_not_mirrored", folder=self._folder, message=str(error))

    def _await_turn(self, lock: int) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            self._stopping.wait(_TICK_S)

    def _tidy(self) -> None:
        """Remove what a killed forerunner was writing, and models that are not what they were; read what it named."""
        for leftover in self._folder.glob(".*.partial-*"):
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink(missing_ok=True)
        for version in {path.parent for path in self._folder.glob(f"[!.]*/{MODEL_FILE}")}:
            recorded = version / CHECKSUM_FILE
            found = hashlib.sha256((version / MODEL_FILE).read_bytes()).hexdigest()
            if not recorded.is_file() or recorded.read_text() != found:
                shutil.rmtree(version)
        with contextlib.suppress(FileNotFoundError):
            self._named = _named((self._folder / POINTER).read_bytes())

    def _keep_up(self) -> None:
        met, looked_s = -1, -POLL_S
        while not self._stopping.is_set():
            wish = self._wishes.read()
            if wish.sequence != met or time.monotonic() - looked_s >= POLL_S:
                met, looked_s = wish.sequence, time.monotonic()
                try:
                    self.look(wish)
                except Exception:  # noqa: BLE001  a bug here must not end the following of later versions
                    diary.error("store_not_mirrored", folder=self._folder, traceback=traceback.format_exc())
            self._stopping.wait(_TICK_S)

    def look(self, wish: Wish) -> None:
        """Look at the store once, and bring what is named and is not here."""
        trouble, refused = "", dict[str, str]()
        try:
            self._bring_named(wish, refused)
            if time.monotonic() >= self._list_again_s:
                self._there = tuple(version for version in self._remote.versions() if is_version(version))
                self._list_again_s = time.monotonic() + LIST_S
        except StoreUnreachable as error:
            trouble = str(error)
        except OSError as error:
            trouble = f"{self._folder}: {error.strerror or error}"
        if trouble:
            refused |= {version: trouble for version in wish.loaded if not self._has(version)}
        self._tell(State(wish.sequence, trouble, refused, self._there))

    def _bring_named(self, wish: Wish, refused: dict[str, str]) -> None:
        try:
            found = self._remote.read_changed(POINTER, self._tag)
        except ObjectMissing as error:
            # What was served stays.
            self._tag, found, refused[POINTER] = "", None, str(error)
        named = _named(found.content) if found else self._named
        wanted = [*named, *wish.loaded]
        for version in dict.fromkeys(wanted):
            if reason := self._bring(version, wish.retry):
                refused[version] = reason
        if found is not None:
            self._write(POINTER, found.content)
            self._tag, self._named_before, self._named = found.tag, self._named, named
        self._remove_others({*wanted, *self._named_before})

    def _bring(self, version: str, retry: int) -> str:
        """Make a version stand here; the reason if it cannot. Raises StoreUnreachable, OSError."""
        if self._has(version):
            return ""
        tried_s, tried, reason = self._refused.get(version, (0.0, retry, ""))
        if reason and tried == retry and time.monotonic() - tried_s < AGAIN_S:
            return reason
        staged = self._folder / f".{version}.partial-{os.getpid()}"
        shutil.rmtree(staged, ignore_errors=True)
        staged.mkdir()
        try:
            reason = self._fetch(version, staged)
            if not reason:
                staged.rename(self._folder / version)
        except ObjectMissing as error:
            reason = str(error)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
        self._refused[version] = (time.monotonic(), retry, reason)
        return reason

    def _fetch(self, version: str, staged: Path) -> str:
        """Fetch a model and hold it to its recorded sha256; the reason if it is another one."""
        words = self._remote.read(f"{version}/{CHECKSUM_FILE}").decode(errors="replace").split()
        recorded = words[0][:64] if words else "nothing"
        found = self._remote.fetch(f"{version}/{MODEL_FILE}", staged / MODEL_FILE)
        if found != recorded:
            return f"{self.uri}/{version}/{MODEL_FILE}: sha256: found {found}, allowed {recorded}, of {CHECKSUM_FILE}"
        (staged / CHECKSUM_FILE).write_text(found)
        diary.note("model_fetched", uri=f"{self.uri}/{version}", sha256=found)
        return ""

    def _has(self, version: str) -> bool:
        return (self._folder / version / MODEL_FILE).is_file()

    def _remove_others(self, kept: set[str]) -> None:
        for folder in self._folder.iterdir():
            if folder.is_dir() and folder.name not in kept and not folder.name.startswith("."):
                shutil.rmtree(folder, ignore_errors=True)

    def _tell(self, state: State) -> None:
        before, self._state = self._state, state
        if state.trouble and not before.trouble:
            diary.warn("store_unreachable", uri=self.uri, message=state.trouble)
        if before.trouble and not state.trouble:
            diary.note("store_reachable", uri=self.uri)
        if state != before or self.state() is None:
            self._write(_STATE, msgspec.json.encode(state))

    def _write(self, name: str, content: bytes) -> None:
        """Replace a file, in one move; one of the same content stays as it is, with its times."""
        target = self._folder / name
        with contextlib.suppress(FileNotFoundError):
            if target.read_bytes() == content:
                return
        staged = target.with_name(f".{name}.partial-{os.getpid()}")
        try:
            staged.write_bytes(content)
            staged.replace(target)
        finally:
            staged.unlink(missing_ok=True)


def _named(content: bytes) -> list[str]:
    """The versions that a pointer names; none where it cannot be read, which its follower says."""
    try:
        return pointer.read(content, Path(POINTER)).named
    except (ModelRefused, ValueError, RecursionError):
        return []
