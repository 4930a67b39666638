"""Links of every page lead somewhere, and the names that pages use are in the code: variables, metrics, statuses."""

import importlib.util
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import HOUSE
from tests.paper import commands

PAGES = commands.pages()
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(HOUSE)))
CODE = ("*.py", "*.yaml", "*.yml", "*.go", "*Dockerfile", "*.ipynb", "*.js", "run")
STATUSES = {0, 1, 2, 10, 65, 69, 70, 75, 130, 143}


def without_code(text: str) -> str:
    """A page's text without what is code."""
    return re.sub(r"^```.*?^```$|`[^`\n]*`", "", text, flags=re.MULTILINE | re.DOTALL)


@cache
def anchors(page: Path) -> set[str]:
    """What a link may name of a page: its headings, as the places that show them spell it."""
    found = set[str]()
    for heading in re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S), re.M):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        found.add(re.sub(r"[^\w\- ]", "", plain).replace(" ", "-"))
    return found


@cache
def code() -> str:
    """All of what a name may stand in."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *CODE],
        cwd=HOUSE, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    return "".join((HOUSE / name).read_text() for name in listed if not name.startswith("tests/paper/"))


@every_page
def test_every_link_leads_somewhere(page: Path) -> None:
    """To a file of the tree and, where it names one, to a heading of it."""
    lost = list[str]()
    for link in re.findall(r"\]\(([^)\s]+)\)", without_code(page.read_text())):
        if re.match(r"https?:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        if not target.exists() or (anchor and (target.suffix != ".md" or anchor not in anchors(target))):
            lost.append(link)
    assert lost == []


def test_every_page_is_found_from_the_first() -> None:
    """From the front page and the index by links alone."""
    seen, to_see = set[Path](), [HOUSE / "README.md"]
    while to_see:
        page = to_see.pop()
        if page in seen:
            continue
        seen.add(page)
        for link in re.findall(r"\]\(([^)#\s:]+\.md)[^)]*\)", page.read_text()):
            to_see.append((page.parent / link).resolve())
    assert set(PAGES) - seen == set()


@every_page
def test_every_variable_is_read_by_something(page: Path) -> None:
    """What is called BRAKELINE_… or AWS_… is a name in the code, or is put together there."""
    unknown = set[str]()
    for name in re.findall(r"\b((?:BRAKELINE|AWS)_[A-Z0-9_]*[A-Z0-9])\b", page.read_text()):
        prefix, _, ending = name.rpartition("_")
        if name not in code() and not (prefix in code() and f'"{ending}"' in code()):
            unknown.add(name)
    assert unknown == set()


@every_page
def test_every_metric_is_told_by_the_server(page: Path) -> None:
    """A name brakeline_… that is no package is in the server's code, with what Prometheus puts behind it aside."""
    packages = {file.name for file in HOUSE.glob("*/src/*")} | {file.name for file in HOUSE.glob("*/*/src/*")}
    unknown = set[str]()
    for name in set(re.findall(r"(?<![\w/-])brakeline_[a-z_]+[a-z](?![\w*(])", page.read_text())) - packages:
        plain = re.sub(r"_(bucket|count|sum|total)$", "", name)
        # Counters are put together of the prefix, a name and an ending.
        if plain not in code() and f'"{plain.removeprefix("brakeline_")}"' not in code():
            unknown.add(name)
    assert unknown == set()


@every_page
def test_every_status_is_one_that_there_is(page: Path) -> None:
    """What a page says that something ends with is a status of the contract, of `brakeline watch --once`, or 1."""
    text = page.read_text()
    ends = r"(?:ends?|ended|ending|exits?) (?:it |the step |the command )?(?:at once )?with (?:status )?(\d+)(?![\dx])"
    told = [*re.findall(ends, text), *re.findall(r"exit status (\d+)", text), *re.findall(r"\(([67]\d)\)", text)]
    assert {int(number) for number in told} <= STATUSES


def test_statuses_are_those_of_the_code() -> None:
    """Each is a constant or a literal of the code, so that this list does not grow by itself."""
    for number in STATUSES - {0, 1}:
        assert re.search(rf"(?<![\w.]){number}(?![\w.])", code()), number
    # 128 and the number of SIGINT and SIGTERM.
    assert {128 + 2, 128 + 15} <= STATUSES


def test_what_a_link_may_name_is_spelt_as_it_is_shown() -> None:
    """Headings with marks, links and code, by hand."""
    assert "how-to-make-version-3" in anchors(HOUSE / "docs" / "contract.md")
    assert "where-friction-is-not-known" in anchors(HOUSE / "docs" / "safety.md")
    assert "watch-is-a-run-due" in anchors(HOUSE / "docs" / "loop.md")


def test_the_picture_is_what_its_script_draws() -> None:
    """docs/pictures/architecture.svg, byte for byte; and it brings its own background."""
    folder = HOUSE / "docs" / "pictures"
    spec = importlib.util.spec_from_file_location("architecture", folder / "architecture.py")
    assert spec and spec.loader
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    svg = (folder / "architecture.svg").read_text()
    assert svg == script.drawn()
    assert '<rect width="1000" height="850" rx="10" fill="#ffffff"' in svg
