"""The whole thing on one machine: a server, the pipeline before it, and a client that asks what was deployed."""

import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from brakeline_client import ask, table
from brakeline_client.ask import Line
from rich.console import Console

from brakeline import place, record, run
from brakeline.narrator import narrator
from brakeline.place import Runner
from brakeline.run import Request


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


def go(request: Request, runner: Runner, port: int, keep_serving: bool, report: Callable[[Demo], None]) -> int:
    """Start the server, run the pipeline, ask what it deployed, report; returns the exit status.

    Raises ServerFailed, NoEngine, NotBuilt.
    """
    start = time.monotonic()
    told = narrator()
    where = place.choose(runner, told.tell)
    with run.server(request, where, port) as address:
        url = address.people
        with told:
            told.tell(f"server at {url}, empty until a model is deployed")
            kept = run.execute(replace(request, server=address.steps), where, told)
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
    table.show(done.lines)
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


def _wait_for_ctrl_c() -> None:
    Console(stderr=True).print("serving until Ctrl-C")
    received = signal.sigwait({signal.SIGINT, signal.SIGTERM}) if os.name == "posix" else None
    Console(stderr=True).print(f"ended by {signal.Signals(received).name}" if received else "")
