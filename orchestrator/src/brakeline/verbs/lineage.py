"""`brakeline lineage`: where a version comes from, drawn as a tree and verified."""

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.command("lineage")
def lineage(
    version: Annotated[str, typer.Argument(help="The version, as the registry numbers it.")],
    name: Annotated[str, typer.Option(help="The model's name.")] = "stopping-distance",
    registry: Annotated[
        str,
        typer.Option(help="Registry; the state's own if empty.", envvar="BRAKELINE_REGISTRY", metavar="URL"),
    ] = "",
    state: Annotated[
        Path, typer.Option(help="Folder of everything that outlives a run.", envvar="BRAKELINE_STATE", file_okay=False)
    ] = Path(".brakeline"),
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")] = False,
) -> None:
    """Draw where a version comes from, and hold every file of that which is here to its recorded sha256.

    Ends with 65 where one was altered. What is not here is named, and no error.

    Example: brakeline lineage 3
    """
    from rich.console import Console

    from brakeline import descent, inspection, models, refusals

    to_people = Console(stderr=True)
    with refusals.told(as_json), to_people.status("hashing what is here"):
        known = models.registry_of(registry, state)
        report = inspection.examine(inspection.find(known, name, version), known, state)
    if as_json:
        print(json.dumps(report.describe()))
    else:
        console = Console()
        console.print(descent.draw(report))
        console.print(f"{sum(map(len, report.seen.values()))} intact, {len(report.missing)} not here")
    for one in report.altered:
        said = f"altered: {one.artifact}: {one.file}: found {one.found}, recorded {one.recorded}"
        to_people.print(said, highlight=False, markup=False, soft_wrap=True)
    if report.altered:
        raise typer.Exit(refusals.BAD_DATA)
