"""`brakeline-notebooks`: open the notebooks, run them unwatched, and keep their form in git."""

import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from brakeline_notebooks import __version__

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
EXIT_FAILED = 70
_EXIT_TERMINATED = 143

Notebooks = Annotated[
    list[Path] | None, typer.Argument(help="Notebooks; those of the checkout or the image without any.", exists=True)
]


@app.callback(invoke_without_command=True)
def _top(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """The notebooks of a workbench and a laptop."""
    if version:
        print(f"brakeline-notebooks {__version__}")
        raise typer.Exit


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def lab(context: typer.Context) -> None:
    """Open JupyterLab; what follows is its own, as --no-browser.

    Example: brakeline-notebooks lab --no-browser
    """
    from brakeline_notebooks import lab as jupyterlab

    jupyterlab.start(context.args)


@app.command()
def run(
    notebooks: Notebooks = None,
    folder: Annotated[
        Path | None, typer.Option(help="Where they run; a scratch folder without it.", file_okay=False)
    ] = None,
    kept: Annotated[
        Path | None, typer.Option(help="Folder to write them into, with their outputs.", file_okay=False)
    ] = None,
) -> None:
    """Run notebooks from top to bottom; a cell that fails ends it with 70. The files stay as they are.

    Example: brakeline-notebooks run pipeline.ipynb --kept outputs
    """
    from brakeline_notebooks import running

    # Python would end at once, and leave its scratch folder and the kernel's work behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_EXIT_TERMINATED))
    if kept:
        kept.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="brakeline-notebooks-") as scratch:
        place = folder.absolute() if folder else Path(scratch)
        place.mkdir(parents=True, exist_ok=True)
        for notebook in notebooks or _ours():
            start = time.monotonic()
            try:
                cells = running.run(notebook, place, _tell, kept / notebook.name if kept else None)
            except running.NotebookFailed as error:
                _tell(str(error))
                raise typer.Exit(EXIT_FAILED) from error
            print(f"{notebook.name}: {cells} cells in {time.monotonic() - start:.1f} s", flush=True)


@app.command()
def strip(
    notebooks: Notebooks = None,
    check: Annotated[bool, typer.Option("--check", help="Change nothing: name what git must not keep.")] = False,
) -> None:
    """Give notebooks the form that git keeps: no outputs, no counts.

    Example: brakeline-notebooks strip --check
    """
    from brakeline_notebooks import form

    found = list[str]()
    for notebook in notebooks or _ours():
        if check:
            found += form.problems(notebook)
        elif form.strip(notebook):
            print(notebook)
    for problem in found:
        _tell(problem)
    raise typer.Exit(1 if found else 0)


def _ours() -> list[Path]:
    from brakeline.images import NOTEBOOKS

    from brakeline_notebooks.settings import SHARED

    places = (Path(__file__).resolve().parents[2], SHARED)
    # In the order of their story: a later one goes on from what an earlier one left.
    wanted = ([place / f"{name}.ipynb" for name in NOTEBOOKS] for place in places)
    return next(found for found in wanted if all(file.is_file() for file in found))


def _tell(message: str) -> None:
    sys.stderr.write(f"{message}\n")
    sys.stderr.flush()
