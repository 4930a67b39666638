"""`brakeline-ask`: what the served model says, beside the UK Highway Code."""

import json
import time
from dataclasses import asdict
from typing import Annotated

import typer

import brakeline_client

UNAVAILABLE, WRONG = 69, 70
_PAUSE_S = 0.2

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"brakeline-ask {brakeline_client.__version__}")
        raise typer.Exit


@app.command()
def main(
    server: Annotated[str, typer.Option(help="URL of the server.")] = "http://127.0.0.1:8080",
    name: Annotated[str, typer.Option(help="Name of the model.")] = "stopping-distance",
    wait_s: Annotated[float, typer.Option(min=0, help="How long to wait for the server [s].")] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Ask a served model for the way to standstill at the Highway Code's speeds.

    Example: brakeline-ask --server http://127.0.0.1:8080 --json
    """
    from brakeline_client import ask, table

    deadline = time.monotonic() + wait_s
    while True:
        try:
            lines = ask.highway_code(server, name)
            break
        except ask.WrongAnswer as error:
            _fail(str(error), WRONG, as_json)
        except ask.NoAnswer as error:
            if time.monotonic() >= deadline:
                _fail(str(error), UNAVAILABLE, as_json)
            time.sleep(_PAUSE_S)
    if as_json:
        print(json.dumps({"server": server, "model": name, "highway_code": [asdict(line) for line in lines]}))
    else:
        table.show(lines)


def _fail(message: str, exit_code: int, as_json: bool) -> None:
    typer.echo(message, err=True)
    if as_json:
        print(json.dumps({"error": message}))
    raise typer.Exit(exit_code)
