"""How large a notebook's work is, and where its files lie: from the environment, with small defaults."""

import os
import shutil
import sys
import tempfile
from dataclasses import dataclass, fields
from pathlib import Path

PREFIX, STATE = "BRAKELINE_NOTEBOOK_", "BRAKELINE_STATE"
# What a workbench's image brings for a person's own folder.
SHARED = Path(sys.prefix) / "share" / "brakeline" / "notebooks"


class UnusableSetting(Exception):
    """A variable of the environment is not what it has to be."""


@dataclass(frozen=True)
class Size:
    """Each of these is a variable as well: `BRAKELINE_NOTEBOOK_ROWS` and so on.

    The defaults are the least with which a model passes its gates; `runs` is of each scenario of the closed loop.
    """

    rows: int = 30_000
    holdout_rows: int = 20_000
    floor_rows: int = 1_000
    trials: int = 3
    runs: int = 240
    seed: int = 0

    @property
    def faulty_rows(self) -> int:
        """Rows with a broken sensor, as the pipeline has them: two for three of the holdout."""
        return max(1, 2 * self.holdout_rows // 3)


def size() -> Size:
    """The size that the environment asks for. Raises UnusableSetting, for a name that nobody reads too."""
    allowed = [f"{PREFIX}{field.name.upper()}" for field in fields(Size)]
    for found in sorted(name for name in os.environ if name.startswith(PREFIX) and name not in allowed):
        raise UnusableSetting(f"{found}: found a variable that nothing reads, allowed {', '.join(allowed)}")
    return Size(**{field.name: _whole(field.name, int(field.default)) for field in fields(Size)})  # type: ignore[arg-type]


def state() -> Path:
    """The folder of everything that outlives a run: `BRAKELINE_STATE`, else `.brakeline` beside the notebook.

    Raises UnusableSetting.
    """
    folder = Path(os.environ.get(STATE) or ".brakeline").absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _unwritable(folder, error) from error
    return folder


def fresh(name: str) -> Path:
    """An empty folder of this name in the state, for what a notebook makes anew each time. Raises UnusableSetting."""
    folder = state() / name
    try:
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir()
    except OSError as error:
        raise _unwritable(folder, error) from error
    return folder


def recorded() -> Path:
    """The example of recorded stops: beside the notebook, as a workbench has it, in its image, or in a checkout.

    Raises FileNotFoundError.
    """
    name = "recorded_stops.csv"
    places = [Path.cwd() / name, SHARED / name, *(up / "examples" / name for up in Path(__file__).parents)]
    for place in places:
        if place.is_file():
            return place
    raise FileNotFoundError(f"{name} is neither in {Path.cwd()} nor in {SHARED} or examples/")


def _unwritable(folder: Path, error: OSError) -> UnusableSetting:
    told = f"found {folder}, which cannot be written: {error.strerror} ({error.filename or folder})"
    todo = f"allowed is a folder of your own: set {STATE} to one and restart the kernel"
    return UnusableSetting(f"{STATE}: {told}; {todo}")


def _whole(name: str, default: int) -> int:
    variable, least = f"{PREFIX}{name.upper()}", 0 if name == "seed" else 1
    found = os.environ.get(variable, str(default))
    if not found.isdigit() or int(found) < least:
        allowed = f"allowed a whole number from {least}"
        raise UnusableSetting(f"{variable}: found {found!r}, {allowed}; set it and restart the kernel")
    return int(found)
