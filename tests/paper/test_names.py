"""What the pages on OpenShift name is there: files, variables, objects, sources; each block says who vouches for it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import HOUSE
from tests.manifests.elsewhere import made_of
from tests.manifests.trees import MANIFESTS, rendered
from tests.paper.pages import PAGES, SEEN, TOLD, blocks, prose, shown

ROOMS = "bench|docs|examples|manifests|notebooks|orchestrator|serving|steps|tests"
# Made by a command that the pages name.
MADE = {"orchestrator/images.lock.json"}
# Kustomizations that render by themselves.
TREES = [folder for folder in (*MANIFESTS.glob("overlays/*"), *MANIFESTS.glob("registry/rhoai-*")) if folder.is_dir()]
TREES += [MANIFESTS / "gitops"] if (MANIFESTS / "gitops" / "kustomization.yaml").is_file() else []
# What operators make besides what the manifests rest on, by their templates: of the object of this name.
DERIVED = {
    "dspa": {"mariadb-dspa", "ds-pipeline-db-dspa", "dsp-trusted-ca-dspa"},
    "brakeline-registry": {"brakeline-registry-rest", "brakeline-registry-https"},
    "stopping-distance": {"stopping-distance-predictor"},
}
# Names of programs, and of the Secrets that the pages make.
WORDS = {"brakeline-deploy", "brakeline-s3", "brakeline-registry-database"}
NAMED = re.compile(
    r"(?<![\w./@-])((?:[a-z0-9]+-)*(?:brakeline-[a-z0-9-]+|stopping-distance(?:-[a-z-]+)?|data-generation-[a-z]+|build-model-[a-z]+|dspa)[a-z0-9-]*)(?![\w-]|\.apps)"
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_of_the_pages_is_there(page: Path) -> None:
    """Files and folders of the tree, wherever they are named, and links to other pages."""
    own, _, _ = prose(page).partition("## Sources")
    paths = set(re.findall(rf"(?<![\w/.-])((?:{ROOMS})/[\w./-]*\w)", own)) - MADE
    missing = [path for path in paths if not (HOUSE / path).exists() and not list(HOUSE.glob(f"{path}.*"))]
    links = re.findall(r"\]\(([^)#:]+?)(?:#[\w-]+)?\)", prose(page))
    missing += [link for link in links if not (page.parent / link).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_variable_of_the_pages_is_read(page: Path) -> None:
    """Ours and S3's are in the code that the page says reads them."""
    rooms, endings = ("orchestrator", "steps", "serving", "manifests"), ("*.py", "*.yaml", "*.md")
    code = "".join(file.read_text() for room in rooms for ending in endings for file in (HOUSE / room).rglob(ending))
    for name in set(re.findall(r"\b((?:BRAKELINE|AWS)_[A-Z0-9_]*[A-Z0-9])\b", prose(page))):
        # Some are put together of a prefix and an ending.
        prefix, _, ending = name.rpartition("_")
        assert name in code or (prefix in code and f'"{ending}"' in code), name


def names_in(content: object) -> Iterator[str]:
    """What is called a name anywhere in an object: its own, and those of accounts, groups, containers."""
    if isinstance(content, dict):
        yield from (value for key, value in content.items() if key == "name" and isinstance(value, str))
    for value in content.values() if isinstance(content, dict) else content if isinstance(content, list) else ():
        yield from names_in(value)


def test_every_object_of_the_pages_is_in_the_manifests() -> None:
    """Each name of ours stands in the manifests, or is what an operator makes of something there."""
    objects = [one for tree in TREES for one in rendered(tree)]
    ours = {name for one in objects for name in names_in(one.content)} | WORDS
    ours |= {made.name for one in objects for made in made_of(one)}
    # Parts that an overlay leaves to an installation, and what our own programs call by name.
    parts = [*MANIFESTS.rglob("*.yaml"), *(HOUSE / "orchestrator").rglob("*.py")]
    ours |= {name for file in parts for name in re.findall(r"[\w-]+", file.read_text())}
    for base, made in DERIVED.items():
        assert base in ours, base
        ours |= made
    unknown = {name for page in PAGES for name in NAMED.findall(prose(page))} - ours
    assert not unknown


def test_every_block_says_who_vouches_for_it() -> None:
    """Run here, or told by others; and no command is without a mark."""
    for page in PAGES:
        for block in blocks(page):
            if "$ " in block:
                assert block.splitlines()[0] in {SEEN, TOLD}, f"{page.name}: {block[:80]}"
        for one in shown(page):
            assert one.mark == TOLD or one.command.startswith(("brakeline ", "python build.py ")), one


def test_every_claim_has_its_source() -> None:
    """Keys in brackets are in the list at the end, and all of the list is used."""
    listed = re.findall(r"^- \*\*\[(\w+)\]\*\*", prose(PAGES[0]), re.MULTILINE)
    assert len(listed) == len(set(listed))
    cited = {key for page in PAGES for key in re.findall(r"(?<!\*)\[([A-Z][A-Z0-9]+)\](?![*(])", prose(page))}
    assert cited == set(listed)


def test_no_secret_stands_on_a_command_line() -> None:
    """A Secret is made from files, and a token is read from one: what is typed is in the history of the shell."""
    for page in PAGES:
        for one in shown(page):
            literals = " ".join(re.findall(r"--from-literal=(\w+)", one.command))
            assert not re.search(r"(?i)key|secret|password|token", literals), one
            assert "--docker-password" not in one.command, one
            assert not re.search(r"Bearer (?!\$\()\w", one.command), one
            assert not re.search(r"\boc login\b.*(--token|-p )", one.command), one
