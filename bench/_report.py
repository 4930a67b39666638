"""The form of every benchmark's result: figures with aims, as a table for people or one JSON object."""

import argparse
import json
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

_COMPARE = {">=": lambda value, limit: value >= limit, "<=": lambda value, limit: value <= limit}


@dataclass(frozen=True)
class Figure:
    """The median of some rounds, beside what is wanted (`>= 25`, `<= 0.2`) or nothing."""

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


def report(bench: str, figures: Sequence[Figure], notes: Mapping[str, str] | None = None) -> None:
    """Print the figures as the command line asks; `notes` say what was measured with which versions and settings."""
    parser = argparse.ArgumentParser(prog=f"build.py bench {bench}")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    if parser.parse_args().json:
        told: dict[str, object] = {"bench": bench, "machine": machine()}
        told |= {"notes": notes} if notes else {}
        print(json.dumps({**told, "figures": [figure.facts() for figure in figures]}))
        return
    table = Table(title=f"{bench}: medians, {machine()['cores']} cores")
    for column in ("figure", "value", "unit", "aim", "met", "rounds"):
        table.add_column(column, justify="right" if column == "value" else "left")
    for figure in figures:
        rounds = ", ".join(f"{value:.3g}" for value in figure.rounds)
        met = {None: "", True: "yes", False: "no"}[figure.met]
        table.add_row(figure.name, f"{figure.value:g}", figure.unit, figure.aim or "", met, rounds)
    Console().print(table)
    for name, note in (notes or {}).items():
        Console().print(f"{name}: {note}", highlight=False, markup=False)


def machine() -> dict[str, object]:
    """What the figures were measured on, without names or addresses."""
    model = "unknown"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    cores = len(os.sched_getaffinity(0))
    return {"cpu": model, "cores": cores, "python": platform.python_version(), "system": platform.system()}
