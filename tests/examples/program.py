"""The example built, and the contract's tests run on it as a stranger would run them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import HOUSE, Done

SOURCES = HOUSE / "examples" / "drivelog"
NAME = "brakeline-drivelog"
SUITE = ("tests/steps/test_every_step.py", "tests/steps/test_every_end.py")
# Nothing is downloaded, neither a module nor another Go.
BUILD = {"CGO_ENABLED": "0", "GOPROXY": "off", "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod"}


def go(*words: str, folder: Path) -> str:
    """Run Go where the sources are; without Go the test is skipped."""
    if not (program := shutil.which("go")):
        pytest.skip("no go: the example is written in it; install golang-go (Debian) or another Go from 1.19 on")
    done = subprocess.run(
        [program, *words], cwd=folder, env={**os.environ, **BUILD}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def built(sources: Path, folder: Path) -> Path:
    """The program, made in a folder."""
    go("build", "-trimpath", "-o", str(folder / NAME), ".", folder=sources)
    return folder / NAME


def run(program: Path, *words: object, environment: dict[str, str] | None = None) -> Done:
    """One call of the program."""
    done = subprocess.run(
        [program, *map(str, words)],
        capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **(environment or {})},
    )  # fmt: skip
    return Done(done.returncode, done.stdout, done.stderr)


def table(program: Path, log: Path, form: Path = SOURCES / "sample" / "form.json") -> Path:
    """The example's own table of calls, about another log."""
    content: dict[str, Any] = json.loads((SOURCES / "calls.json").read_text())
    content["program"] = [str(program)]
    content["verbs"][0]["inputs"] = {"logs": str(log), "form": str(form)}
    file = program.with_name(f"{log.stem}.json")
    file.write_text(json.dumps(content))
    return file


def long_log(file: Path, rows: int) -> Path:
    """A log that takes a while: the sample's rows over and over, each on a trip of its own."""
    header, *lines = (SOURCES / "sample" / "north.csv").read_text().splitlines()
    numbered = (f"{number}{lines[number % len(lines)][1:]}" for number in range(rows))
    file.write_text("\n".join([header, *numbered]) + "\n")
    return file


def held_to_the_contract(calls: Path, folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """The suite as `python build.py test contract --step FILE` runs it, in a process and a folder of its own."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    words = [sys.executable, "-m", "pytest", *SUITE, "--step", str(calls), "--basetemp", str(folder / "suite"), *more]
    return subprocess.run(
        [*words, "-p", "no:cacheprovider"],
        cwd=HOUSE, env=plain, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
