"""The pages on OpenShift, taken apart: commands, their outputs, and who vouches for each block.

A block that begins with `# seen` was run here and shows what it printed; one with `# told` only a cluster prints, and
is taken from documentation or printer columns.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import HOUSE

PAGES = [HOUSE / "docs" / "openshift.md", *sorted((HOUSE / "docs" / "openshift").glob("*.md"))]
SEEN, TOLD = "# seen", "# told"


@dataclass(frozen=True)
class Shown:
    """A command of a page, and the lines that it is said to print."""

    page: Path
    mark: str
    command: str
    output: str

    def __str__(self) -> str:
        return f"{self.page.name}: {self.command}"


def blocks(page: Path) -> list[str]:
    """What stands between fences without a language."""
    return re.findall(r"^```\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def shown(page: Path) -> list[Shown]:
    """Every command of a page's blocks; one that ends its line with a backslash, or opens a document, goes on."""
    found = []
    for block in blocks(page):
        mark, _, text = block.partition("\n")
        for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
            lines, last = part.splitlines(), 0
            while lines[last].endswith("\\"):
                last += 1
            if document := re.search(r"<<'(\w+)'", lines[0]):
                last = lines.index(document[1])
            command = "\n".join(lines[: last + 1])
            found.append(Shown(page, mark, command, "\n".join(lines[last + 1 :]).strip()))
    return found


def prose(page: Path) -> str:
    """The whole page."""
    return page.read_text()
