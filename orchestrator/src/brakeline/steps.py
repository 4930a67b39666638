"""A step's verb called as a process of this environment, by its command line alone."""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any


class StepRefused(Exception):
    """A verb ended with an error: its own message and exit status."""

    def __init__(self, step: str, verb: str, message: str, exit_code: int) -> None:
        super().__init__(message or f"{step} {verb} ended with status {exit_code} and no word")
        self.exit_code = exit_code


def call(step: str, verb: str, **options: Any) -> dict[str, Any]:
    """Run `brakeline-<step> <verb>` with options by name and return its line of result.

    An option that is None or empty is left out, a list repeats, a truth is a flag. Raises StepRefused.
    """
    words = [script(f"brakeline-{step}"), verb]
    for name, value in options.items():
        words += _option(name, value)
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StepRefused(step, verb, _last_error(done.stderr), done.returncode)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


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
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if isinstance(said, dict) and said.get("level") == "error":
            return str(said.get("message", ""))
    return diary.strip()[-500:]
