"""The model store: `<root>/<model>/<version>/model.onnx` and `serving.json`, which the server follows.

The folder layout is the one that OVMS, Triton and KServe read.
"""

import fcntl
import json
import os
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stepkit import artifacts
from stepkit.errors import ArtifactAltered, TryAgain, UnreadableArtifact, UsageError
from stepkit.verdict import MODEL_FILE, model_sha256

POINTER, HISTORY = "serving.json", "history.jsonl"
CHECKSUM_FILE = f"{MODEL_FILE}.sha256"


class Store(ABC):
    """The store of one model, wherever it is: its versions, what serves, and what was proven in service."""

    name: str

    @abstractmethod
    def address(self, file: str) -> str:
        """Where a file of the model is, for people."""

    @abstractmethod
    def read(self, file: str) -> bytes | None:
        """A file's content, or None where there is none."""

    @abstractmethod
    def write(self, file: str, content: bytes) -> None:
        """Replace a file in one move."""

    @abstractmethod
    def install(self, model: Path, version: str, sha256: str) -> None:
        """Put a model's graph under its version; the same graph again changes nothing.

        Raises ArtifactAltered where another graph stands under that version, or `model` holds another one.
        """

    @abstractmethod
    def sha256(self, version: str) -> str | None:
        """The sha256 of a version's graph, or None where the store has no such version."""

    @abstractmethod
    def remove(self, version: str, dry_run: bool) -> int:
        """Remove a version's graph, whole or not at all; its size [byte], 0 where there is none."""

    @abstractmethod
    def turn(self) -> AbstractContextManager[None]:
        """One deployment at a time changes a store. Raises TryAgain while another one does."""

    def primary(self) -> str | None:
        """The version being served, or None. Raises UnreadableArtifact."""
        content = self.pointer()
        return None if content is None else content.get("primary")

    def pointer(self) -> dict[str, Any] | None:
        """What serving.json says, or None where there is none. Raises UnreadableArtifact."""
        said = self.read(POINTER)
        if said is None:
            return None
        try:
            content = json.loads(said)
        except ValueError as error:
            raise UnreadableArtifact(self.address(POINTER), "JSON file", str(error)) from error
        primary = content.get("primary", 0) if isinstance(content, dict) else 0
        if primary is not None and not isinstance(primary, str):
            raise UnreadableArtifact(self.address(POINTER), POINTER, "neither text nor null under 'primary'")
        return dict(content)

    def pointer_with(self, version: str) -> dict[str, Any]:
        """What serving.json would say with another primary; a shadow that becomes the primary is no shadow any more."""
        content = self.pointer() or {}
        return {key: value for key, value in content.items() if key != "shadow" or value != version} | {
            "primary": version
        }

    def serve(self, version: str | None) -> None:
        """Make a version the primary, in one move; None takes the model out of service."""
        if version is not None:
            self._require(version)
        self._point({"primary": None} if version is None else self.pointer_with(version))

    def shadow(self, version: str | None) -> None:
        """Give a version a copy of the primary's traffic; None ends that. The primary stays."""
        content = self.pointer()
        if content is None or content.get("primary") is None:
            raise UsageError(
                f"{self.address(POINTER)}: a shadow follows a primary, and there is none; deploy one first"
            )
        content.pop("shadow", None)
        if version is not None:
            self._require(version)
            content["shadow"] = version
        self._point(content)

    def remember(self, version: str, sha256: str) -> None:
        """Note that a version was proven in service, by the graph that was; `previous` finds the one before it."""
        if self._stack()[-1:] != [version]:
            self._note({"version": version, "sha256": sha256})

    def proven_sha256(self, version: str) -> str | None:
        """The sha256 of the graph that was proven under a version, or None where no proof tells it."""
        told = [entry.get("sha256") for entry in self._history() if entry.get("version") == version]
        return told[-1] if told else None

    def forget_after(self, version: str, instead_of: str | None, why: str) -> None:
        """Note that a version serves again: those proven after it are nothing to go back to any more."""
        entry = {"back_to": version, "instead_of": instead_of, "why": why}
        if {key: value for key, value in self.last().items() if key != "at"} != entry:
            self._note(entry)

    def proven(self) -> str | None:
        """The version to go back to: the primary if it was proven in service, else the last one that was.

        They differ after a rollout that was killed between its switch and its proof.
        """
        past, primary = self._stack(), self.primary()
        return primary if primary in past else past[-1] if past else None

    def previous(self) -> str | None:
        """The version proven in service before the present primary, or None."""
        primary, past = self.primary(), self._stack()
        if primary in past:
            past = past[: len(past) - 1 - past[::-1].index(primary)]
        return past[-1] if past else None

    def last(self) -> dict[str, Any]:
        """What happened last: `version` was proven, or the model went `back_to` one; empty where nothing did."""
        past = self._history()
        return past[-1] if past else {}

    def _point(self, content: dict[str, Any]) -> None:
        self.write(POINTER, (json.dumps(content, indent=2, sort_keys=True) + "\n").encode())

    def _require(self, version: str) -> None:
        if self.sha256(version) is None:
            where = self.address("").rstrip("/").rpartition("/")[0]
            raise UsageError(f"the model store {where} holds no version {version} of {self.name}", version=version)

    def _history(self) -> list[dict[str, Any]]:
        try:
            return [json.loads(line) for line in (self.read(HISTORY) or b"").decode().splitlines()]
        except ValueError as error:
            raise UnreadableArtifact(self.address(HISTORY), "history", str(error)) from error

    def _stack(self) -> list[str]:
        """The versions proven one after the other, without those that were gone back from."""
        stack = list[str]()
        for entry in self._history():
            if "back_to" not in entry:
                stack.append(entry["version"])
            elif entry["back_to"] in stack:
                del stack[len(stack) - stack[::-1].index(entry["back_to"]) :]
        return stack

    def _note(self, entry: dict[str, Any]) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        lines = [json.dumps(known) for known in [*self._history(), {**entry, "at": now}]]
        self.write(HISTORY, ("\n".join(lines) + "\n").encode())


@dataclass(frozen=True)
class ModelStore(Store):
    """The store of one model in a folder below `root`."""

    root: Path
    name: str

    @property
    def serving_file(self) -> Path:
        """What the server follows."""
        return self._folder / POINTER

    def address(self, file: str) -> str:
        """See `Store`."""
        return f"{self._folder}/{file}"

    def read(self, file: str) -> bytes | None:
        """See `Store`. Raises UnreadableArtifact."""
        try:
            return (self._folder / file).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UnreadableArtifact(self._folder / file, "file", error.strerror or str(error)) from error

    def write(self, file: str, content: bytes) -> None:
        """See `Store`. Raises TryAgain where the disk is full."""
        artifacts.write_text(self._folder / file, content.decode())

    def install(self, model: Path, version: str, sha256: str) -> None:
        """See `Store`."""
        target, told = self._folder / version, f"{sha256}  {MODEL_FILE}\n"
        if target.is_dir():
            found = model_sha256(target)
            if found != sha256:
                raise ArtifactAltered(target / MODEL_FILE, found, sha256)
            if not (target / CHECKSUM_FILE).is_file():
                artifacts.write_text(target / CHECKSUM_FILE, told)
            return
        staged = artifacts.staging_path(target, shared=True)
        try:
            with artifacts.writing(target / MODEL_FILE):
                staged.mkdir()
                shutil.copyfile(model / MODEL_FILE, staged / MODEL_FILE)
                # By it the server knows a graph whose bytes are not these any more.
                (staged / CHECKSUM_FILE).write_text(told, encoding="utf-8")
            found = model_sha256(staged)
            if found != sha256:
                raise ArtifactAltered(model / MODEL_FILE, found, sha256)
            artifacts.commit(staged, target)
        finally:
            artifacts.discard(staged)

    def sha256(self, version: str) -> str | None:
        """See `Store`."""
        folder = self._folder / version
        return model_sha256(folder) if (folder / MODEL_FILE).is_file() else None

    def remove(self, version: str, dry_run: bool) -> int:
        """See `Store`."""
        folder = self._folder / version
        size = artifacts.size_of(folder) if folder.is_dir() else 0
        if folder.is_dir() and not dry_run:
            doomed = artifacts.staging_path(folder)
            folder.rename(doomed)
            artifacts.discard(doomed)
        return size

    @contextmanager
    def turn(self) -> Iterator[None]:
        """See `Store`."""
        self._folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._folder / ".deploy.lock", os.O_RDWR | os.O_CREAT, 0o664)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                told = f"{self._folder}: another deployment is at work; try again when it has ended"
                raise TryAgain(told) from error
            yield
        finally:
            os.close(descriptor)

    @property
    def _folder(self) -> Path:
        return self.root / self.name
