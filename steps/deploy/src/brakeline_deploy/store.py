"""The model store: `<root>/<model>/<version>/model.onnx` and `serving.json`, which the server follows.

The folder layout is the one that OVMS, Triton and KServe read.
"""

import json
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stepkit import artifacts
from stepkit.errors import ArtifactAltered, UnreadableArtifact, UsageError
from stepkit.verdict import MODEL_FILE, model_sha256


@dataclass(frozen=True)
class ModelStore:
    """The store of one model below `root`."""

    root: Path
    name: str

    @property
    def serving_file(self) -> Path:
        """What the server follows."""
        return self.root / self.name / "serving.json"

    def primary(self) -> str | None:
        """The version being served, or None. Raises UnreadableArtifact."""
        if not self.serving_file.exists():
            return None
        content = artifacts.read_json(self.serving_file)
        primary = content.get("primary", 0) if isinstance(content, dict) else 0
        if primary is not None and not isinstance(primary, str):
            raise UnreadableArtifact(self.serving_file, "serving.json", "neither text nor null under 'primary'")
        return primary

    def install(self, model: Path, version: str, sha256: str) -> Path:
        """Put a model's graph under its version; the same graph again changes nothing.

        Raises ArtifactAltered where another graph stands under that version.
        """
        target = self.folder(version)
        if target.is_dir():
            found = model_sha256(target)
            if found != sha256:
                raise ArtifactAltered(target / MODEL_FILE, found, sha256)
            return target
        staged = artifacts.staging_path(target, shared=True)
        staged.mkdir()
        shutil.copyfile(model / MODEL_FILE, staged / MODEL_FILE)
        found = model_sha256(staged)
        if found != sha256:
            artifacts.discard(staged)
            raise ArtifactAltered(model / MODEL_FILE, found, sha256)
        artifacts.commit(staged, target)
        return target

    def folder(self, version: str) -> Path:
        """Where a version's graph lies."""
        return self.root / self.name / version

    def pointer(self) -> dict[str, Any] | None:
        """What serving.json says, or None where there is none. Raises UnreadableArtifact."""
        self.primary()
        return artifacts.read_json(self.serving_file) if self.serving_file.exists() else None

    def pointer_with(self, version: str) -> dict[str, Any]:
        """What serving.json would say with another primary; a shadow that becomes the primary is no shadow any more."""
        content = self.pointer() or {}
        return {key: value for key, value in content.items() if key != "shadow" or value != version} | {
            "primary": version
        }

    def serve(self, version: str | None) -> None:
        """Make a version the primary, in one move; None takes the model out of service."""
        if version is None:
            artifacts.write_json(self.serving_file, {"primary": None})
            return
        self._require(version)
        artifacts.write_json(self.serving_file, self.pointer_with(version))

    def shadow(self, version: str | None) -> None:
        """Give a version a copy of the primary's traffic; None ends that. The primary stays."""
        content = self.pointer()
        if content is None or content.get("primary") is None:
            raise UsageError(f"{self.serving_file}: a shadow follows a primary, and there is none; deploy one first")
        content.pop("shadow", None)
        if version is not None:
            self._require(version)
            content["shadow"] = version
        artifacts.write_json(self.serving_file, content)

    def remember(self, version: str) -> None:
        """Note that a version was proven in service; `previous` finds the one before it."""
        if self._stack()[-1:] != [version]:
            self._note({"version": version})

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

    def _require(self, version: str) -> None:
        if not (self.folder(version) / MODEL_FILE).is_file():
            raise UsageError(f"the model store {self.root} holds no version {version} of {self.name}", version=version)

    @property
    def _history_file(self) -> Path:
        return self.root / self.name / "history.jsonl"

    def _history(self) -> list[dict[str, Any]]:
        if not self._history_file.exists():
            return []
        try:
            return [json.loads(line) for line in self._history_file.read_text(encoding="utf-8").splitlines()]
        except ValueError as error:
            raise UnreadableArtifact(self._history_file, "history", str(error)) from error

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
        artifacts.write_text(self._history_file, "\n".join(lines) + "\n")
