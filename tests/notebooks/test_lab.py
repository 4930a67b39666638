"""The start of JupyterLab: what its controller asks for, and whose files are whose."""

import json
from pathlib import Path

import nbformat
import pytest
from brakeline_notebooks import form, lab

from tests.conftest import HOUSE

# As the dashboard writes it: blanks and line ends between, quotes that no shell takes away.
ARGS = """--ServerApp.port=8888
          --ServerApp.token=''
          --ServerApp.base_url=/notebook/distance-prediction/build-model
          --ServerApp.tornado_settings={"user":"ann","hub_host":"https://h","hub_prefix":"/projects/p"}"""


def test_a_workbench_starts_as_its_controller_asks(tmp_path: Path) -> None:
    """NOTEBOOK_ARGS go before our own settings, none twice; NB_PREFIX is the path where they name none."""
    words = lab.words({"NOTEBOOK_ARGS": ARGS, "NB_PREFIX": "/notebook/a/b"}, tmp_path, is_workbench=True)
    assert words[1:3] == ["-m", "jupyterlab"]
    assert f"--ServerApp.root_dir={tmp_path}" in words
    assert [word for word in words if "base_url" in word] == [
        "--ServerApp.base_url=/notebook/distance-prediction/build-model"
    ]
    by_prefix = lab.words({"NB_PREFIX": "/notebook/a/b"}, tmp_path, is_workbench=True)
    assert "--ServerApp.base_url=/notebook/a/b" in by_prefix
    assert words[-1].startswith('--ServerApp.tornado_settings={"user":"ann"')
    assert not [word for word in words if "pre_save_hook" in word]


def test_on_a_laptop_nothing_listens_beyond_it_and_outputs_are_not_saved(tmp_path: Path) -> None:
    """Jupyter's own token and loopback stand; what is saved has git's form."""
    words = lab.words({}, tmp_path, is_workbench=False, more=["--no-browser"])
    assert not [word for word in words if "ServerApp.ip" in word or "allow_origin" in word or "token" in word]
    assert "--FileContentsManager.pre_save_hook=brakeline_notebooks.form.before_save" in words
    assert words[-1] == "--no-browser"


def test_terminals_are_offered_where_there_is_a_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our own base has none, so none is offered there."""
    assert "--ServerApp.terminals_enabled=False" not in lab.words({}, tmp_path, is_workbench=True)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "--ServerApp.terminals_enabled=False" in lab.words({}, tmp_path, is_workbench=True)


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """What an image brings: a notebook and a table."""
    folder = tmp_path / "shared"
    folder.mkdir()
    (folder / "pipeline.ipynb").write_bytes((HOUSE / "notebooks" / "pipeline.ipynb").read_bytes())
    (folder / "recorded_stops.csv").write_text("a\n1\n")
    return folder


def edit(file: Path, source: str | None = None, output: bool = False) -> None:
    """Run a notebook's last cell, so to speak, or write another line into it."""
    content = nbformat.read(file, as_version=4)
    if output:
        content.cells[-1].outputs = [nbformat.v4.new_output("stream", text="x")]
    if source is not None:
        content.cells[-1].source = source
    nbformat.write(content, file)


def test_a_person_gets_copies_once_and_keeps_what_was_changed(shared: Path, tmp_path: Path) -> None:
    """A newer notebook replaces one that was only run, and none that was edited; what was deleted comes again."""
    mine = tmp_path / "home" / "notebooks"
    lab.hand_out(shared, mine)
    notebook, table = mine / "pipeline.ipynb", mine / "recorded_stops.csv"
    assert notebook.read_bytes() == (shared / "pipeline.ipynb").read_bytes()

    edit(notebook, output=True)
    lab.hand_out(shared, mine)
    assert "outputs" in notebook.read_text()
    assert nbformat.read(notebook, as_version=4).cells[-1].outputs, "an unchanged image takes no outputs away"

    edit(shared / "pipeline.ipynb", source="newer")
    lab.hand_out(shared, mine)
    assert nbformat.read(notebook, as_version=4).cells[-1].source == "newer"

    edit(notebook, source="mine")
    edit(shared / "pipeline.ipynb", source="newest")
    table.unlink()
    lab.hand_out(shared, mine)
    assert nbformat.read(notebook, as_version=4).cells[-1].source == "mine"
    assert table.read_text() == "a\n1\n"


def test_a_file_of_the_same_name_that_was_there_before_stays(shared: Path, tmp_path: Path) -> None:
    """What nobody of us delivered is the person's own, also if it is no notebook at all."""
    mine = tmp_path / "notebooks"
    mine.mkdir()
    (mine / "pipeline.ipynb").write_text("not a notebook")
    lab.hand_out(shared, mine)
    assert (mine / "pipeline.ipynb").read_text() == "not a notebook"
    assert set(json.loads((mine / ".delivered.json").read_text())) == {"recorded_stops.csv"}
    assert form.problems(shared / "pipeline.ipynb") == []
