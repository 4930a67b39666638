"""A step's verb called as a process of this environment, by its command line alone."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


class StepRefused(Exception):
    """A verb ended with an error: its own message and exit status."""

    def __init__(self, step: str, verb: str, message: str, exit_code: int) -> None:
        super().__init__(message or f"{step} {verb} ended with status {exit_code} and no word")
        self.exit_code = exit_code


def call(
    step: str, verb: str, *, tell: Callable[[dict[str, Any]], None] | None = None, **options: Any
) -> dict[str, Any]:
    """Run `brakeline-<step> <verb>` with options by name and return its line of result.

    An option that is None or empty is left out, a list repeats, a truth is a flag. `tell` gets each line of the diary
    as it is written. Raises StepRefused.
    """
    words = [script(f"brakeline-{step}"), verb]
    for name, value in options.items():
        words += _option(name, value)
    # The result goes to a file, so that neither it nor the diary can fill a pipe that nobody reads.
    with tempfile.TemporaryFile("w+") as result:
        child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=result, stderr=subprocess.PIPE, text=True)
        assert child.stderr is not None
        diary = list[str]()
        try:
            for line in child.stderr:
                diary.append(line)
                if tell and (said := _said(line)):
                    tell(said)
        except BaseException:
            # Ctrl-C, or an error of `tell`: the step ends as well.
            child.terminate()
            raise
        finally:
            child.wait()
        if child.returncode:
            raise StepRefused(step, verb, _last_error("".join(diary)), child.returncode)
        result.seek(0)
        told: dict[str, Any] = json.loads(result.read())
        return told


def script(name: str) -> str:
    """The console script of this very environment, whatever PATH says."""
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.exists() else shutil.which(name) or name


def _option(name: str, value: Any) -> list[str]:
    option = f"--{name.replace('_', '-')}"
    if value is None or value == "" or value is False:
        return []
    if value is True:
        return [option]
    values: Sequence[Any] = value if isinstance(value, list | tuple) else [value]
    return [word for one in values for word in (option, str(one))]


def _last_error(diary: str) -> str:
    for line in reversed(diary.splitlines()):
        said = _said(line)
        if said.get("level") == "error":
            return str(said.get("message", ""))
    return diary.strip()[-500:]


def _said(line: str) -> dict[str, Any]:
    """A line of the diary, empty where it is none."""
    try:
        said = json.loads(line)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
