"""The drill of docs/openshift/backup.md, as far as a file and a folder go: what was backed up comes back whole."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from stepkit import artifacts

from tests.conftest import command
from tests.register.test_verbs import ask, fetch, released

__all__ = ["released"]


def copied(registry: Path, to: Path) -> None:
    """SQLite's own copy, which is whole while others write."""
    with closing(sqlite3.connect(registry)) as source, closing(sqlite3.connect(to)) as target:
        source.backup(target)


def told(out: Path) -> list[dict[str, Any]]:
    """All that the registry says: every version with its state, changes and papers, and the attempts."""
    listed = ask(out, "list").result
    shown = [ask(out, "show", "--version", one["version"]).result for one in listed["versions"]]
    return [{key: value for key, value in one.items() if key != "seconds"} for one in (listed, *shown)]


def test_a_registry_and_its_models_come_back(released: Path, tmp_path: Path) -> None:
    """Copied beside an open transaction, database first; all is lost, and put back: the same in every word and byte."""
    promoted = ("--version", "2", "--by", "ann", "--why", "reviewed", "--promoted", tmp_path / "promoted")
    assert ask(released, "promote", *promoted).code == 0
    before, backup = told(released), tmp_path / "backup"
    kept = [artifacts.sha256_of(file) for file in sorted(released.rglob("model.onnx"))]
    backup.mkdir()
    registry, models = released / "registry.sqlite", released / "registry-models"
    with closing(sqlite3.connect(registry)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        copied(registry, backup / registry.name)
        writer.rollback()
    shutil.copytree(models, backup / models.name)

    shutil.rmtree(released)
    released.mkdir()
    assert ask(released, "list").result["versions"] == []
    (released / registry.name).unlink(missing_ok=True)
    shutil.copytree(backup / models.name, models)
    copied(backup / registry.name, registry)

    assert told(released) == before
    assert [artifacts.sha256_of(file) for file in sorted(released.rglob("model.onnx"))] == kept
    for version in ("1", "2"):
        done = fetch(released, version, tmp_path / version)
        assert done.code == 0, done.stderr
    drawn = command("brakeline", "lineage", "2", environment={"BRAKELINE_STATE": str(released)})
    assert drawn.code == 0, drawn.stderr


@pytest.mark.parametrize("what", ["model.onnx", "verdict.json"])
def test_a_backup_that_rotted_is_found_out(what: str, released: Path, tmp_path: Path) -> None:
    """One bit of a model or verdict that was put back: 65, and nothing is fetched."""
    sha256 = ask(released, "show", "--version", "2").result["sha256"]
    (damaged,) = [file for file in released.rglob(what) if sha256 in str(file)]
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    done = fetch(released, "2", tmp_path / "fetched")
    assert done.code == 65
    assert str(damaged) in done.error["message"]
    assert not (tmp_path / "fetched" / "model").exists()
