"""The form of every benchmark's result: figures with aims, as a table for people or one JSON object.

A benchmark begins with `options(__doc__)`, and ends with `report` or, where this machine lacks what it needs, `skip`.
"""

import argparse
import json
import math
import os
import platform
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import NoReturn

from rich.console import Console
from rich.table import Table

EX_UNAVAILABLE = 69
# What a figure's time depends on besides our own code.
_VERSIONS = ("numpy", "polars", "scikit-learn", "onnxruntime")
_COMPARE = {">=": lambda value, limit: value >= limit, "<=": lambda value, limit: value <= limit}


@dataclass(frozen=True)
class Figure:
    """The median of some rounds, beside what is wanted (`>= 25`, `<= 0.2`) or nothing.

    Name and unit together are unique in a benchmark. Ratios have a unit that begins with `ratio` or `share`.
    """

    name: str
    rounds: list[float]
    unit: str
    aim: str | None = None

    @property
    def value(self) -> float:
        """Median of the rounds."""
        return float(f"{statistics.median(self.rounds):.4g}")

    @property
    def met(self) -> bool | None:
        """Whether the aim is met; None without one."""
        if self.aim is None:
            return None
        sign, limit = self.aim.split()
        return bool(_COMPARE[sign](self.value, float(limit)))

    def facts(self) -> dict[str, object]:
        """As JSON."""
        rounds = [float(f"{value:.4g}") for value in self.rounds]
        return {**asdict(self), "value": self.value, "met": self.met, "rounds": rounds}


def options(doc: str | None) -> argparse.ArgumentParser:
    """What every benchmark takes; it adds its own, and hands what was chosen to `report`."""
    parser = argparse.ArgumentParser(
        prog=f"build.py bench {Path(sys.argv[0]).stem}",
        description=doc,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="small sizes and few rounds: to see that it works")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    return parser


def skip(why: str) -> NoReturn:
    """End without figures, as this machine lacks something; `why` is one line that says what to do."""
    print(why, file=sys.stderr)
    sys.exit(EX_UNAVAILABLE)


def report(
    bench: str,
    figures: Sequence[Figure],
    notes: Mapping[str, str] | None = None,
    *,
    chosen: argparse.Namespace | None = None,
    missing: Mapping[str, str] | None = None,
) -> None:
    """Print the figures as the command line asks.

    `notes` say what was measured with which versions and settings, `missing` what could not be measured here and why.
    """
    chosen = chosen or options(None).parse_args()
    for figure in figures:
        if not figure.rounds or not all(math.isfinite(value) for value in figure.rounds):
            raise SystemExit(f"{bench}: {figure.name}: {figure.rounds} is no measurement")
    if chosen.json:
        told: dict[str, object] = {"bench": bench, "quick": chosen.quick, "machine": machine()}
        told |= {"notes": dict(notes or {}), "missing": dict(missing or {})}
        print(json.dumps({**told, "figures": [figure.facts() for figure in figures]}))
        return
    quick = ", quick" if chosen.quick else ""
    table = Table(title=f"{bench}: medians, {machine()['cores']} cores{quick}")
    for column in ("figure", "value", "unit", "aim", "met", "rounds"):
        table.add_column(column, justify="right" if column == "value" else "left")
    for figure in figures:
        rounds = ", ".join(f"{value:.3g}" for value in figure.rounds)
        met = {None: "", True: "yes", False: "no"}[figure.met]
        table.add_row(figure.name, f"{figure.value:g}", figure.unit, figure.aim or "", met, rounds)
    Console().print(table)
    for name, note in {**(notes or {}), **(missing or {})}.items():
        Console().print(f"{name}: {note}", highlight=False, markup=False)


def machine() -> dict[str, object]:
    """What the figures were measured on, without names or addresses."""
    model = "unknown"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(memory / 1e9),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in _VERSIONS},
    }
