"""The benches of a folder, as each declares itself: every `NAME.py` that does not begin with `_`."""

import ast
import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

_WRITTEN = ("RESULTS.md", "results.json", "*.svg")


@dataclass(frozen=True)
class Bench:
    """A bench: its docstring's first line says what it measures, its second paragraph beside which peer or limit."""

    name: str
    file: Path
    measures: str
    beside: str


def benches(folder: Path) -> list[Bench]:
    """All of a folder, by name; nothing of them is run."""
    return [_declared(file) for file in sorted(folder.glob("*.py")) if not file.name.startswith("_")]


def _declared(file: Path) -> Bench:
    doc = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    first, _, rest = doc.partition("\n")
    beside = " ".join(rest.strip().split("\n\n")[0].split())
    return Bench(file.stem, file, first.strip(), beside)


def revision(house: Path) -> str:
    """The commit that is measured, with a hash of what differs from it; what benches write does not count."""
    head = _git(house, "rev-parse", "--short=12", "HEAD").strip()
    if not head:
        return "unknown"
    but = [f":(exclude)bench/{name}" for name in _WRITTEN]
    changed = _git(house, "diff", "HEAD", "--", ".", *but)
    for name in _git(house, "ls-files", "--others", "--exclude-standard", "--", ".", *but).splitlines():
        changed += name + hashlib.sha256((house / name).read_bytes()).hexdigest()
    return head + (f" with changes {hashlib.sha256(changed.encode()).hexdigest()[:8]}" if changed else "")


def _git(house: Path, *words: str) -> str:
    try:
        done = subprocess.run(["git", *words], cwd=house, capture_output=True, text=True, check=False, errors="replace")
    except FileNotFoundError:
        return ""
    return done.stdout if done.returncode == 0 else ""
