"""build.py: it says what a machine lacks, tidies up after a killed set-up, and reports benchmarks in one form."""

import importlib.util
import json
import shutil
import types
from pathlib import Path

import pytest

from tests.conftest import HOUSE, Chain, command


@pytest.fixture
def build() -> types.ModuleType:
    spec = importlib.util.spec_from_file_location("build", HOUSE / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_python_without_venv_is_told_what_to_install(
    build: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the package for Debian and for RHEL, and the way around."""
    monkeypatch.setattr(build, "_importable", lambda _: False)
    monkeypatch.setattr(build.shutil, "which", lambda *_, **__: None)
    with pytest.raises(SystemExit) as ended:
        build.check_machine()
    for word in ("python3-venv", "dnf", "uv"):
        assert word in str(ended.value)


def test_an_old_python_is_told_so(build: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found and wanted version are in the message."""
    monkeypatch.setattr(build.sys, "version_info", (3, 9, 2))
    with pytest.raises(SystemExit, match=r"3\.11 or newer"):
        build.check_machine()


def test_another_platform_is_told_what_holds_there(
    build: types.ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Elsewhere than on Linux x86-64 it says at once what is not promised, and goes on."""
    monkeypatch.setattr(build.platform, "machine", lambda: "arm64")
    build.check_machine()
    assert "only Linux x86-64 is supported" in capsys.readouterr().err


def test_the_set_up_is_done_once_and_again_when_the_locks_change(
    build: types.ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stamp of other locks, or none after a kill, means a new set-up; the right stamp means none."""
    calls: list[str] = []
    monkeypatch.setattr(build, "HOUSE", tmp_path)
    monkeypatch.setattr(build, "_fingerprint", lambda _: "these locks")

    def install(_: list[str], doing: str) -> None:
        (tmp_path / ".venv").mkdir(exist_ok=True)
        calls.append(doing)

    monkeypatch.setattr(build, "_install", install)
    build.ensure_environment(tmp_path / ".venv")
    assert len(calls) == 3
    build.ensure_environment(tmp_path / ".venv")
    assert len(calls) == 3
    (tmp_path / ".venv" / "brakeline.stamp").write_text("other locks")
    build.ensure_environment(tmp_path / ".venv")
    assert len(calls) == 6


def test_a_run_waits_for_no_more_than_it_takes(
    build: types.ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run's environment is of its own lock; the whole one does too, and what else there is needs the whole one."""
    asked: list[str] = []
    monkeypatch.setattr(build, "HOUSE", tmp_path)
    monkeypatch.setattr(build, "_fingerprint", lambda lock: lock.name)

    def install(command: list[str], _: str) -> None:
        (tmp_path / ".venv").mkdir(exist_ok=True)
        asked.extend(word.rpartition("/")[2] for word in command if word.endswith(".lock"))

    monkeypatch.setattr(build, "_install", install)
    for lock in (build.RUN_LOCK, build.RUN_LOCK, build.LOCK, build.RUN_LOCK, build.LOCK):
        build.ensure_environment(tmp_path / ".venv", lock)
    assert asked == ["requirements-run.lock", "requirements.lock"]


def test_an_environment_without_pip_gets_one_where_uv_is_gone(
    build: types.ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """uv makes environments without pip; a set-up after it, by pip, begins with that."""
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").touch()
    done: list[str] = []
    monkeypatch.setattr(build, "HOUSE", tmp_path)
    monkeypatch.setattr(build, "_fingerprint", lambda lock: lock.name)
    monkeypatch.setattr(build.shutil, "which", lambda *_, **__: None)
    monkeypatch.setattr(build, "_install", lambda command, _: done.append(" ".join(command[1:4])))
    build.ensure_environment(tmp_path / ".venv")
    assert done[0] == f"-m venv {tmp_path / '.venv'}"
    assert done[1].startswith("-m pip install")


def test_installs_are_checked_by_hash(build: types.ModuleType) -> None:
    """Nothing is installed whose hash is not in the lock."""
    source = Path(build.__file__ or "").read_text()
    assert '"--require-hashes", "-r", str(lock)' in source
    assert '"--no-deps", "--no-build-isolation"' in source


@pytest.mark.slow
def test_a_benchmark_reports_in_the_agreed_form() -> None:
    """One JSON object: bench, quick or not, machine, figures with value, unit, aim, met and rounds."""
    words = ("bench", "runner", "--quick", "--json")
    told = json.loads(command("python", HOUSE / "build.py", *words).stdout)
    assert (told["bench"], told["quick"]) == ("runner", True)
    assert told["machine"]["cores"] >= 1
    for figure in told["figures"]:
        assert figure.keys() == {"name", "value", "unit", "aim", "met", "rounds"}
        assert len(figure["rounds"]) == 1


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not on this machine")
def test_the_servers_benchmark_measures_against_its_limits(tiny: Chain) -> None:
    """Without the peers: answers are compared, every round is asked, and no figure is missing or nonsense."""
    words = ("bench", "serving", "--quick", "--json", "--model", tiny.model / "model.onnx")
    done = command("python", HOUSE / "build.py", *words)
    assert done.code == 0, done.stderr
    told = json.loads(done.stdout)
    assert {"ours", "echo", "pinning"} <= told["notes"].keys()
    figures = {figure["name"]: figure for figure in told["figures"]}
    assert figures["CPU per request / echo's, 64 connections"]["aim"] == "<= 4"
    assert all(0 < figure["value"] < 1e7 and len(figure["rounds"]) == 1 for figure in figures.values())
