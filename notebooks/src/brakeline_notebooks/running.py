"""A notebook from top to bottom, as nobody watches it: a cell that fails ends it, and the file is left as it was."""

import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from brakeline_notebooks import form

_SECONDS_OF_A_CELL = 1800


class NotebookFailed(Exception):
    """A cell failed; the message names notebook and cell and has the error's last lines."""


def run(notebook: Path, folder: Path, tell: Callable[[str], None], kept: Path | None = None) -> int:
    """Execute a notebook in a folder; returns how many cells of code ran. With `kept`, write it there, outputs and all.

    Raises NotebookFailed, OSError.
    """
    content = nbformat.read(notebook, as_version=4)
    client = NotebookClient(
        content, timeout=_SECONDS_OF_A_CELL, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    ran, group = 0, 0
    try:
        with client.setup_kernel():
            # A kernel leads a process group, in which its commands are.
            group = int(getattr(client.km.provisioner, "pid", 0) or 0)
            for index, cell in enumerate(content.cells):
                client.execute_cell(cell, index)
                if cell.cell_type == "code":
                    ran += 1
                    tell(f"{notebook.stem}: {cell.id}")
    except CellExecutionError as error:
        said = "\n".join(_said(cell).splitlines()[-12:])
        raise NotebookFailed(f"{notebook}, cell {cell.id!r}: {error.ename}: {error.evalue}\n{said}") from error
    finally:
        # A kernel that is ended in the middle of a cell leaves its command behind.
        if group:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(group, signal.SIGTERM)
        if kept:
            form.write(kept, nbformat.writes(content) + "\n")
    return ran


def _said(cell: nbformat.NotebookNode) -> str:
    return "".join(output.get("text", "") for output in cell.outputs if output.output_type == "stream")
