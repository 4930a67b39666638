"""The embedded registry: a file that is ours or is not touched, locked by others, written by many processes."""

import sqlite3
import subprocess
from pathlib import Path

import pytest
from brakeline_register.registry import open_registry
from brakeline_register.sqlite import SqliteRegistry
from stepkit.errors import StepError, TryAgain, UnreadableArtifact

from tests.conftest import BIN
from tests.register.registries import NAME, entry


def test_what_is_no_registry_is_not_touched(tmp_path: Path) -> None:
    """A file that is not ours, or of a schema to come, is refused and left as it is."""
    file = tmp_path / "registry.sqlite"
    file.write_text("not a database, whatever its name says, and long enough to be looked at" * 20)
    before = file.read_bytes()
    with pytest.raises(UnreadableArtifact):
        SqliteRegistry(file).add(NAME, entry("a"))
    assert file.read_bytes() == before
    future = tmp_path / "future.sqlite"
    with sqlite3.connect(future) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(UnreadableArtifact, match="version 99"):
        SqliteRegistry(future).list(NAME)


def test_a_locked_registry_asks_to_try_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another writer that does not end is a passing condition (75), not a bug."""
    file = tmp_path / "registry.sqlite"
    SqliteRegistry(file).add(NAME, entry("a"))
    monkeypatch.setattr("brakeline_register.sqlite._SECONDS_TO_WAIT", 0.1)
    with sqlite3.connect(file, isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(TryAgain) as locked:
            SqliteRegistry(file).list(NAME)
    assert locked.value.exit_code == 75


def test_an_unknown_kind_of_registry_is_a_usage_error() -> None:
    """The message says what was found and what is allowed."""
    with pytest.raises(StepError, match=r"found 'ftp://x', allowed sqlite:///PATH") as refused:
        open_registry("ftp://x")
    assert refused.value.exit_code == 2


def test_concurrent_processes_neither_lose_nor_double(tmp_path: Path) -> None:
    """Six processes add two models to a registry that is not there yet: two versions, each once."""
    script = (
        "import sys; from pathlib import Path; from brakeline_register.sqlite import SqliteRegistry;"
        "from brakeline_register.registry import Entry;"
        "SqliteRegistry(Path(sys.argv[1])).add(sys.argv[2], Entry(sha256=sys.argv[3] * 64, uri='', contract_version=1))"
    )
    words = [str(BIN / "python"), "-c", script, str(tmp_path / "registry.sqlite"), NAME]
    calls = [subprocess.Popen([*words, str(one % 2)], stderr=subprocess.PIPE, text=True) for one in range(6)]
    for call in calls:
        assert call.wait(60) == 0, call.communicate()[1]
    versions = SqliteRegistry(tmp_path / "registry.sqlite").list(NAME)
    assert sorted(version.sha256[0] for version in versions) == ["0", "1"]
    assert [version.version for version in versions] == ["1", "2"]
