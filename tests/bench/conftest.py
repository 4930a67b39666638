"""A folder of small benches that are really run, and results as they would tell them."""

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import HOUSE

# The benches' own modules; behind everything else, as a bench is called as what it measures.
sys.path.append(str(HOUSE / "bench"))
ALL = HOUSE / "bench" / "_all.py"
PATIENCE_S = 120


@dataclass(frozen=True)
class Room:
    """A folder with benches, and another where their runs are kept."""

    folder: Path

    def bench(self, name: str, body: str, told: str = "") -> None:
        """A bench that runs `body` and then tells its rounds, 1 and 2 unless `told` is something else."""
        told = told or f'report({name!r}, [Figure("made", [1.0, 2.0], "ratio", ">= 1")], chosen=chosen)'
        text = f'''\
            """What {name} measures.

            Beside nothing
            at all.
            """

            import sys, tempfile, time
            from pathlib import Path
            from _report import Figure, options, report, skip

            chosen = options(__doc__).parse_args()
            with (Path({str(self.folder)!r}) / "{name}.count").open("a") as count:
                count.write("x")
            '''
        (self.folder / f"{name}.py").write_text("\n".join([textwrap.dedent(text), textwrap.dedent(body), told, ""]))

    def runs(self, name: str) -> int:
        """How often a bench was run."""
        file = self.folder / f"{name}.count"
        return len(file.read_text()) if file.exists() else 0

    def words(self, *more: str) -> list[str]:
        return [sys.executable, str(ALL), "--benches", str(self.folder), "--state", str(self.folder / "kept"), *more]

    @property
    def environment(self) -> dict[str, str]:
        """Code of no known commit, as the house's files may change while its tests run."""
        return {**os.environ, "GIT_DIR": str(self.folder / "no.git")}

    def call(self, *more: str) -> subprocess.CompletedProcess[str]:
        """All benches, or what the words say."""
        return subprocess.run(
            self.words(*more), capture_output=True, text=True, timeout=PATIENCE_S, check=False, env=self.environment
        )

    def start(self, *more: str) -> subprocess.Popen[bytes]:
        """The same, not waited for."""
        quiet = subprocess.DEVNULL
        return subprocess.Popen(self.words(*more), stdout=quiet, stderr=quiet, stdin=quiet, env=self.environment)

    def results(self, folder: str = ".") -> dict[str, Any]:
        """What was written, by bench."""
        told = json.loads((self.folder / folder / "results.json").read_text())
        return {entry["bench"]: entry for entry in told["benches"]}

    def page(self, folder: str = ".") -> str:
        return (self.folder / folder / "RESULTS.md").read_text()


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    yield Room(tmp_path)
    # A bench that waits for it goes on to its end, also where a test failed.
    (tmp_path / "go").touch()
