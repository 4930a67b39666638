"""Notebooks in git: the owner's four, without outputs, and what is saved from JupyterLab keeps them so."""

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
from brakeline_notebooks import form

from tests.conftest import HOUSE, command

NOTEBOOKS = sorted((HOUSE / "notebooks").glob("*.ipynb"))
NAMES = {"initial_development", "pipeline", "endpoint", "register_model"}


def cell(**of: Any) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "execution_count": None,
        "id": "a-cell",
        "metadata": {},
        "outputs": [],
        "source": "1",
    } | of


def written(folder: Path, *cells: dict[str, Any]) -> Path:
    """A notebook as it is, whatever is wrong with it."""
    file = folder / "some.ipynb"
    content = {"cells": list(cells), "metadata": form.METADATA, "nbformat": 4, "nbformat_minor": 5}
    file.write_text(json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    return file


def test_the_owners_four_are_there() -> None:
    """By their names, and no other."""
    assert {file.stem for file in NOTEBOOKS} == NAMES


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_git_keeps_no_outputs(file: Path) -> None:
    """No outputs, no counts, ids that stay, valid for nbformat, no shell lines."""
    assert form.problems(file) == []


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_a_notebook_tells_a_story_and_no_secret(file: Path) -> None:
    """A title first; prose before a good part of the cells; no key, no token, and no address but the loopback's."""
    cells = json.loads(file.read_text())["cells"]
    assert cells[0]["cell_type"] == "markdown"
    assert cells[0]["source"][0].startswith("# ")
    kinds = [each["cell_type"] for each in cells]
    assert kinds.count("markdown") >= kinds.count("code") / 2
    text = "".join(line for each in cells for line in each["source"])
    assert not re.search(r"PRIVATE KEY|eyJ|sha256~|AKIA|[Bb]earer [\w.]|password\s*=|secret\s*=", text)
    assert not re.search(r"https?://(?!$|[\"`) ])(?!127\.0\.0\.1)", text)


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ([cell(outputs=[{"output_type": "stream", "name": "stdout", "text": "x"}])], "found outputs"),
        ([cell(execution_count=3)], "execution count 3"),
        ([cell(source="!brakeline run")], "no Python"),
        ([cell(source="%%bash\nfalse")], "no Python"),
        ([cell(), cell()], "id of its own"),
        ([cell(id="0f3a9c1e")], "id of its own"),
        ([cell(metadata={"scrolled": True})], "not the form"),
        ([cell(cell_type="prose")], "not valid"),
    ],
)
def test_what_git_must_not_keep_is_named(wrong: list[dict[str, Any]], word: str, tmp_path: Path) -> None:
    """With file and cell, and what is allowed."""
    file = written(tmp_path, *wrong)
    (problem, *_) = form.problems(file)
    assert word in problem
    assert str(file) in problem
    done = command("brakeline-notebooks", "strip", "--check", file)
    assert done.code == 1
    assert word in done.stderr


def test_stripping_gives_the_form_and_changes_nothing_twice(tmp_path: Path) -> None:
    """Sources and ids stay; the second time there is nothing to do."""
    output = {"output_type": "stream", "name": "stdout", "text": "x"}
    file = written(tmp_path, cell(outputs=[output], execution_count=1, source="1 + 1\n2", metadata={"collapsed": True}))
    done = command("brakeline-notebooks", "strip", file)
    assert done.stdout.strip() == str(file)
    assert form.problems(file) == []
    (kept,) = json.loads(file.read_text())["cells"]
    assert ("".join(kept["source"]), kept["id"]) == ("1 + 1\n2", "a-cell")
    assert command("brakeline-notebooks", "strip", file).stdout == ""


def test_a_write_that_fails_leaves_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole or as it was, and nothing beside it."""
    file = tmp_path / "some.ipynb"
    file.write_text("before")

    def full(self: Path, *_: Any, **__: Any) -> int:
        self.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space"):
        form.write(file, "after")
    assert (file.read_text(), [one.name for one in tmp_path.iterdir()]) == ("before", [file.name])


def test_saving_keeps_outputs_on_the_page_and_out_of_the_file() -> None:
    """Jupyter's hook replaces what is saved, and leaves other files alone."""
    run: dict[str, Any] = {
        "cells": [cell(execution_count=2)],
        "metadata": {"kernelspec": {"name": "mine"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    page = copy.deepcopy(run)
    model: dict[str, Any] = {"type": "notebook", "content": page}
    form.before_save(model, path="x", contents_manager=None)
    assert model["content"]["cells"][0]["execution_count"] is None
    assert model["content"]["metadata"] == form.METADATA
    assert page == run
    text: dict[str, Any] = {"type": "file", "content": "x"}
    form.before_save(text, path="x", contents_manager=None)
    assert text == {"type": "file", "content": "x"}
