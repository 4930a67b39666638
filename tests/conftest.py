"""One chain of real artifacts, made once by the real steps and shared by all tests and test processes."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.browser import chromium, visit
from tests.budget import Budget
from tests.faults.counting import Faults

__all__ = ["chromium", "visit"]  # fixtures for every room

HOUSE = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
PATIENCE_S = 300
RECORDED = """# unit: wheel_speed_mps = m/s, stopping_distance_m = m
wheel_speed_mps,vehicle_class,stopping_distance_m
27.78,1,36.5
"""
# Tests run one process per core; threads of their own would only spin against each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("POLARS_MAX_THREADS", "1")


def pytest_configure(config: pytest.Config) -> None:
    """Where results come together, groups of tests are held to their minutes, and faults are added up."""
    is_worker = hasattr(config, "workerinput")
    config.pluginmanager.register(Faults(HOUSE, adds_up=not is_worker), "faults")
    if not is_worker:
        config.pluginmanager.register(Budget(), "budget")


@dataclass(frozen=True)
class Done:
    """How a step's command ended."""

    code: int
    stdout: str
    stderr: str

    @property
    def result(self) -> dict[str, Any]:
        """The one JSON line on stdout."""
        (line,) = self.stdout.splitlines()
        return dict(json.loads(line))

    @property
    def error(self) -> dict[str, Any]:
        """The error line on stderr."""
        return next(dict(said) for said in map(json.loads, self.stderr.splitlines()) if said["level"] == "error")

    def sha256(self, output: str) -> str:
        """The sha256 that the step reports for an output."""
        return str(self.result["artifacts"][output]["metadata"]["sha256"])


def command(
    *words: object,
    environment: dict[str, str] | None = None,
    folder: Path | None = None,
    patience_s: float = PATIENCE_S,
) -> Done:
    """Run a console script of this environment to its end."""
    program, *rest = map(str, words)
    done = subprocess.run(
        [str(BIN / program), *rest],
        capture_output=True,
        text=True,
        timeout=patience_s,
        check=False,
        cwd=folder,
        env={**os.environ, **(environment or {})},
    )
    return Done(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True)
class Chain:
    """Artifacts of one run of the steps, by their names."""

    folder: Path

    def __getattr__(self, name: str) -> Path:
        return self.folder / name


def make_chain(folder: Path, rows: int, holdout_rows: int, seed: int = 0, runs: int = 240) -> None:
    """Run every step but deploy, whatever the verdict; `runs` is for each scenario of the closed loop."""
    at = Chain(folder)
    (folder / "recorded.csv").write_text(RECORDED)
    sizes = ("--rows", str(rows), "--holdout-rows", str(holdout_rows), "--faulty-rows", str(holdout_rows),
             "--seed", str(seed))  # fmt: skip
    steps: list[tuple[object, ...]] = [
        ("brakeline-synthesize", "generate", "--part", at.part, *sizes),
        ("brakeline-synthesize", "assemble", "--parts", at.part, "--recorded", folder / "recorded.csv",
         "--dataset", at.dataset, "--holdout", at.holdout, "--faulty", at.faulty, "--rejects", at.rejects),
        ("brakeline-synthesize", "floor", "--holdout", at.holdout, "--floor", at.floor, "--rows", "500"),
        ("brakeline-train", "search", "--dataset", at.dataset, "--results", at.scored, "--trials", "1"),
        ("brakeline-train", "refine", "--dataset", at.dataset, "--scored", at.scored, "--results", at.results),
        ("brakeline-train", "fit", "--dataset", at.dataset, "--results", at.results, "--model", at.model),
        ("brakeline-register", "champion", "--live", at.champion, "--registry", f"sqlite:///{folder}/registry.sqlite"),
        ("brakeline-validate", "validate", "--model", at.model, "--holdout", at.holdout, "--faulty", at.faulty,
         "--floor", at.floor, "--champion", at.champion,
         "--verdict", at.verdict, "--dossier", at.dossier, "--metrics", at.metrics,
         "--measurements", at.measurements, "--lineage", at.lineage, "--passed", at.passed, "--runs", str(runs)),
    ]  # fmt: skip
    for step in steps:
        done = command(*step)
        assert done.code == 0, (step, done.stderr)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """A chain of 2,000 rows: quick to read, too small for a model that passes."""
    return _shared(tmp_path_factory, "tiny", 2_000, 2_000, runs=4)


@pytest.fixture(scope="session")
def good(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """A chain whose model passes its gates."""
    chain = _shared(tmp_path_factory, "good", 120_000, 40_000)
    assert json.loads(chain.verdict.read_text())["passed"] is True
    return chain


def _shared(factory: pytest.TempPathFactory, name: str, rows: int, holdout_rows: int, runs: int = 240) -> Chain:
    """Make a chain once for all processes of this test run."""
    with shared_path(factory, f"chain-{name}") as folder:
        if not folder.with_suffix(".done").exists():
            shutil.rmtree(folder, ignore_errors=True)  # of a run that was killed
            folder.mkdir()
            make_chain(folder, rows, holdout_rows, runs=runs)
            folder.with_suffix(".done").touch()
    return Chain(folder)


@contextmanager
def shared_path(factory: pytest.TempPathFactory, name: str) -> Iterator[Path]:
    """A path for all processes of this test run, or of all runs that share BRAKELINE_TEST_CHAINS; one at a time."""
    root = factory.getbasetemp()
    root = root.parent if os.environ.get("PYTEST_XDIST_WORKER") else root
    root = Path(os.environ.get("BRAKELINE_TEST_CHAINS", root))
    with locked(root / f"{name}.lock"):
        yield root / name


@contextmanager
def locked(file: Path) -> Iterator[None]:
    with file.open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        yield
