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
        target = self.root / self.name / version
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

    def serve(self, version: str | None) -> None:
        """Make a version the primary, in one move; None takes the model out of service."""
        if version is None:
            artifacts.write_json(self.serving_file, {"primary": None})
            return
        if not (self.root / self.name / version / MODEL_FILE).is_file():
            raise UsageError(f"the model store {self.root} holds no version {version} of {self.name}", version=version)
        content: dict[str, Any] = {}
        if self.serving_file.exists():
            content = artifacts.read_json(self.serving_file)
        # A shadow that becomes the primary is no shadow any more.
        kept = {key: value for key, value in content.items() if key != "shadow" or value != version}
        artifacts.write_json(self.serving_file, kept | {"primary": version})

    def remember(self, version: str) -> None:
        """Note that a version was proven in service; `previous` finds the one before it."""
        past = self._history()
        if not past or past[-1]["version"] != version:
            now = datetime.now(UTC).isoformat(timespec="seconds")
            lines = [json.dumps(entry) for entry in [*past, {"version": version, "at": now}]]
            artifacts.write_text(self._history_file, "\n".join(lines) + "\n")

    def proven(self) -> str | None:
        """The version to go back to: the primary if it was proven in service, else the last one that was.

        They differ after a rollout that was killed between its switch and its proof.
        """
        past, primary = [entry["version"] for entry in self._history()], self.primary()
        return primary if primary in past else past[-1] if past else None

    def previous(self) -> str | None:
        """The version proven in service before the present primary, or None."""
        primary = self.primary()
        past = [entry["version"] for entry in self._history()]
        if primary in past:
            past = past[: len(past) - 1 - past[::-1].index(primary)]
        return past[-1] if past else None

    @property
    def _history_file(self) -> Path:
        return self.root / self.name / "history.jsonl"

    def _history(self) -> list[dict[str, str]]:
        if not self._history_file.exists():
            return []
        return [json.loads(line) for line in self._history_file.read_text(encoding="utf-8").splitlines()]
