"""The page on scale: its figures are those of what was measured, and what it plans follows from them."""

import json
import re
import subprocess
import sys
from typing import Any

import pytest

from tests.conftest import HOUSE

# Behind everything else: a bench is called as what it measures.
sys.path.append(str(HOUSE / "bench"))
import _scale_page
from _costs import Cost, Series

KEPT = HOUSE / "bench" / "scale.json"
MACHINE = {"cpu": "a core", "cores": 2, "memory_gb": 8, "python": "3.11", "versions": {"numpy": "2"}}


def line(name: str, axis: str, per: int, fixed_s: float, slope_s: float, sizes: tuple[int, ...]) -> Series:
    """A cost without noise: a megabyte and so many seconds for each `per` more."""
    made = Series(name, axis, per)
    for size in sizes:
        made.add(size, Cost(fixed_s + slope_s * size / per, 1.0, 100.0, size / per))
    return made


@pytest.fixture
def told() -> dict[str, Any]:
    rows, few = (1_000_000, 2_000_000, 4_000_000, 8_000_000), (1, 2, 4, 8)
    workers = Series("server, per request", "workers", 1, [1, 2], [Cost(20e-6, 1.0), Cost(22e-6, 1.0)])
    series = [
        line("generate", "rows", 1_000_000, 1.0, 2.0, rows), line("assemble", "rows", 1_000_000, 0.5, 1.5, rows),
        line("search, one trial", "rows", 1_000_000, 3.0, 0.2, rows), line("fit", "rows", 1_000_000, 4.0, 36.0, rows),
        line("search", "trials", 1, 2.0, 3.6, few),
        line("rank", "trials", 1_000, 0.2, 0.1, (1_000, 2_000, 4_000, 8_000)),
        line("server, per request", "rows of a request", 1, 0.0, 20e-6, (1, 4, 16, 64)), workers,
    ]  # fmt: skip
    limits = {"argument": 131_072, "status_compressed": 1_048_576}
    cluster = {"rows": [dict.fromkeys(("shards", "ir", "lists", "argument", "status", "status_compressed", "pods"), 9)],
               "limits": limits}  # fmt: skip
    return {"machine": MACHINE, "series": [one.facts() for one in series], "cluster": cluster}


def test_the_pages_figures_are_those_that_were_measured() -> None:
    """Made anew of bench/scale.json, the page is what it is: nobody typed a figure."""
    page = _scale_page.PAGE.read_text(encoding="utf-8")
    told = json.loads(KEPT.read_text(encoding="utf-8"))
    assert _scale_page.filled(page, _scale_page.block(told)) == page
    assert "### What was measured" in page
    for one in told["series"]:
        assert len(one["sizes"]) == len(one["costs"]) and f"`{one['name']}`" in page


def test_a_typed_figure_is_found() -> None:
    """A digit that was changed by hand makes another page."""
    page = _scale_page.PAGE.read_text(encoding="utf-8")
    before, begin, rest = page.partition(_scale_page.BEGIN)
    figures, end, after = rest.partition(_scale_page.END)
    digit = re.search(r"\d", figures)
    assert digit
    typed = figures[: digit.start()] + str((int(digit[0]) + 1) % 10) + figures[digit.end() :]
    altered = before + begin + typed + end + after
    assert _scale_page.filled(altered, _scale_page.block(json.loads(KEPT.read_text()))) == page != altered


def test_what_a_cluster_needs_follows_from_the_lines(told: dict[str, Any]) -> None:
    """Worked by hand: a billion rows, ten thousand trials and a million requests a second of costs without noise."""
    made = _scale_page.block(told)
    rows = {cells[0]: cells for cells in
            ([cell.strip() for cell in text.strip("| ").split(" | ")] for text in made.splitlines() if " | " in text)}
    # 100 shards of 10 million rows, 50 at once: 100 * (1 s + 10 * 2 s) = 2,100 s, in two turns of 21 s.
    assert rows["`generate`"][1:4] == ["100, 50 at once", "35 min (35 min to 35 min)", "42 s"]
    # 0.5 s + 1,000 * 1.5 s = 1,500.5 s.
    assert rows["`assemble`"][2:4] == ["25 min (25 min to 25 min)", "25 min"]
    assert rows["`assemble`"][5] == "1 GB"
    # 4 s + 4 * 36 s = 148 s.
    assert rows["`fit`, of the 4 million rows that it keeps"][2].startswith("2.5 min")
    # 128 pods with 78.125 trials each: 128 * 2 s + 10,000 * 3.6 s = 36,256 s; three turns of 50 pods.
    assert rows["`search`, 78 trials a pod"][1:3] == ["128, 50 at once", "10 h (10 h to 10 h)"]
    assert rows["`search`, 78 trials a pod"][3] == "14 min"  # 3 * (2 s + 78.125 * 3.6 s) = 850 s
    # A million requests of 20 us are 20 cores, 33.3 at 60 % busy, 17 pods of two.
    assert rows["cores for 1,000,000 a second, 60% busy"][1] == "33.3"
    assert rows["serving pods of 2 cores"][1] == "17"
    assert "which stays within the 2 h" in made


def test_an_assembly_that_takes_too_long_is_said(told: dict[str, Any]) -> None:
    """Where a billion rows take longer than a cluster gives the task, the page says so."""
    slow = line("assemble", "rows", 1_000_000, 0.5, 8.0, (1_000_000, 2_000_000, 4_000_000, 8_000_000))
    told["series"][1] = slow.facts()
    assert "which may not stay within the 2 h" in _scale_page.block(told)


def test_a_page_without_marks_is_refused() -> None:
    """Nothing is put anywhere else."""
    with pytest.raises(ValueError, match="the page has no"):
        _scale_page.filled("# Scale\n", "figures")


@pytest.mark.parametrize("option", ["--write", "--render"])
def test_quick_sizes_are_never_planned_by(option: str) -> None:
    """They are refused before anything is measured."""
    command = [sys.executable, str(HOUSE / "bench" / "scale.py"), "--quick", option]
    environment = {"PYTHONPATH": f"{HOUSE / 'bench'}:{HOUSE}", "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=120)
    assert done.returncode == 2 and "nothing to plan by" in done.stderr
