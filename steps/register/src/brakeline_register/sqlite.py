"""The embedded registry: one SQLite file, and beside it a copy of every registered model by content."""

import json
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stepkit import artifacts
from stepkit.errors import TryAgain, UnreadableArtifact

from brakeline_register import schema
from brakeline_register.attempts import Attempt
from brakeline_register.registry import NoSuchVersion, State, Version

_SECONDS_TO_WAIT = 30.0
_SELECT = "SELECT model, version, sha256, uri, state, contract_version, created_at, facts FROM versions WHERE model = ?"
_ATTEMPTS = """
SELECT dataset_sha256, holdout_sha256, model_sha256, gate_version, passed, failed, recorded_at
FROM attempts WHERE model = ? ORDER BY number
"""


class SqliteRegistry:
    """A `Registry` in a file. Safe for many processes; a committed change outlives a power cut."""

    def __init__(self, file: Path) -> None:
        self._file = file.absolute()
        self._models = self._file.parent / f"{self._file.stem}-models"
        self._file.parent.mkdir(parents=True, exist_ok=True)

    def add(self, model: str, folder: Path, sha256: str, contract_version: int, facts: dict[str, Any]) -> Version:
        """See `Registry.add`. The model is copied, so that its URI outlives the run that made it."""
        with self._transaction() as db:
            known = db.execute(_SELECT + " AND sha256 = ?", (model, sha256))
            if row := known.fetchone():
                return _version(row)
            # Within the transaction: two processes that add the same content would copy over each other.
            kept = self._keep(folder, sha256)
            (last,) = db.execute("SELECT COALESCE(MAX(version), 0) FROM versions WHERE model = ?", (model,)).fetchone()
            db.execute(
                "INSERT INTO versions VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (model, last + 1, sha256, str(kept), State.REGISTERED, contract_version, _now(), json.dumps(facts)),
            )
            return self._find(db, model, str(last + 1))

    def find(self, model: str, version: str) -> Version:
        """See `Registry.find`."""
        with self._transaction() as db:
            return self._find(db, model, version)

    def list(self, model: str) -> list[Version]:
        """See `Registry.list`."""
        with self._transaction() as db:
            rows = db.execute(_SELECT + " ORDER BY version", (model,))
            return [_version(row) for row in rows]

    def live(self, model: str) -> Version | None:
        """See `Registry.live`."""
        with self._transaction() as db:
            found = db.execute(_SELECT + " AND state = 'live'", (model,))
            row = found.fetchone()
            return _version(row) if row else None

    def set_state(self, model: str, version: str, state: State, by: str) -> Version:
        """See `Registry.set_state`."""
        with self._transaction() as db:
            found = self._find(db, model, version)
            if found.state is state:
                return found
            if state is State.LIVE:
                db.execute(
                    "UPDATE versions SET state = ? WHERE model = ? AND state = ?", (State.REGISTERED, model, State.LIVE)
                )
            db.execute("UPDATE versions SET state = ? WHERE model = ? AND version = ?", (state, model, int(version)))
            db.execute("INSERT INTO changes VALUES (?, ?, ?, ?, ?)", (model, int(version), state, by, _now()))
            return self._find(db, model, version)

    def record(self, model: str, attempt: Attempt) -> None:
        """See `Registry.record`."""
        with self._transaction() as db:
            about = (attempt.dataset_sha256, attempt.holdout_sha256, attempt.model_sha256, attempt.gate_version)
            db.execute(schema.ADD_ATTEMPT, (model, *about, attempt.passed, json.dumps(attempt.failed), _now()))

    def attempts(self, model: str) -> Sequence[Attempt]:
        """See `Registry.attempts`."""
        with self._transaction() as db:
            return [_attempt(row) for row in db.execute(_ATTEMPTS, (model,))]

    def _keep(self, folder: Path, sha256: str) -> Path:
        kept = self._models / sha256
        if not kept.is_dir():
            staged = artifacts.staging_path(kept)
            shutil.copytree(folder, staged)
            artifacts.commit(staged, kept)
        return kept

    def _find(self, db: sqlite3.Connection, model: str, version: str) -> Version:
        if not version.isdigit():
            raise NoSuchVersion(model, version)
        found = db.execute(_SELECT + " AND version = ?", (model, int(version))).fetchone()
        if found is None:
            raise NoSuchVersion(model, version)
        return _version(found)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        db = sqlite3.connect(self._file, timeout=_SECONDS_TO_WAIT, isolation_level=None)
        try:
            db.execute("PRAGMA synchronous = FULL")
            db.execute("BEGIN IMMEDIATE")
            if (found := schema.prepare(db)) != schema.VERSION:
                raise UnreadableArtifact(self._file, f"registry of schema version {schema.VERSION}", f"version {found}")
            yield db
            db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            raise TryAgain(f"{self._file}: {error}", registry=self._file) from error
        except sqlite3.DatabaseError as error:
            raise UnreadableArtifact(self._file, "registry", str(error)) from error
        finally:
            # Closing rolls back what was not committed.
            db.close()


def _version(row: tuple[Any, ...]) -> Version:
    model, version, sha256, uri, state, contract_version, created_at, facts = row
    return Version(model, str(version), sha256, uri, State(state), contract_version, created_at, json.loads(facts))


def _attempt(row: tuple[Any, ...]) -> Attempt:
    dataset, holdout, model, gate, passed, failed, recorded_at = row
    return Attempt(dataset, holdout, model, gate, bool(passed), tuple(json.loads(failed)), recorded_at)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
