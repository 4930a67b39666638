"""The form that notebooks have in git: no outputs, no counts, names of cells that stay, valid for nbformat.

What is saved from JupyterLab gets this form by `before_save`, so that running a notebook changes nothing in git.
"""

import ast
import json
import re
from pathlib import Path
from typing import Any

import nbformat

# What a notebook is to the one who opens it; which Python ran it last is none of that.
METADATA: dict[str, Any] = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
_CELL = {
    "markdown": ("cell_type", "id", "metadata", "source"),
    "code": ("cell_type", "execution_count", "id", "metadata", "outputs", "source"),
}
_WANTED_ID = "allowed is an id of its own that says what the cell is, as residuals-by-slice"
_ID = re.compile(r"[a-z][a-z0-9-]{2,40}")


def stripped(content: dict[str, Any]) -> dict[str, Any]:
    """A notebook as git keeps it; cells keep their ids, sources and kinds, and lose all else."""
    cells = []
    for cell in content["cells"]:
        kept = {key: cell[key] for key in _CELL.get(cell["cell_type"], tuple(cell)) if key in cell} | {"metadata": {}}
        if cell["cell_type"] == "code":
            kept |= {"execution_count": None, "outputs": []}
        cells.append(kept)
    return {"cells": cells, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}


def text(content: dict[str, Any]) -> str:
    """A notebook as the bytes that git keeps: as nbformat writes it, sources in lines."""
    return str(nbformat.writes(nbformat.from_dict(stripped(content)))) + "\n"


def strip(file: Path) -> bool:
    """Give a notebook its form; returns whether it had another."""
    before = file.read_text(encoding="utf-8")
    wanted = text(_read(before))
    if wanted != before:
        write(file, wanted)
    return wanted != before


def write(file: Path, content: str) -> None:
    """A file whole or as it was: a kill leaves nothing half written. Raises OSError."""
    staged = file.with_name(f".{file.name}.partial")
    try:
        staged.write_text(content, encoding="utf-8")
        staged.replace(file)
    finally:
        staged.unlink(missing_ok=True)


def before_save(model: dict[str, Any], **_: Any) -> None:
    """A hook of Jupyter's: what is saved of a notebook is what git keeps. The open page keeps its outputs."""
    if model["type"] == "notebook":
        model["content"] = nbformat.from_dict(stripped(model["content"]))


def problems(file: Path) -> list[str]:
    """What a notebook in git has that it must not have, or lacks; each with file, cell, and what is allowed."""
    raw = file.read_text(encoding="utf-8")
    try:
        content = json.loads(raw)
        # nbformat gives cells of one id new ones by itself, so that nobody sees it.
        ids = [str(cell.get("id", "")) for cell in content["cells"]]
        twice = sorted({name for name in ids if ids.count(name) > 1})
        if twice:
            return [f"{file}, cells {twice}: {_WANTED_ID}"]
        nbformat.validate(content)
        read = _read(raw)
    except (ValueError, KeyError, TypeError, AttributeError, nbformat.ValidationError) as error:
        return [f"{file}: not valid for nbformat: {str(error).splitlines()[0]}"]
    found = []
    for cell, name in zip(read.cells, ids, strict=True):
        where = f"{file}, cell {name!r}"
        if not _ID.fullmatch(name):
            found.append(f"{where}: {_WANTED_ID}")
        if cell.cell_type == "code":
            found += [f"{where}: {problem}" for problem in _of_code(cell)]
    if not found and raw != text(read):
        found.append(f"{file}: not the form that git keeps; `brakeline-notebooks strip` gives it that")
    return found


def _of_code(cell: Any) -> list[str]:
    found = []
    if cell.outputs:
        found.append("found outputs, allowed are none; `brakeline-notebooks strip` removes them")
    if cell.execution_count is not None:
        found.append(f"found execution count {cell.execution_count}, allowed is null")
    try:
        ast.parse(cell.source)
    except SyntaxError as error:
        # A shell command or a magic: what goes wrong in one would not fail the cell.
        found.append(f"line {error.lineno} is no Python; commands are for `run` and `ask`, which fail when they do")
    return found


def _read(raw: str) -> Any:
    return nbformat.reads(raw, as_version=4)
