"""Every page's blocks, the commands in them, and our commands' own parsers, asked without running anything."""

import argparse
import importlib
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import typer
from brakeline.cli import app
from brakeline_serving import cli as of_the_server
from typer.core import TyperGroup
from typer.main import get_command

from tests.conftest import HOUSE, command

STEPS = ("synthesize", "train", "validate", "register", "deploy")
APPS = {
    "brakeline": "brakeline.cli",
    **{f"brakeline-{step}": f"brakeline_{step}.cli" for step in STEPS},
    "brakeline-images": "brakeline_images.cli",
    "brakeline-ask": "brakeline_client.cli",
}
# Verbs of build.py that are another command under a shorter name, and those that hand their words on.
SHORT = {"run": ("brakeline", "demo"), "images": ("brakeline-images",)}
HANDED_ON = {"test", "notebooks"}
# What a page leaves to its reader.
LEFT_OPEN = {"…": "x", "NAME": "x", "[": "", "]": ""}
_OPERATORS = set("|&;()<>")
_NOT_HERE = re.compile("no such file|does not exist|No such file")


@dataclass(frozen=True)
class Block:
    """What stands between fences, or indented, on a page."""

    page: str
    language: str
    text: str

    @property
    def first(self) -> str:
        """Its first line."""
        return self.text.splitlines()[0]

    def __str__(self) -> str:
        return f"{self.page}: {self.first[:60]}"


def pages() -> list[Path]:
    """Every page that git tracks or would; the changelog tells of the past."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=HOUSE, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    return sorted({HOUSE / name for name in listed if name != "CHANGELOG.md" and (HOUSE / name).is_file()})


def blocks(page: Path) -> Iterator[Block]:
    """Fenced and indented blocks of a page, in no order."""
    text, name = page.read_text(), str(page.relative_to(HOUSE))
    fence = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    yield from (Block(name, found[1], found[2]) for found in fence.finditer(text))
    for found in re.finditer(r"(?:(?<=\n\n)|\A)((?:    .*\n)+)", fence.sub("", text)):
        yield Block(name, "", re.sub(r"^    ", "", found[1], flags=re.MULTILINE))


def lines(text: str) -> list[str]:
    """A block's lines as a shell takes them: one that ends in a backslash, a pipe or an open quote goes on."""
    found, held = list[str](), ""
    for line in text.splitlines():
        held = f"{held}\n{line}" if held else line
        try:
            shlex.split(held.replace("\\\n", " "), comments=True)
        except ValueError:
            continue
        if not re.search(r"(\\|\||&&)\s*$", line):
            found.append(held.replace("\\\n", " "))
            held = ""
    return [*found, held] if held else found


def calls(line: str) -> Iterator[list[str]]:
    """The programs of a line with their words, without assignments, redirections and remarks."""
    line = re.sub(r"(?<!\S)…(?!\S)", " ", line)
    for open_, closed in LEFT_OPEN.items():
        line = line.replace(open_, closed)
    lexer = shlex.shlex(line.replace("$(", "; ").replace("`", " "), posix=True, punctuation_chars="|&;()<>")
    lexer.whitespace_split, lexer.commenters = True, "#"
    words = list[str]()
    for word in [*lexer, ";"]:
        if not set(word) <= _OPERATORS:
            words.append(word)
        elif word[0] not in "<>" and words:
            while words and re.fullmatch(r"\w+=.*", words[0], re.DOTALL):
                del words[0]
            if words:
                yield words
            words = []


def ours(words: list[str]) -> bool:
    """Whether a call is one of our commands'."""
    return words[0].removeprefix(".venv/bin/") in {*APPS, "brakeline-serving"} or words[:2] == ["python", "build.py"]


def refused(words: list[str]) -> str:
    """Why our command would not take a call: its parser's words; empty if it would."""
    program, *rest = [words[0].removeprefix(".venv/bin/"), *words[1:]]
    if program == "python":
        return _refused_by_build(rest[1:])
    if program == "brakeline-serving":
        return _refused_by_argparse(of_the_server._parser(), rest)
    return _refused_by_click(_root(program), rest, program)


@cache
def _root(program: str) -> Any:
    return get_command(app if program == "brakeline" else importlib.import_module(APPS[program]).app)


def _refused_by_click(root: Any, words: list[str], told: str) -> str:
    verb, rest = root, list(words)
    if rest and isinstance(root, TyperGroup) and rest[0].startswith("-"):
        known = {option for parameter in root.params for option in parameter.opts}
        return "" if rest[0] in {*known, "--help"} else f"{told} has no option {rest[0]}"
    while isinstance(verb, TyperGroup) and rest and rest[0] in verb.commands:
        verb = verb.commands[rest.pop(0)]
    if isinstance(verb, TyperGroup) and all(parameter.param_type_name == "option" for parameter in verb.params):
        # A sentence may name a group of verbs.
        return f"{' '.join(words)}: {told} has no verb {rest[0]!r}" if rest or verb is root else ""
    rest, more = (rest[: rest.index("--")], rest[rest.index("--") + 1 :]) if "--" in rest else (rest, [])
    if more:
        # What a watch hands on is a run's.
        return _parse(verb, rest, told) or _refused_by_click(root, ["run", *more], f"{told} … -- run")
    return _parse(verb, rest, told)


def _parse(verb: Any, rest: list[str], told: str) -> str:
    """Options and values by the verb's own parser; a file that is the reader's need not be here."""
    if {"--help", "--version", "--describe"} & set(rest):
        return ""
    try:
        verb.make_context(told, list(rest))
    except typer.Exit:
        return ""
    except Exception as error:
        # The library's classes of errors of usage are private; each of them has this.
        if not hasattr(error, "format_message"):
            raise
        why = str(error.format_message())
        return "" if _NOT_HERE.search(why) else f"{told} {' '.join(rest)}: {why}"
    return ""


def _refused_by_argparse(parser: argparse.ArgumentParser, words: list[str]) -> str:
    known = {option for action in parser._actions for option in action.option_strings}
    unknown = {word.partition("=")[0] for word in words if word.startswith("--")} - known
    return f"no option {', '.join(sorted(unknown))}" if unknown else ""


def _refused_by_build(words: list[str]) -> str:
    verb, *rest = words or ["images"]
    if verb.startswith("-"):
        verb, rest = "images", words
    if verb not in _verbs_of_build():
        return f"build.py has no verb {verb}"
    if verb in SHORT:
        program, *more = SHORT[verb]
        return _refused_by_click(_root(program), [*more, *rest], f"build.py {verb}")
    if verb in HANDED_ON:
        return ""
    options = {word.partition("=")[0] for word in rest if word.startswith("--")} - {"--help"}
    # A benchmark has options of its own.
    of_a_bench = verb == "bench" and rest and (HOUSE / "bench" / f"{rest[0]}.py").is_file()
    asked = (verb, rest[0]) if of_a_bench else (verb,)
    unknown = options - _help_of_build(*asked) if options else set()
    return f"build.py {' '.join(asked)} has no {', '.join(sorted(unknown))}" if unknown else ""


@cache
def _verbs_of_build() -> set[str]:
    return set(re.findall(r"^  (\w+) ", command("python", HOUSE / "build.py", "--help").stdout, re.MULTILINE))


@cache
def _help_of_build(verb: str, *more: str) -> set[str]:
    """The options of a verb as its help tells them; two verbs have no parser and would set to work."""
    if verb in {"lock", "check"}:
        return set(re.findall(r'"(--[a-z-]+)"', (HOUSE / "build.py").read_text()))
    told = command("python", HOUSE / "build.py", verb, *more, "--help", environment={"COLUMNS": "200"})
    return set(re.findall(r"--[a-z][\w-]*", told.stdout))
