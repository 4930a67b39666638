"""`brakeline feedback`: measured stops joined to what the server predicted."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.command("feedback")
def feedback(
    file: Annotated[
        Path,
        typer.Argument(help="Measured stops, CSV or Parquet: id, row (0 without), measured_m [m].", dir_okay=False),
    ],
    predictions: Annotated[
        Path,
        typer.Option(
            help="Folder of the server's --prediction-log, or one with such a folder of each server.",
            metavar="DIR",
            file_okay=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(help="Recorded data to write for the next training, .csv or .parquet.", dir_okay=False),
    ] = None,
    name: Annotated[str, typer.Option(help="The model's name.")] = "stopping-distance",
    promised: Annotated[
        float, typer.Option(min=0.5, max=0.9999, help="Share of stops that the bound is meant to hold for.")
    ] = 0.99,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse where a stop or a line of the log is left over.")
    ] = False,
    state: Annotated[
        Path, typer.Option(help="Folder of everything that outlives a run.", envvar="BRAKELINE_STATE", file_okay=False)
    ] = Path(".brakeline"),
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Tell how often the bound held on the road, by slice, and write the stops as data for the next training.

    Example: brakeline feedback stops.csv --predictions kept --output recorded.csv
    """
    from rich.console import Console

    from brakeline import feedback as loop
    from brakeline import recorded_form, refusals

    with refusals.told(as_json), Console(stderr=True).status("reading the prediction log"):
        recorded_form.check(output)
        told = loop.run(loop.Ask(file, predictions, state, name, output, promised, strict))
    if as_json:
        print(json.dumps(told))
    else:
        _show(told)


def _show(told: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"Bounds of {told['model']} beside measured stops; margin is bound less measured [m]")
    table.add_column("stops")
    for heading in ("rows", "drives", "covered", "95 % interval", "worst", "1 %", "5 %", "median"):
        table.add_column(heading, justify="right")
    named = [("all", told["overall"]), ("fail-safe answered", told["out_of_range"])]
    named += [(f"version {one['version']}", one) for one in told["by_version"]]
    named += [(one["slice"], one) for one in told["by_slice"]]
    for name, one in named:
        if one:
            margins = [f"{one[part]:.1f}" for part in ("worst_m", "p01_m", "p05_m", "median_m")]
            interval = f"{one['low']:.2%} to {one['high']:.2%}"
            table.add_row(name, f"{one['rows']}", f"{one['drives']}", f"{one['covered']:.2%}", interval, *margins)
    console = Console()
    console.print(table)
    counts = {what.replace("_", " "): count for what, count in told["counts"].items() if count}
    console.print(", ".join(f"{what} {count}" for what, count in counts.items()), highlight=False)
    for what, places in told["named"].items():
        for place in places:
            console.print(f"{what.replace('_', ' ')}: {place}", highlight=False, markup=False)
    if told["overall"] and told["overall"]["high"] < told["promised"]:
        console.print(f"the bound is kept less often than the {told['promised']:.2%} promised", highlight=False)
    if told["output"]:
        console.print(f"written: {told['output']}, for brakeline run --recorded", highlight=False, soft_wrap=True)
