"""What each runner tells a step of its code: revision, and image or sources."""

import subprocess
from pathlib import Path

import pytest
import yaml
from brakeline import images, local, narrator, process, record, revision
from stepkit import lineage, reuse

from tests.conftest import HOUSE


@pytest.fixture(autouse=True)
def unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is told by the environment of the tests."""
    monkeypatch.delenv(revision.REVISION, raising=False)
    monkeypatch.delenv(revision.IMAGE, raising=False)


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one commit, in the house's place."""
    git(tmp_path, "init", "-q")
    (tmp_path / "file").write_text("1")
    git(tmp_path, "add", "file")
    git(tmp_path, "-c", "user.name=x", "-c", "user.email=x@example.com", "commit", "-qm", "one")
    monkeypatch.setattr(revision, "HOUSE", tmp_path)
    return tmp_path


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_kit_and_runners_name_the_same_variables() -> None:
    """Neither imports the other."""
    assert (revision.REVISION, revision.IMAGE) == (lineage.REVISION, lineage.IMAGE)


def test_a_clean_tree_is_its_commit(tree: Path) -> None:
    """Forty digits, and nothing else."""
    assert revision.here() == git(tree, "rev-parse", "HEAD")
    assert len(revision.here()) == 40


def test_a_changed_tree_is_dirty(tree: Path) -> None:
    """The commit is not what runs."""
    (tree / "file").write_text("2")
    assert revision.here() == f"{git(tree, 'rev-parse', 'HEAD')}-dirty"


def test_within_somebody_elses_repository_there_is_none(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that lies in a repository is not of its revision."""
    (tree / "environment").mkdir()
    monkeypatch.setattr(revision, "HOUSE", tree / "environment")
    assert revision.here() == ""


def test_without_git_there_is_none(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No program of that name, no error."""
    monkeypatch.setenv("PATH", str(tree / "nowhere"))
    assert revision.here() == ""


def test_what_the_environment_says_counts(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For code that was taken out of git."""
    monkeypatch.setenv(revision.REVISION, "release 3")
    assert revision.here() == "release 3"


def test_a_process_is_told_its_sources_and_takes_them_for_no_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The started step hears a name with the sources' hash; to the kit the code stays unknown."""
    file = tmp_path / "told.sh"
    file.write_text('#!/bin/sh\necho "$BRAKELINE_IMAGE $BRAKELINE_REVISION" > "$1"\n')
    file.chmod(0o755)
    monkeypatch.setattr(process, "script", lambda _: str(file))
    monkeypatch.setenv(revision.REVISION, "0123abc")
    kept = record.RunRecord("run-1", "process", tmp_path / "runs", {})
    runner = local.LocalRunner(kept, narrator.ForMachines(), None, process.Processes())
    runner.current.set(local.Attempt("fit", "fit", in_loop=False))
    handler = process.Processes().replacements(runner)["SubprocessTaskHandler"]
    told = {revision.IMAGE: images.reference("train")}
    assert handler(full_command=["brakeline-train", str(tmp_path / "told")], env_vars=told).run()
    image, known = (tmp_path / "told").read_text().split()
    assert image == f"sources:brakeline/train@{images.source_hash('train')[:20]}"
    assert known == "0123abc"
    monkeypatch.setenv(revision.IMAGE, image)
    assert reuse.code_identity() == ""


def test_composes_steps_are_told_the_revision() -> None:
    """Each step of the chain has the variable that build.py names; an empty one starts too."""
    services = yaml.safe_load((HOUSE / "compose.yaml").read_text())["services"]
    steps = [service for service in services.values() if "/state/artifacts" in str(service.get("command"))]
    assert len(steps) == 13
    for service in steps:
        assert service["environment"] == {revision.REVISION: "${BRAKELINE_REVISION:-}"}
