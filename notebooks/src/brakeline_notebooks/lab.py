"""The start of JupyterLab: in a workbench as its controller asks for it, on a laptop in the checkout."""

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import nbformat

from brakeline_notebooks import form
from brakeline_notebooks.settings import SHARED

_DELIVERED = ".delivered.json"
# Its settings where a person has none: nobody beyond the machine is asked, for news or for a newer version.
_SETTINGS = Path(__file__).parent / "jupyter"


def words(environment: Mapping[str, str], folder: Path, is_workbench: bool, more: Sequence[str] = ()) -> list[str]:
    """The command that starts JupyterLab on a folder.

    A workbench's controller says port, path and the rest in NOTEBOOK_ARGS, split at blanks and not unquoted, and the
    path in NB_PREFIX too. Whoever opens it is asked by the proxy beside it; without NOTEBOOK_ARGS there is a token.
    """
    settings = [f"--ServerApp.root_dir={folder}", "--LabApp.extension_manager=readonly"]
    if is_workbench:
        # Its pod's own address; the proxy's requests come from there, under the name that the browser knows.
        settings += ["--ServerApp.ip=", "--ServerApp.allow_origin=*", "--ServerApp.open_browser=False"]
        settings += [f"--ServerApp.base_url={environment['NB_PREFIX']}"] if environment.get("NB_PREFIX") else []
    else:
        settings.append("--FileContentsManager.pre_save_hook=brakeline_notebooks.form.before_save")
    if not any(shutil.which(shell) for shell in ("bash", "sh")):
        settings.append("--ServerApp.terminals_enabled=False")
    told = [*settings, *environment.get("NOTEBOOK_ARGS", "").split(), *more]
    # Jupyter refuses a setting that comes twice: what is told later counts.
    last = {word.partition("=")[0]: word for word in told}
    return [sys.executable, "-m", "jupyterlab", *last.values()]


def start(more: Sequence[str]) -> None:
    """Become JupyterLab. Raises OSError."""
    is_workbench = SHARED.is_dir()
    if is_workbench:
        # A volume is the person's own: its root is the home.
        folder = Path.home()
        hand_out(SHARED, folder / "notebooks")
    else:
        folder = Path(__file__).resolve().parents[2]
    os.chdir(folder)
    command = words(os.environ, folder, is_workbench, more)
    places = [os.environ.get("JUPYTER_CONFIG_PATH", ""), str(_SETTINGS)]
    os.execve(command[0], command, {**os.environ, "JUPYTER_CONFIG_PATH": os.pathsep.join(filter(None, places))})


def hand_out(shared: Path, folder: Path) -> None:
    """Copy what the image brings into a person's folder; what the person changed there stays as it is.

    A notebook that was only run is not changed: it is the same but for its outputs. Raises OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    record = folder / _DELIVERED
    before: dict[str, str] = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {}
    delivered = dict(before)
    for file in sorted(shared.iterdir()):
        mine, theirs = folder / file.name, _content(file)
        if not mine.exists() or _content(mine) == before.get(file.name):
            if not mine.exists() or _content(mine) != theirs:
                staged = folder / f".{file.name}.partial"
                shutil.copyfile(file, staged)
                staged.replace(mine)
            delivered[file.name] = theirs
    if delivered != before:
        form.write(record, json.dumps(delivered, indent=2) + "\n")


def _content(file: Path) -> str:
    """The sha256 of a file; of a notebook without its outputs."""
    raw = file.read_bytes()
    if file.suffix == ".ipynb":
        try:
            raw = form.text(nbformat.reads(raw.decode(), as_version=4)).encode()
        except (ValueError, KeyError):
            return "unreadable"
    return hashlib.sha256(raw).hexdigest()
