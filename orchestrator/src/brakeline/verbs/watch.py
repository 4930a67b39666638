"""`brakeline watch`: a run where the stated rule of drift holds."""

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from brakeline.rule import Rule
    from brakeline.trigger import To
    from brakeline.watch import Looked

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
_OFF = "or off"
_SLOW_LOOK_S = 60.0


@app.command("watch")
def watch(
    server: Annotated[str, typer.Option(help="The server's URL.", envvar="BRAKELINE_SERVER", metavar="URL")] = "",
    to: Annotated[str, typer.Option(help="Where the run goes: local (brakeline run) or cluster (submit).")] = "local",
    recorded: Annotated[
        str | None, typer.Option(help="Recorded stops for the run, as of brakeline feedback.", metavar="PATH|URI")
    ] = None,
    rule_file: Annotated[Path | None, typer.Option("--rule", help="The rule, YAML as --show-rule has it.")] = None,
    psi: Annotated[str | None, typer.Option(help=f"Least stability index of a feature that is drift, {_OFF}.")] = None,
    out_of_range: Annotated[str | None, typer.Option(help=f"Least share of rows out of range, {_OFF}.")] = None,
    widening_m: Annotated[str | None, typer.Option(help=f"Least widening of the mean bound [m], {_OFF}.")] = None,
    coverage: Annotated[str | None, typer.Option(help="Coverage of the last feedback, on or off.")] = None,
    for_: Annotated[str | None, typer.Option("--for", help="How long it must hold, as in 15m.")] = None,
    window: Annotated[str | None, typer.Option(help="What is judged at each look, as in 5m; at most --for.")] = None,
    min_rows: Annotated[str | None, typer.Option(help="Rows that a window must have to be judged.")] = None,
    cooldown: Annotated[str | None, typer.Option(help="No other run for so long, as in 24h.")] = None,
    interval: Annotated[str, typer.Option(help="Time between looks.")] = "30s",
    once: Annotated[bool, typer.Option("--once", help="One look; ends with 10 if a run was submitted.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be submitted, and submit nothing.")
    ] = False,
    show_rule: Annotated[bool, typer.Option("--show-rule", help="Print the rule, and look at nothing.")] = False,
    token_file: Annotated[Path | None, typer.Option(help="File of the server's token.")] = None,
    ca_file: Annotated[Path | None, typer.Option(help="Certificates to trust beside the system's, PEM.")] = None,
    state: Annotated[
        Path, typer.Option(help="Folder of everything that outlives a run.", envvar="BRAKELINE_STATE", file_okay=False)
    ] = Path(".brakeline"),
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout for each look.")] = False,
    more: Annotated[
        list[str] | None, typer.Argument(help="Behind --: options of the run, as of brakeline run.")
    ] = None,
) -> None:
    """Watch a server's traffic, and submit a run, once, where the rule holds for long enough.

    Example: brakeline watch --server http://127.0.0.1:8080 --for 15m --cooldown 24h -- --rows 400000
    """
    from brakeline import refusals, rule

    with refusals.told(as_json):
        given = {"psi": psi, "out_of_range": out_of_range, "widening_m": widening_m, "coverage": coverage,
                 "for": for_, "window": window, "min_rows": min_rows, "cooldown": cooldown}  # fmt: skip
        chosen = rule.read(rule_file, given)
        if show_rule:
            _show_rule(chosen, as_json)
            return
        _look(server, to, recorded, chosen, interval, once, dry_run, token_file, ca_file, state, as_json, more or [])


def _look(
    server: str,
    to: str,
    recorded: str | None,
    rule: "Rule",
    interval: str,
    once: bool,
    dry_run: bool,
    token_file: Path | None,
    ca_file: Path | None,
    state: Path,
    as_json: bool,
    more: list[str],
) -> None:
    from brakeline import trigger
    from brakeline import watch as watching
    from brakeline.server_metrics import Address

    if not server:
        raise typer.BadParameter("needed, as --server or BRAKELINE_SERVER", param_hint="--server")
    interval_s = _time(interval)
    submitter = trigger.Command(_to(to), state.absolute(), _known(recorded), more)
    address = Address(server, token_file, ca_file)
    with watching.alone(state):
        watching.end_by_signals(submitter)
        # A clock's looks are as far apart as it makes them; one's own that are not are looks that were missed.
        gap_s = math.inf if once else 2 * interval_s + _SLOW_LOOK_S
        watch = watching.Watch(
            address, rule, state, submitter, to, _steady_clock(), dry_run, wait=once, longest_gap_s=gap_s
        )
        while True:
            looked = watch.step()
            _print(looked, once, as_json)
            if once:
                raise typer.Exit(looked.exit_code)
            time.sleep(watch.pause_s(interval_s))


def _steady_clock() -> Callable[[], float]:
    """The time as it is now [s since 1970], and from now on as it passes: setting the wall clock is no time passed."""
    began_s, first_s = time.time(), time.monotonic()
    return lambda: began_s + (time.monotonic() - first_s)


def _to(text: str) -> "To":
    from brakeline import trigger

    try:
        return trigger.To(text)
    except ValueError as error:
        raise typer.BadParameter(f"found {text!r}, allowed {', '.join(trigger.To)}", param_hint="--to") from error


def _known(recorded: str | None) -> str | None:
    from brakeline import recordings

    try:
        return None if recorded is None else recordings.check(recorded)
    except recordings.UnusableAddress as error:
        raise typer.BadParameter(str(error), param_hint="--recorded") from error


def _time(text: str) -> float:
    from brakeline.rule import duration

    try:
        return duration(text)
    except ValueError as error:
        raise typer.BadParameter(f"found {text!r}, allowed {error}", param_hint="--interval") from error


def _show_rule(rule: "Rule", as_json: bool) -> None:
    import yaml

    print(json.dumps(rule.words()) if as_json else yaml.safe_dump(rule.words(), sort_keys=False).rstrip())


def _print(looked: "Looked", once: bool, as_json: bool) -> None:
    if as_json:
        print(json.dumps(looked.facts()), flush=True)
        return
    if not once:
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("condition", "holds", "found")
    for finding in looked.findings:
        table.add_row(
            finding.name, "yes" if finding.holds else "no" if finding.value is not None else "?", finding.words
        )
    console = Console()
    if looked.findings:
        console.print(table)
    console.print(looked.status.replace("_", " "), looked.error, highlight=False, markup=False)
