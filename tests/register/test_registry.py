"""The registry: nothing enters without a passed verdict, the same content is one version, one version is live."""

import json
import shutil
import sqlite3
import subprocess
from pathlib import Path

import pytest
from brakeline_register.registry import NoSuchVersion, State, open_registry
from brakeline_register.sqlite import SqliteRegistry
from stepkit.errors import StepError, TryAgain, UnreadableArtifact
from stepkit.verdict import sealed

from tests.conftest import BIN, Chain, Done, command

NAME = "stopping-distance"


@pytest.fixture
def registry(tmp_path: Path) -> SqliteRegistry:
    return SqliteRegistry(tmp_path / "registry.sqlite")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "model"
    made.mkdir()
    (made / "model.onnx").write_bytes(b"a graph")
    return made


def add(chain: Chain, out: Path, verdict: Path | None = None, model: Path | None = None) -> Done:
    return command(
        "brakeline-register", "add", "--model", model or chain.model, "--passed-verdict", verdict or chain.verdict,
        "--registered", out / "registered", "--registry", f"sqlite:///{out}/registry.sqlite",
    )  # fmt: skip


def test_the_same_content_is_one_version(registry: SqliteRegistry, folder: Path) -> None:
    """Adding again changes nothing; other content is the next version."""
    first = registry.add(NAME, folder, "a" * 64, 1, {"mae_m": 1.5})
    assert registry.add(NAME, folder, "a" * 64, 1, {"mae_m": 9.9}) == first
    assert registry.add(NAME, folder, "b" * 64, 1, {}).version == "2"
    assert [version.version for version in registry.list(NAME)] == ["1", "2"]
    assert first.facts == {"mae_m": 1.5}


def test_versions_outlive_the_run_that_made_them(registry: SqliteRegistry, folder: Path) -> None:
    """The URI stays readable after the run's own folder is gone."""
    version = registry.add(NAME, folder, "a" * 64, 1, {})
    shutil.rmtree(folder)
    assert (Path(version.uri) / "model.onnx").read_bytes() == b"a graph"


def test_one_version_is_live(registry: SqliteRegistry, folder: Path) -> None:
    """A new live version retires the old one; who did it is on record."""
    for sha256 in ("a" * 64, "b" * 64):
        registry.add(NAME, folder, sha256, 1, {})
    assert registry.live(NAME) is None
    registry.set_state(NAME, "1", State.LIVE, by="ann")
    registry.set_state(NAME, "2", State.LIVE, by="bob")
    assert [version.state for version in registry.list(NAME)] == [State.REGISTERED, State.LIVE]
    with sqlite3.connect(registry._file) as db:
        assert db.execute("SELECT version, state, by FROM changes").fetchall() == [
            (1, "live", "ann"),
            (2, "live", "bob"),
        ]


def test_names_do_not_mix(registry: SqliteRegistry, folder: Path) -> None:
    """Versions are counted by model name."""
    registry.add("one", folder, "a" * 64, 1, {})
    assert registry.add("two", folder, "a" * 64, 1, {}).version == "1"
    assert registry.live("two") is None


@pytest.mark.parametrize("version", ["7", "latest", "-1", ""])
def test_an_unknown_version_is_named(registry: SqliteRegistry, version: str) -> None:
    """Asking for what is not there ends with 65."""
    with pytest.raises(NoSuchVersion, match="no version") as missing:
        registry.find(NAME, version)
    assert missing.value.exit_code == 65


def test_what_is_no_registry_is_not_touched(tmp_path: Path, folder: Path) -> None:
    """A file that is not ours, or of a schema to come, is refused and left as it is."""
    file = tmp_path / "registry.sqlite"
    file.write_text("not a database, whatever its name says, and long enough to be looked at" * 20)
    before = file.read_bytes()
    with pytest.raises(UnreadableArtifact):
        SqliteRegistry(file).add(NAME, folder, "a" * 64, 1, {})
    assert file.read_bytes() == before
    future = tmp_path / "future.sqlite"
    with sqlite3.connect(future) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(UnreadableArtifact, match="version 99"):
        SqliteRegistry(future).list(NAME)


def test_a_locked_registry_asks_to_try_again(
    registry: SqliteRegistry, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another writer that does not end is a passing condition (75), not a bug."""
    registry.add(NAME, folder, "a" * 64, 1, {})
    monkeypatch.setattr("brakeline_register.sqlite._SECONDS_TO_WAIT", 0.1)
    with sqlite3.connect(registry._file, isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(TryAgain) as locked:
            registry.list(NAME)
    assert locked.value.exit_code == 75


def test_an_unknown_kind_of_registry_is_a_usage_error() -> None:
    """The message says what was found and what is allowed."""
    with pytest.raises(StepError, match=r"found 'ftp://x', allowed sqlite:///PATH") as refused:
        open_registry("ftp://x")
    assert refused.value.exit_code == 2


def test_concurrent_writers_neither_lose_nor_double(good: Chain, tmp_path: Path) -> None:
    """Six processes add two models at once: two versions, each once."""
    calls = []
    for number in range(6):
        script = (
            "import sys; from pathlib import Path; from brakeline_register.sqlite import SqliteRegistry;"
            f"SqliteRegistry(Path(sys.argv[1])).add('{NAME}', Path(sys.argv[2]), '{number % 2}' * 64, 1, {{}})"
        )
        words = [str(BIN / "python"), "-c", script, str(tmp_path / "registry.sqlite"), str(good.model)]
        calls.append(subprocess.Popen(words, stderr=subprocess.PIPE, text=True))
    for call in calls:
        assert call.wait(60) == 0, call.communicate()[1]
    versions = SqliteRegistry(tmp_path / "registry.sqlite").list(NAME)
    assert sorted(version.sha256[0] for version in versions) == ["0", "1"]
    assert [version.version for version in versions] == ["1", "2"]


def test_register_refuses_without_a_passed_verdict(good: Chain, tiny: Chain, tmp_path: Path) -> None:
    """Failed, altered, empty, of another schema, about another model: 65 each time, and the registry stays empty."""
    passed = json.loads(good.verdict.read_text())
    one_failed = passed["gates"][1] | {"passed": False}
    beyond = passed["gates"][1] | {"value": passed["gates"][1]["limit"] + 1}
    wrong = {
        "failed": sealed(passed | {"passed": False}),
        "passed by a word": sealed(passed | {"passed": "true"}),
        "a gate failed": sealed(passed | {"gates": [one_failed]}),
        "a value beyond its limit": sealed(passed | {"gates": [beyond]}),
        "no gates": sealed(passed | {"gates": []}),
        "another schema": sealed(passed | {"schema_version": 1}),
        "another model": sealed(passed | {"model_sha256": "0" * 64}),
        "altered": passed | {"seed": passed["seed"] + 1},
        "without a seal": {key: value for key, value in passed.items() if key != "seal"},
        "not a verdict": ["passed"],
    }
    for name, content in wrong.items():
        file = tmp_path / "verdict.json"
        file.write_text(json.dumps(content))
        done = add(good, tmp_path, verdict=file)
        assert done.code == 65, name
        assert not (tmp_path / "registered").exists(), name
    assert add(good, tmp_path, model=tiny.model).code == 65
    assert not (tmp_path / "registry.sqlite").exists()


def test_the_champion_is_the_live_version(good: Chain, tmp_path: Path) -> None:
    """None before the first promotion; then the very graph, and a damaged copy is refused."""
    where = ("--registry", f"sqlite:///{tmp_path}/registry.sqlite")
    assert add(good, tmp_path).code == 0
    assert command("brakeline-register", "champion", "--live", tmp_path / "none", *where).result["version"] is None
    promoted = command(
        "brakeline-register", "promote", "--registered", tmp_path / "registered", "--promoted", tmp_path / "p", *where
    )
    assert promoted.result["state"] == "live"
    assert command("brakeline-register", "champion", "--live", tmp_path / "live", *where).result["version"] == "1"
    assert (tmp_path / "live" / "model.onnx").read_bytes() == (good.model / "model.onnx").read_bytes()
    (version,) = command("brakeline-register", "list", *where).result["versions"]
    assert command("brakeline-register", "show", "--version", "1", *where).result["sha256"] == version["sha256"]
    graph = Path(version["uri"]) / "model.onnx"
    graph.write_bytes(graph.read_bytes()[:-1] + b"?")
    damaged = command("brakeline-register", "champion", "--live", tmp_path / "damaged", *where)
    assert damaged.code == 65
    assert "altered" in damaged.error["message"]
    assert not (tmp_path / "damaged").exists()
