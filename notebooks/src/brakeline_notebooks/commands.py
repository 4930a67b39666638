"""Commands in a cell: what they say is shown as they say it, and one that ends otherwise than meant fails the cell."""

import json
import os
import selectors
import shlex
import shutil
import subprocess
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

_WIDTH = "110"  # of tables, in columns
# A kernel says that its output is a terminal's; bars that move would leave a line for each of their states.
_OF_A_TERMINAL = ("FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "TERM")
_SECONDS_TO_END = 10.0
_LAST_LINES = 12
_SAID_OTHERWISE = {"time", "level", "event", "task", "message"}


class CommandFailed(Exception):
    """A command ended with another status than the one meant; the message has its last words."""

    def __init__(self, words: tuple[str, ...], status: int, meant: Collection[int], said: list[str]) -> None:
        last = "\n".join(said[-_LAST_LINES:]) or "no word"
        allowed = " or ".join(map(str, meant))
        super().__init__(f"{shlex.join(words)}\nended with status {status}, meant was {allowed}:\n{last}")
        self.status = status


@dataclass(frozen=True)
class Finished:
    """A command that ended as it was meant to: its status, and the text of either stream."""

    status: int
    stdout: str
    stderr: str

    @property
    def result(self) -> dict[str, Any]:
        """The JSON object on stdout's last line. Raises ValueError."""
        found: dict[str, Any] = json.loads(self.stdout.strip().rpartition("\n")[2])
        return found

    def _ipython_display_(self) -> None:
        """Nothing: what it said was shown as it said it."""


def run(*words: object, meant: int | Collection[int] = 0) -> Finished:
    """Run a command of this environment and show all that it says; `meant` is its exit status, or several.

    Raises CommandFailed.
    """
    return _run(words, meant, shows_stdout=True)


def ask(*words: object, meant: int | Collection[int] = 0) -> dict[str, Any]:
    """The same for a command whose stdout is one JSON object: its diary is shown, the object is returned.

    Raises CommandFailed, ValueError.
    """
    return _run(words, meant, shows_stdout=False).result


def script(name: str) -> str:
    """The command of this very environment, whatever PATH says; else PATH's."""
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.exists() else shutil.which(name) or name


def _run(words: tuple[object, ...], meant: int | Collection[int], shows_stdout: bool) -> Finished:
    told = tuple(map(str, words))
    print(f"$ {shlex.join(word.removeprefix(f'{Path.cwd()}/') for word in told)}", flush=True)
    with subprocess.Popen(
        [script(told[0]), *told[1:]],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=_environment(),
    ) as child:
        try:
            said = _heard({"stdout": child.stdout, "stderr": child.stderr}, shows_stdout)
        except BaseException:
            # The cell was interrupted: the command ends as well.
            child.terminate()
            try:
                child.wait(_SECONDS_TO_END)
            except subprocess.TimeoutExpired:
                child.kill()
            raise
    allowed = (meant,) if isinstance(meant, int) else meant
    if child.returncode not in allowed:
        raise CommandFailed(told, child.returncode, allowed, _last_words(said))
    return Finished(child.returncode, "".join(said["stdout"]), "".join(said["stderr"]))


def _environment() -> dict[str, str]:
    plain = {name: value for name, value in os.environ.items() if name not in _OF_A_TERMINAL}
    return {"COLUMNS": _WIDTH, **plain}


def _heard(streams: dict[str, IO[bytes] | None], shows_stdout: bool) -> dict[str, list[str]]:
    """The streams to their ends, line by line, in one thread: Jupyter shows a cell what its own thread prints."""
    said: dict[str, list[str]] = {name: [] for name in streams}
    rest = dict.fromkeys(streams, b"")
    with selectors.DefaultSelector() as ready:
        for name, stream in streams.items():
            assert stream is not None
            ready.register(stream, selectors.EVENT_READ, name)
        while ready.get_map():
            for key, _ in ready.select():
                name = str(key.data)
                more = os.read(key.fd, 1 << 16)
                *lines, rest[name] = (rest[name] + more).split(b"\n")
                if not more and rest[name]:
                    lines.append(rest[name])
                for line in lines:
                    text = line.decode(errors="replace")
                    said[name].append(f"{text}\n")
                    if text and (name == "stderr" or shows_stdout):
                        _show(text)
                if not more:
                    ready.unregister(key.fileobj)
    return said


def _last_words(said: dict[str, list[str]]) -> list[str]:
    """What tells why a command failed: its diary without how far it came, and the error of a result on stdout."""
    lines = [
        line.rstrip() for line in said["stderr"] or said["stdout"] if (_fact(line) or {}).get("event") != "progress"
    ]
    found = [_readable(line) for line in lines if line]
    error = (_fact(said["stdout"][-1]) or {}).get("error") if said["stdout"] else None
    return [*found, str(error)] if error else found


def _fact(line: str) -> dict[str, Any] | None:
    """A line of a JSON diary, or a result; None for any other."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _show(line: str) -> None:
    """A line as people read it, and how far a command has come over and over in one."""
    fact = _fact(line)
    if fact and fact.get("event") == "progress":
        who = f"{fact['task']}: " if "task" in fact else ""
        end = "\n" if fact["done"] == fact["total"] else "\r"
        print(f"{who}{fact['label']} {fact['done']}/{fact['total']}", end=end, flush=True)
        return
    print(_readable(line), flush=True)


def _readable(line: str) -> str:
    """A line as it is; of a JSON diary's the event and its facts."""
    fact = _fact(line)
    if not fact or "event" not in fact:
        return line
    who = f"{fact['task']}: " if "task" in fact else ""
    facts = {name: value for name, value in fact.items() if name not in _SAID_OTHERWISE}
    told = [str(fact["event"]), str(fact.get("message", "")), *(f"{name}={value}" for name, value in facts.items())]
    return who + " ".join(word for word in told if word)
