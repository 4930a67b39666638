"""A registry of an older schema is brought to the present one in place, once, and keeps all that was in it."""

import json
import sqlite3
import subprocess
from pathlib import Path

import pytest
from brakeline_register import schema
from brakeline_register.attempts import Attempt
from brakeline_register.registry import Source, State
from brakeline_register.sqlite import SqliteRegistry
from stepkit.errors import TryAgain

from tests.conftest import BIN
from tests.register.registries import NAME, entry

# As version 0.1.0 of the step wrote it while its schema was 1: a record of the past, never to be changed.
SCHEMA_1 = """
CREATE TABLE IF NOT EXISTS versions (
    model TEXT NOT NULL, version INTEGER NOT NULL, sha256 TEXT NOT NULL, uri TEXT NOT NULL, state TEXT NOT NULL,
    contract_version INTEGER NOT NULL, created_at TEXT NOT NULL, facts TEXT NOT NULL,
    PRIMARY KEY (model, version), UNIQUE (model, sha256));
CREATE UNIQUE INDEX IF NOT EXISTS one_live ON versions (model) WHERE state = 'live';
CREATE TABLE IF NOT EXISTS changes (
    model TEXT NOT NULL, version INTEGER NOT NULL, state TEXT NOT NULL, by TEXT NOT NULL, at TEXT NOT NULL);
PRAGMA user_version = 1;
"""
FACTS = {"overall": {"mae_m": 1.5}, "training": {"dataset_sha256": "d" * 64}, "holdout": "f" * 64, "gate": 2}
WHEN = ("2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00")
ROWS = [
    (NAME, 1, "a" * 64, "/models/a", "registered", 1, WHEN[0], json.dumps(FACTS)),
    (NAME, 2, "b" * 64, "/models/b", "live", 1, WHEN[1], json.dumps({**FACTS, "training": {}})),
    (NAME, 3, "c" * 64, "/models/c", "registered", 1, WHEN[1], json.dumps({"mae_m": 9.9})),
    ("another", 1, "a" * 64, "/models/a", "registered", 1, WHEN[1], json.dumps(FACTS)),
]
CHANGES = [(NAME, 1, "live", "ann", WHEN[0]), (NAME, 2, "live", "bob", WHEN[1])]


# As it was written while the schema was 2: the same, and attempts.
SCHEMA_2 = (
    SCHEMA_1
    + """
CREATE TABLE IF NOT EXISTS attempts (
    number INTEGER PRIMARY KEY, model TEXT NOT NULL, dataset_sha256 TEXT, holdout_sha256 TEXT NOT NULL,
    model_sha256 TEXT NOT NULL, gate_version INTEGER NOT NULL, passed INTEGER NOT NULL, failed TEXT NOT NULL,
    recorded_at TEXT NOT NULL, UNIQUE (model, model_sha256, holdout_sha256, gate_version));
PRAGMA user_version = 2;
"""
)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A registry of schema 1 with versions and changes."""
    file = tmp_path / "registry.sqlite"
    with sqlite3.connect(file) as db:
        db.executescript(SCHEMA_1)
        db.executemany("INSERT INTO versions VALUES (?, ?, ?, ?, ?, ?, ?, ?)", ROWS)
        db.executemany("INSERT INTO changes VALUES (?, ?, ?, ?, ?)", CHANGES)
    return file


def dump(file: Path) -> list[str]:
    with sqlite3.connect(file) as db:
        return [*db.iterdump(), f"version {db.execute('PRAGMA user_version').fetchone()[0]}"]


def test_versions_and_changes_are_kept(old: Path) -> None:
    """Every row is as it was, the live version is live, and the file is of the present schema."""
    live = SqliteRegistry(old).live(NAME)
    assert live is not None
    assert (live.version, live.uri) == ("2", "/models/b")
    with sqlite3.connect(old) as db:
        told = "model, version, sha256, uri, state, contract_version, created_at, facts"
        assert db.execute(f"SELECT {told} FROM versions ORDER BY model DESC, version").fetchall() == ROWS
        assert db.execute("SELECT model, version, state, by, at FROM changes").fetchall() == CHANGES
        assert db.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)


def test_schema_2_is_migrated_too(tmp_path: Path) -> None:
    """Its attempts stay as they are, none is made up from versions; what it did not know is empty."""
    file = tmp_path / "registry.sqlite"
    with sqlite3.connect(file) as db:
        db.executescript(SCHEMA_2)
        db.executemany("INSERT INTO versions VALUES (?, ?, ?, ?, ?, ?, ?, ?)", ROWS)
        db.executemany("INSERT INTO changes VALUES (?, ?, ?, ?, ?)", CHANGES)
        db.execute("INSERT INTO attempts VALUES (7, ?, 'd', 'h', 'm', 2, 0, '[\"parity\"]', ?)", (NAME, WHEN[0]))
    kept = SqliteRegistry(file)
    assert kept.attempts(NAME) == [Attempt("d", "h", "m", 2, False, ("parity",), WHEN[0])]
    version = kept.find(NAME, "1")
    assert (version.format, version.source, version.papers, version.folder_sha256) == ("onnx", Source(), {}, "")
    assert [(change.version, change.by, change.why) for change in kept.changes(NAME)] == [
        ("1", "ann", ""),
        ("2", "bob", ""),
    ]
    SqliteRegistry(tmp_path / "new.sqlite").list(NAME)
    made, migrated = (
        sorted(line for line in dump(one) if line.startswith(("CREATE", "version")))
        for one in (tmp_path / "new.sqlite", file)
    )
    assert made == migrated


def test_what_was_registered_counts_as_judged(old: Path) -> None:
    """A version is an attempt that passed, as far as its facts tell; of refusals schema 1 knew nothing."""
    assert SqliteRegistry(old).attempts(NAME) == [
        Attempt("d" * 64, "f" * 64, "a" * 64, 2, True, (), WHEN[0]),
        Attempt(None, "f" * 64, "b" * 64, 2, True, (), WHEN[1]),
    ]
    assert len(SqliteRegistry(old).attempts("another")) == 1


def test_a_migrated_registry_is_one_made_new(old: Path, tmp_path: Path) -> None:
    """The same tables and indices, and all that a registry does goes on."""
    SqliteRegistry(tmp_path / "new.sqlite").list(NAME)
    SqliteRegistry(old).list(NAME)
    made, migrated = (
        [line for line in dump(file) if line.startswith(("CREATE", "version"))]
        for file in (tmp_path / "new.sqlite", old)
    )
    assert made == migrated
    assert SqliteRegistry(old).add(NAME, entry("e")).version == "4"
    SqliteRegistry(old).set_state(NAME, "4", State.LIVE, by="cat")
    assert [version.state for version in SqliteRegistry(old).list(NAME)].count(State.LIVE) == 1


def test_a_migration_that_fails_leaves_the_old_registry(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut down at its last step it leaves no trace, and the next opener does it all."""
    before = dump(old)
    monkeypatch.setattr(schema, "VERSION", "no number")
    with pytest.raises(TryAgain):
        SqliteRegistry(old).list(NAME)
    assert dump(old) == before
    monkeypatch.undo()
    assert len(SqliteRegistry(old).attempts(NAME)) == 2


def test_many_openers_migrate_once(old: Path) -> None:
    """Six processes open an old registry at once, half of them to record: nobody fails, nothing is lost or doubled."""
    attempt = "Attempt('d' * 64, 'f' * 64, sys.argv[2] * 64, 2, False, ('parity',))"
    script = (
        "import sys; from pathlib import Path; from brakeline_register.sqlite import SqliteRegistry;"
        "from brakeline_register.attempts import Attempt; kept = SqliteRegistry(Path(sys.argv[1]));"
        f"kept.record('{NAME}', {attempt}) if sys.argv[2] else kept.attempts('{NAME}')"
    )
    words = [str(BIN / "python"), "-c", script, str(old)]
    calls = [subprocess.Popen([*words, who], stderr=subprocess.PIPE, text=True) for who in ("7", "", "8", "", "9", "")]
    for call in calls:
        assert call.wait(60) == 0, call.communicate()[1]
    found = [one.model_sha256[0] for one in SqliteRegistry(old).attempts(NAME)]
    assert found[:2] == ["a", "b"]
    assert sorted(found[2:]) == ["7", "8", "9"]
