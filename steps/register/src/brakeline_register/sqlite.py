"""The embedded registry: one SQLite file, transactional, safe for many processes."""

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stepkit.errors import TryAgain, UnreadableArtifact

from brakeline_register import schema
from brakeline_register.attempts import Attempt
from brakeline_register.registry import (
    Change,
    Entry,
    NoSuchVersion,
    Paper,
    Source,
    State,
    Version,
    is_number,
    next_name,
    refuse_to_archive_the_live,
)

_SECONDS_TO_WAIT = 30.0
_SELECT = """
SELECT model, version, sha256, uri, state, contract_version, created_at, facts, folder_sha256, format, format_version,
    source, papers
FROM versions WHERE
"""
_INSERT = """
INSERT INTO versions (model, version, state, created_at, sha256, uri, contract_version, facts, folder_sha256, format,
    format_version, source, papers)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_ATTEMPTS = """
SELECT dataset_sha256, holdout_sha256, model_sha256, gate_version, passed, failed, recorded_at
FROM attempts WHERE model = ? ORDER BY number
"""


class SqliteRegistry:
    """A `Registry` in a file. Safe for many processes; a committed change outlives a power cut."""

    def __init__(self, file: Path) -> None:
        self._file = file.absolute()
        self._file.parent.mkdir(parents=True, exist_ok=True)

    def add(self, model: str, entry: Entry) -> Version:
        """See `Registry.add`."""
        with self._transaction() as db:
            if known := _one(db, "model = ? AND sha256 = ?", model, entry.sha256):
                return known
            (last,) = db.execute("SELECT COALESCE(MAX(version), 0) FROM versions WHERE model = ?", (model,)).fetchone()
            db.execute(_INSERT, (model, last + 1, State.REGISTERED, _now(), *_row(entry)))
            return _find(db, model, str(last + 1))

    def find(self, model: str, version: str) -> Version:
        """See `Registry.find`."""
        with self._transaction() as db:
            return _find(db, model, version)

    def by_content(self, model: str, sha256: str) -> Version | None:
        """See `Registry.by_content`."""
        with self._transaction() as db:
            return _one(db, "model = ? AND sha256 = ?", model, sha256)

    def holders(self, sha256: str) -> Sequence[Version]:
        """See `Registry.holders`."""
        with self._transaction() as db:
            return _all(db, "sha256 = ? ORDER BY model, version", sha256)

    def list(self, model: str) -> Sequence[Version]:
        """See `Registry.list`."""
        with self._transaction() as db:
            return _all(db, "model = ? ORDER BY version", model)

    def live(self, model: str) -> Version | None:
        """See `Registry.live`."""
        with self._transaction() as db:
            return _one(db, "model = ? AND state = 'live'", model)

    def set_state(self, model: str, version: str, state: State, by: str, why: str = "") -> Version:
        """See `Registry.set_state`."""
        with self._transaction() as db:
            found = _find(db, model, version)
            if found.state is state:
                return found
            refuse_to_archive_the_live(found, state)
            if state is State.LIVE:
                db.execute(
                    "UPDATE versions SET state = ? WHERE model = ? AND state = ?", (State.REGISTERED, model, State.LIVE)
                )
            db.execute("UPDATE versions SET state = ? WHERE model = ? AND version = ?", (state, model, int(version)))
            db.execute(
                "INSERT INTO changes (model, version, state, by, at, why) VALUES (?, ?, ?, ?, ?, ?)",
                (model, int(version), state, by, _now(), why),
            )
            return _find(db, model, version)

    def add_paper(self, model: str, version: str, kind: str, paper: Paper) -> Version:
        """See `Registry.add_paper`."""
        with self._transaction() as db:
            found = _find(db, model, version)
            if name := next_name(found.papers, kind, paper):
                told = (_papers({**found.papers, name: paper}), model, int(version))
                db.execute("UPDATE versions SET papers = ? WHERE model = ? AND version = ?", told)
            return _find(db, model, version)

    def changes(self, model: str) -> Sequence[Change]:
        """See `Registry.changes`."""
        with self._transaction() as db:
            rows = db.execute(
                "SELECT version, state, by, at, why FROM changes WHERE model = ? ORDER BY rowid", (model,)
            )
            return [Change(str(version), State(state), *told) for version, state, *told in rows]

    def record(self, model: str, attempt: Attempt) -> None:
        """See `Registry.record`."""
        with self._transaction() as db:
            about = (attempt.dataset_sha256, attempt.holdout_sha256, attempt.model_sha256, attempt.gate_version)
            db.execute(schema.ADD_ATTEMPT, (model, *about, attempt.passed, json.dumps(attempt.failed), _now()))

    def attempts(self, model: str) -> Sequence[Attempt]:
        """See `Registry.attempts`."""
        with self._transaction() as db:
            return [_attempt(row) for row in db.execute(_ATTEMPTS, (model,))]

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        db = sqlite3.connect(self._file, timeout=_SECONDS_TO_WAIT, isolation_level=None)
        try:
            # EXTRA flushes the folder too: a journal that comes back after a power cut would undo what was committed.
            db.execute("PRAGMA synchronous = EXTRA")
            db.execute("BEGIN IMMEDIATE")
            if (found := schema.prepare(db)) != schema.VERSION:
                raise UnreadableArtifact(self._file, f"registry of schema version {schema.VERSION}", f"version {found}")
            yield db
            db.execute("COMMIT")
        except sqlite3.OperationalError as error:
            is_full = error.sqlite_errorcode == sqlite3.SQLITE_FULL
            advice = "; make room there, then make the same call again" if is_full else ""
            raise TryAgain(f"{self._file}: {error}{advice}", registry=self._file) from error
        except (sqlite3.DatabaseError, ValueError, TypeError, KeyError) as error:
            # What was entered is JSON of our own; where it is none any more, the file was damaged.
            told = f"{type(error).__name__}: {error}; restore it from a copy"
            raise UnreadableArtifact(self._file, "registry", told) from error
        finally:
            # Closing rolls back what was not committed.
            db.close()


def _find(db: sqlite3.Connection, model: str, version: str) -> Version:
    found = _one(db, "model = ? AND version = ?", model, int(version)) if is_number(version) else None
    if found is None:
        raise NoSuchVersion(model, version)
    return found


def _one(db: sqlite3.Connection, where: str, *values: object) -> Version | None:
    return next(iter(_all(db, where, *values)), None)


def _all(db: sqlite3.Connection, where: str, *values: object) -> Sequence[Version]:
    return [_version(row) for row in db.execute(_SELECT + where, values)]


def _row(entry: Entry) -> tuple[Any, ...]:
    return (
        entry.sha256,
        entry.uri,
        entry.contract_version,
        json.dumps(dict(entry.facts)),
        entry.folder_sha256,
        entry.format,
        entry.format_version,
        json.dumps(asdict(entry.source)),
        _papers(entry.papers),
    )


def _papers(papers: Mapping[str, Paper]) -> str:
    """As they are written; of those that came with the version nobody is told who added them."""
    return json.dumps({
        name: asdict(paper) if paper.at else {"uri": paper.uri, "sha256": paper.sha256}
        for name, paper in papers.items()
    })  # fmt: skip


def _version(row: tuple[Any, ...]) -> Version:
    model, version, sha256, uri, state, contract, created_at, facts, folder, form, form_version, source, papers = row
    return Version(
        model=model,
        version=str(version),
        state=State(state),
        created_at=created_at,
        sha256=sha256,
        uri=uri,
        contract_version=contract,
        facts=json.loads(facts),
        folder_sha256=folder,
        format=form,
        format_version=form_version,
        source=Source(**json.loads(source)),
        papers={name: Paper(**paper) for name, paper in json.loads(papers).items()},
    )


def _attempt(row: tuple[Any, ...]) -> Attempt:
    dataset, holdout, model, gate, passed, failed, recorded_at = row
    return Attempt(dataset, holdout, model, gate, bool(passed), tuple(json.loads(failed)), recorded_at)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
