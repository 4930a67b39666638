"""What the pages on OpenShift name is there: files, variables, objects, sources; each block says who vouches for it."""

import re
from pathlib import Path

import pytest

from tests.conftest import HOUSE
from tests.manifests.elsewhere import made_by_people, made_of
from tests.manifests.trees import MANIFESTS, OVERLAYS, installation
from tests.paper.pages import PAGES, SEEN, TOLD, blocks, prose, shown

ROOMS = "bench|docs|examples|manifests|notebooks|orchestrator|serving|steps|tests"
# Made by a command that the pages name.
MADE = {"orchestrator/images.lock.json"}
# What operators make by their templates, beside what `made_of` knows, since no object of ours rests on it: by whom.
DERIVED = {
    "mariadb-dspa": "data-science-pipelines-operator: Deployment and claim of the pipelines' database",
    "ds-pipeline-db-dspa": "data-science-pipelines-operator: Secret with that database's password",
    "dsp-trusted-ca-dspa": "data-science-pipelines-operator: ConfigMap of authorities for the pods of runs",
    "brakeline-registry-https": "model-registry-operator: Route to the registry",
    "brakeline-registry-rest": "model-registry-operator: the first word of that Route's host",
}
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


@pytest.fixture(scope="module")
def there() -> dict[str, set[str]]:
    """The kinds there are of each name: rendered with all parts, for either release; made by people or operators."""
    objects = [one for overlay in OVERLAYS for one in installation(overlay).objects]
    others = [*made_by_people(), *(made for one in objects for made in made_of(one))]
    found: dict[str, set[str]] = {}
    for name, kind in (*((one.name, one.kind) for one in objects), *((one.name, one.kind) for one in others)):
        found.setdefault(name, set()).add(kind.lower())
    return found


def test_every_object_of_the_pages_is_an_object(there: dict[str, set[str]]) -> None:
    """Rendered from the manifests, or made by somebody who is named; no list of makers has what is ours."""
    assert not DERIVED.keys() & there.keys()
    said = {name for page in (*PAGES, MANIFESTS / "README.md") for name in NAMED.findall(prose(page))}
    assert not said - there.keys() - DERIVED.keys()
    assert DERIVED.keys() <= said


def test_what_a_page_says_was_applied_is_of_that_kind(there: dict[str, set[str]]) -> None:
    """`kind/name serverside-applied` is an object of the manifests, or what a person makes there."""
    for page in PAGES:
        for kind, name in re.findall(r"^([a-z]+)[a-z0-9.]*/([\w-]+) serverside-applied$", prose(page), re.MULTILINE):
            assert kind in there.get(name, ()), f"{page.name}: {kind}/{name}"


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
