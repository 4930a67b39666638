"""Sizes and folders from the environment."""

from pathlib import Path

import pytest
from brakeline_notebooks import settings


def test_sizes_are_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the name of the field; faulty rows follow the holdout's."""
    monkeypatch.setenv("BRAKELINE_NOTEBOOK_HOLDOUT_ROWS", "900")
    size = settings.size()
    assert (size.holdout_rows, size.faulty_rows, size.rows) == (900, 600, 30_000)


@pytest.mark.parametrize("found", ["", "many", "0", "-3", "1e3"])
def test_a_size_that_is_none_is_refused(found: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the variable, what was found, and what is allowed."""
    monkeypatch.setenv("BRAKELINE_NOTEBOOK_ROWS", found)
    with pytest.raises(settings.UnusableSetting, match=rf"BRAKELINE_NOTEBOOK_ROWS: found '{found}', allowed a whole"):
        settings.size()


def test_a_misspelt_size_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a notebook would run for hours at another size than was meant."""
    monkeypatch.setenv("BRAKELINE_NOTEBOOK_ROWZ", "9")
    with pytest.raises(settings.UnusableSetting, match=r"BRAKELINE_NOTEBOOK_ROWZ: .*allowed BRAKELINE_NOTEBOOK_ROWS, "):
        settings.size()


def test_a_state_that_cannot_be_written_is_told_with_its_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Before any work: a file in its place here, as rights stop no test that is root."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("BRAKELINE_STATE", str(tmp_path / "file" / "state"))
    with pytest.raises(settings.UnusableSetting, match=r"BRAKELINE_STATE: found .*/file/state, .*set BRAKELINE_STATE"):
        settings.state()
    monkeypatch.setenv("BRAKELINE_STATE", str(tmp_path))
    with pytest.raises(settings.UnusableSetting, match=r"BRAKELINE_STATE: found .*/file, which cannot be written"):
        settings.fresh("file")
    assert (tmp_path / "file").is_file()


def test_the_state_is_beside_the_notebook_or_where_it_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """And a fresh folder in it has nothing of the run before."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BRAKELINE_STATE", raising=False)
    assert settings.state() == tmp_path / ".brakeline"
    monkeypatch.setenv("BRAKELINE_STATE", str(tmp_path / "elsewhere"))
    (settings.fresh("work") / "old").touch()
    assert list(settings.fresh("work").iterdir()) == []
    assert settings.fresh("work").parent == tmp_path / "elsewhere"


def test_the_recorded_stops_are_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A file beside the notebook goes before the checkout's."""
    monkeypatch.chdir(tmp_path)
    assert settings.recorded().parts[-2:] == ("examples", "recorded_stops.csv")
    (tmp_path / "recorded_stops.csv").touch()
    assert settings.recorded() == tmp_path / "recorded_stops.csv"
