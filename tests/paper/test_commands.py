"""No block of a page escapes: it is made of our commands, which take it as it stands, or somebody vouches for it."""

import re
from pathlib import Path

import pytest

from tests.conftest import HOUSE
from tests.paper import commands, vouched
from tests.paper.pages import PAGES as ON_OPENSHIFT
from tests.paper.pages import SEEN, TOLD

# Blocks that the pages on OpenShift mark have tests of their own.
MARKS = {SEEN, TOLD}
BLOCKS = [block for page in commands.pages() for block in commands.blocks(page) if block.first not in MARKS]
named = pytest.mark.parametrize("page", commands.pages(), ids=lambda page: str(page.relative_to(HOUSE)))


def entry(block: commands.Block) -> vouched.Block | None:
    """Who vouches for a block, if somebody does."""
    found = [one for one in vouched.BLOCKS if one.page == block.page and block.first.startswith(one.begins)]
    assert len(found) <= 1, f"{block}: {len(found)} vouch for it"
    return found[0] if found else None


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_every_block_is_ours_alone_or_vouched_for(block: commands.Block) -> None:
    """A block of commands that are all ours is held to their parsers below; for any other somebody vouches."""
    if entry(block):
        return
    assert not block.language, "a block with a language is read by nobody: name a test in tests/paper/vouched.py"
    for line in commands.lines(block.text):
        for words in commands.calls(line):
            assert commands.ours(words), f"nobody vouches for {words[0]!r}: {line}"


@named
def test_every_command_of_ours_is_taken_as_it_stands(page: Path) -> None:
    """Verb, options and their values, in blocks and in the text, by the parser that the command itself has."""
    wrong = list[str]()
    for block in commands.blocks(page):
        prompt = "$ " if page in ON_OPENSHIFT and block.first in MARKS else ""
        for line in commands.lines(block.text):
            if re.match(rf"{re.escape(prompt)}(\.venv/bin/)?(brakeline|python build\.py)", line):
                mine = [words for words in commands.calls(line.removeprefix(prompt)) if commands.ours(words)]
                wrong += filter(None, map(commands.refused, mine))
    assert wrong == []


@named
def test_every_command_in_the_text_is_known_with_its_options(page: Path) -> None:
    """What the text calls `brakeline VERB --option` has that verb and that option; values may be left out there."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    wrong = list[str]()
    for line in re.findall(r"`((?:\.venv/bin/)?brakeline(?:-\w+)? [a-z][^`\n]+|python build\.py [a-z][^`\n]*)`", text):
        for words in commands.calls(re.sub(r"\|", ",", line)):
            if commands.ours(words) and (why := commands.refused(words)):
                # In a sentence a command need not be whole.
                wrong += [] if re.search(r"Missing (option|argument)|requires an argument", why) else [why]
    assert wrong == []


def test_nobody_vouches_for_a_block_that_is_gone() -> None:
    """Each entry is of one block that is there."""
    gone = [one for one in vouched.BLOCKS if sum(entry(block) == one for block in BLOCKS) != 1]
    assert gone == []


def test_who_vouches_is_there() -> None:
    """A test that is named is a function of that file; any other reason is one of the few that there are."""
    for one in vouched.BLOCKS:
        file, _, function = one.by.partition("::")
        if function:
            assert f"\ndef {function}(" in (HOUSE / file).read_text(), one
        else:
            assert one.by in vouched.REASONS, one


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("brakeline fly", "no verb 'fly'"),
        ("brakeline models fly", "No such command|no verb"),
        ("brakeline run --rows many", "valid integer"),
        ("brakeline run --no-such 1", "No such option"),
        ("brakeline watch --server http://127.0.0.1 -- --no-such 1", "No such option"),
        ("brakeline-train fit --trials 4", "No such option"),
        ("brakeline-validate --explian all", "no option"),
        ("brakeline-serving --modle x", "no option"),
        ("python build.py fly", "no verb"),
        ("python build.py run --rosw 3", "No such option"),
        ("python build.py manifests --chek", "has no"),
        ("a=1 brakeline run --rows 3 | brakeline-train fly", "no verb"),
    ],
)
def test_a_wrong_command_is_seen(line: str, why: str) -> None:
    """Each kind of mistake, by the words of the command's own parser."""
    told = [commands.refused(words) for words in commands.calls(line) if commands.ours(words)]
    assert re.search(why, " ".join(told)), told
