"""The whole thing on one machine: a server, the pipeline before it, and a client that asks what was deployed."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from brakeline import ask, record, run
from brakeline.ask import Line
from brakeline.narrator import narrator
from brakeline.run import Request

_SECONDS_TO_LISTEN = 30.0


class ServerFailed(Exception):
    """The server did not start; the message holds its last words."""


@dataclass(frozen=True)
class Demo:
    """How the whole thing went."""

    kept: record.RunRecord
    lines: list[Line]
    server: str
    seconds: float
    error: str = ""

    def facts(self) -> dict[str, Any]:
        """As one JSON object."""
        told = run.summary(self.kept)
        checked = bool(self.lines) and not self.error
        answers = [asdict(line) for line in self.lines]
        error = self.error or told["error"]
        seconds = round(self.seconds, 1)
        return {**told, "error": error, "endpoint": self.server, "endpoint_checked": checked,
                "highway_code": answers, "seconds": seconds}  # fmt: skip

    @property
    def exit_code(self) -> int:
        """What the command ends with."""
        return run.exit_code(self.kept) or (70 if self.error else 0)


def go(request: Request, port: int, keep_serving: bool, report: Callable[[Demo], None]) -> int:
    """Start the server, run the pipeline, ask what it deployed, report; returns the exit status."""
    start = time.monotonic()
    store = request.state.absolute() / "models"
    told = narrator()
    with _server(store, request.state.absolute() / "server.log", port) as url:
        with told:
            told.tell(f"server at {url}, empty until a model is deployed")
            kept = run.execute(replace(request, server=url), told)
        lines, error = [], ""
        if kept.status == record.SUCCEEDED and request.auto_deploy:
            try:
                lines = ask.highway_code(url, request.name)
            except Exception as failure:  # noqa: BLE001  whatever a client meets is what the command reports
                error = f"the deployed model did not answer: {failure}"
        done = Demo(kept, lines, url, time.monotonic() - start, error)
        report(done)
        if keep_serving and done.exit_code == 0:
            _wait_for_ctrl_c()
        return done.exit_code


def print_for_people(done: Demo) -> None:
    """The short table and where to look."""
    facts, console = done.facts(), Console()
    if done.exit_code:
        Console(stderr=True).print(f"[red]{facts['status']}[/]: {facts['error']}", highlight=False)
        return
    table = Table(
        title="Way to standstill \\[m]: what the served model says, beside the UK Highway Code's braking distance"
    )
    for column in ("speed \\[mph]", "Highway Code", "dry", "dry, bound", "wet", "wet, bound"):
        table.add_column(column, justify="right")
    for line in done.lines:
        table.add_row(*(str(value) for value in asdict(line).values()))
    console.print(table)
    console.print(f"model     version {facts['model_version']}, passed its gates, answered at {done.server}")
    console.print(f"dossier   {facts['dossier']}", soft_wrap=True)
    console.print(f"run       {facts['folder']}", soft_wrap=True)
    console.print(f"took      {facts['seconds']} s; {facts['tasks_cached']} of {len(done.kept.tasks)} tasks unchanged")
    console.print(
        "[dim]The Highway Code's figures are older cars' and without the brakes' response time: compare form and order."
    )
    console.print("[dim]Keep the server up with --serve.")


def print_json(done: Demo) -> None:
    """One JSON object on stdout."""
    print(json.dumps(done.facts(), default=str))


@contextmanager
def _server(store: Path, log: Path, port: int) -> Iterator[str]:
    log.parent.mkdir(parents=True, exist_ok=True)
    store.mkdir(parents=True, exist_ok=True)
    script = Path(sys.executable).parent / "brakeline-serving"
    with tempfile.TemporaryDirectory() as folder, log.open("ab") as stream:
        ready = Path(folder) / "ready"
        command = [str(script), "--model-store", str(store), "--port", str(port), "--ready-file", str(ready)]
        command += ["--until-stdin-closes"]
        # A session of its own: Ctrl-C ends the run first, and the server after it. The pipe closes, and the
        # server ends, also when this process is killed.
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=stream, stderr=stream, start_new_session=True)
        try:
            yield _address(child, ready, log)
        finally:
            child.terminate()
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()


def _address(child: subprocess.Popen[bytes], ready: Path, log: Path) -> str:
    deadline = time.monotonic() + _SECONDS_TO_LISTEN
    while not ready.exists():
        if child.poll() is not None or time.monotonic() > deadline:
            words = log.read_text(encoding="utf-8", errors="replace").splitlines()[-3:]
            raise ServerFailed(f"the server did not start: {' '.join(words) or 'no word'}")
        time.sleep(0.02)
    return ready.read_text(encoding="utf-8").strip()


def _wait_for_ctrl_c() -> None:
    Console(stderr=True).print("serving until Ctrl-C")
    received = signal.sigwait({signal.SIGINT, signal.SIGTERM}) if os.name == "posix" else None
    Console(stderr=True).print(f"ended by {signal.Signals(received).name}" if received else "")
