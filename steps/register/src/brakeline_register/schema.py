"""Tables of the embedded registry, and the way from each older schema to the present one, in place."""

import json
import sqlite3
from collections.abc import Iterator
from typing import Any

VERSION = 3

_VERSION_1 = """
CREATE TABLE IF NOT EXISTS versions (
    model TEXT NOT NULL, version INTEGER NOT NULL, sha256 TEXT NOT NULL, uri TEXT NOT NULL, state TEXT NOT NULL,
    contract_version INTEGER NOT NULL, created_at TEXT NOT NULL, facts TEXT NOT NULL,
    PRIMARY KEY (model, version), UNIQUE (model, sha256));
CREATE UNIQUE INDEX IF NOT EXISTS one_live ON versions (model) WHERE state = 'live';
CREATE TABLE IF NOT EXISTS changes (
    model TEXT NOT NULL, version INTEGER NOT NULL, state TEXT NOT NULL, by TEXT NOT NULL, at TEXT NOT NULL);
"""
# `number` keeps the order in which attempts came; a dataset that its model does not tell is NULL.
_VERSION_2 = """
CREATE TABLE IF NOT EXISTS attempts (
    number INTEGER PRIMARY KEY, model TEXT NOT NULL, dataset_sha256 TEXT, holdout_sha256 TEXT NOT NULL,
    model_sha256 TEXT NOT NULL, gate_version INTEGER NOT NULL, passed INTEGER NOT NULL, failed TEXT NOT NULL,
    recorded_at TEXT NOT NULL, UNIQUE (model, model_sha256, holdout_sha256, gate_version));
"""
# What a version of an older schema does not tell is empty.
_VERSION_3 = """
ALTER TABLE versions ADD COLUMN folder_sha256 TEXT NOT NULL DEFAULT '';
ALTER TABLE versions ADD COLUMN format TEXT NOT NULL DEFAULT 'onnx';
ALTER TABLE versions ADD COLUMN format_version TEXT NOT NULL DEFAULT '';
ALTER TABLE versions ADD COLUMN source TEXT NOT NULL DEFAULT '{}';
ALTER TABLE versions ADD COLUMN papers TEXT NOT NULL DEFAULT '{}';
ALTER TABLE changes ADD COLUMN why TEXT NOT NULL DEFAULT '';
"""
ADD_ATTEMPT = """
INSERT INTO attempts
    (model, dataset_sha256, holdout_sha256, model_sha256, gate_version, passed, failed, recorded_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (model, model_sha256, holdout_sha256, gate_version) DO NOTHING
"""


def prepare(db: sqlite3.Connection) -> int:
    """Bring a registry to the present schema within the open transaction; returns the schema version it then has.

    One that is of no known schema is left as it is.
    """
    (found,) = db.execute("PRAGMA user_version").fetchone()
    if found not in (0, 1, 2):
        return int(found)
    if found == 0:
        _run(db, _VERSION_1)
    if found < 2:
        _run(db, _VERSION_2)
        db.executemany(ADD_ATTEMPT, list(_attempts_of_versions(db)))
    _run(db, _VERSION_3)
    db.execute(f"PRAGMA user_version = {VERSION}")
    return VERSION


def _run(db: sqlite3.Connection, statements: str) -> None:
    # Not executescript: it would commit the transaction that keeps other processes out.
    for statement in filter(str.strip, statements.split(";")):
        db.execute(statement)


def _attempts_of_versions(db: sqlite3.Connection) -> Iterator[tuple[Any, ...]]:
    """What schema 1 knows of attempts: each registered version was judged once and passed. Refusals left no trace."""
    rows = db.execute("SELECT model, sha256, created_at, facts FROM versions ORDER BY model, version")
    for model, sha256, created_at, text in rows:
        facts = json.loads(text)
        training, holdout, gate = facts.get("training") or {}, facts.get("holdout"), facts.get("gate")
        if isinstance(holdout, str) and isinstance(gate, int):
            yield model, training.get("dataset_sha256"), holdout, sha256, gate, True, "[]", created_at
