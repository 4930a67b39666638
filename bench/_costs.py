"""What a command costs, and how that went over sizes: processor seconds of all it started, wall, memory, bytes.

Processor time is told by the kernel for each command and what it waited for; a busy machine disturbs it far less than
the wall clock.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

BIN = Path(sys.executable).parent
# Threads that wait for each other spin, which counts as work and differs from run to run: one thread learns.
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}


@dataclass(frozen=True)
class Cost:
    """Processor and wall time [s], greatest resident memory of one process [MB], and what was written [MB]."""

    cpu_s: float
    wall_s: float
    peak_mb: float = 0.0
    written_mb: float = 0.0


@dataclass
class Series:
    """A cost over sizes of one thing; `axis` says of what, `per` is how many of them a slope is told for."""

    name: str
    axis: str
    per: int = 1
    sizes: list[float] = field(default_factory=list)
    costs: list[Cost] = field(default_factory=list)

    def add(self, size: float, cost: Cost) -> None:
        """One more measurement."""
        self.sizes.append(size)
        self.costs.append(cost)

    @property
    def can_be_fitted(self) -> bool:
        """Whether there are sizes enough."""
        return len(set(self.sizes)) >= 3

    def of(self, part: str) -> list[float]:
        """All measurements of `cpu_s`, `wall_s`, `peak_mb` or `written_mb`."""
        return [float(getattr(cost, part)) for cost in self.costs]

    def ratios(self) -> list[float]:
        """Processor time at the largest size beside that at the smallest, round by round."""
        by_size = sorted(zip(self.sizes, self.of("cpu_s"), strict=True), key=lambda each: each[0])
        few = [cost for size, cost in by_size if size == by_size[0][0]]
        many = [cost for size, cost in by_size if size == by_size[-1][0]]
        return [most / fewest for most, fewest in zip(many, few, strict=True)]

    def facts(self) -> dict[str, Any]:
        """As JSON, numbers to four digits."""
        costs = [{name: float(f"{value:.4g}") for name, value in asdict(cost).items()} for cost in self.costs]
        return {"name": self.name, "axis": self.axis, "per": self.per, "sizes": self.sizes, "costs": costs}

    @staticmethod
    def read(told: dict[str, Any]) -> "Series":
        """As `facts` gave it."""
        return Series(**{**told, "costs": [Cost(**cost) for cost in told["costs"]]})


def call(line: str, at: Path, outputs: Sequence[str] = ()) -> Cost:
    """Run `STEP VERB OPTIONS` in a folder; what it wrote is what lies at `outputs`. SystemExit where it fails."""
    step, *words = line.split()
    program = BIN / (step if step == "brakeline" else f"brakeline-{step}")
    return run([str(program), *words], at, outputs)


def run(command: Sequence[str], at: Path, outputs: Sequence[str] = ()) -> Cost:
    """Run a command in a folder, as `call`."""
    with (at / "command.log").open("wb") as log:
        began = time.perf_counter()
        environment = {**os.environ, **_ENVIRONMENT}
        child = subprocess.Popen(command, cwd=at, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
        _, status, usage = os.wait4(child.pid, 0)
        wall_s = time.perf_counter() - began
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"{' '.join(command)[:300]}: {(at / 'command.log').read_text()[-2000:]}")
    written = sum(_bytes(at / output) for output in outputs)
    return Cost(usage.ru_utime + usage.ru_stime, wall_s, usage.ru_maxrss / 1000, written / 1e6)


def measured(series: Series, sizes: Sequence[int], rounds: int, cost: Callable[[int], Cost]) -> Series:
    """Rounds over all sizes, so that what the machine does meanwhile falls on each of them alike."""
    for _ in range(rounds):
        for size in sizes:
            series.add(size, cost(size))
    return series


def _bytes(path: Path) -> int:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)
