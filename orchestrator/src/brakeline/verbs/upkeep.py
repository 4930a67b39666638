"""`brakeline doctor` and `brakeline prune`: what is missing, and what is no longer needed."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from brakeline.refusals import UNAVAILABLE

if TYPE_CHECKING:
    from brakeline.doctor.examination import Check

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

State = Annotated[
    Path, typer.Option(help="Folder of everything that outlives a run.", envvar="BRAKELINE_STATE", file_okay=False)
]
Registry = Annotated[
    str, typer.Option(help="sqlite:///PATH, or https://HOST of a Kubeflow Model Registry.", envvar="BRAKELINE_REGISTRY")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]


@app.command("doctor")
def doctor(
    state: State = Path(".brakeline"),
    url: Annotated[str, typer.Option(help="Route of the pipelines API.", envvar="BRAKELINE_KFP_URL")] = "",
    namespace: Annotated[
        str, typer.Option(help="Project of pipelines and endpoints.", envvar="BRAKELINE_KFP_NAMESPACE")
    ] = "",
    registry: Registry = "",
    bucket: Annotated[str, typer.Option(help="s3://bucket/prefix to try.", envvar="BRAKELINE_STORE")] = "",
    timeout_s: Annotated[float, typer.Option(min=0.1, max=300, help="Patience with each answer [s].")] = 10.0,
    as_json: AsJson = False,
) -> None:
    """Look at every prerequisite and say what to do; ends with 69 if one that is needed does not hold.

    Example: brakeline doctor --url https://ds-pipeline-dspa.apps.example --bucket s3://pipeline-artifacts/brakeline
    """
    from brakeline.doctor import examination, prerequisites

    ask = examination.Ask(state, url, namespace, registry, bucket, timeout_s)
    checks = examination.examine(ask, prerequisites.PROBES)
    told = examination.summary(checks)
    if as_json:
        print(json.dumps(told))
    else:
        _show(checks)
    raise typer.Exit(UNAVAILABLE if told["failed"] else 0)


def _show(checks: "list[Check]") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    colours = {"ok": "green", "failed": "bold red", "skipped": "dim"}
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for _ in range(3):
        table.add_column(overflow="fold")
    for check in checks:
        found = Text(check.found)
        if check.todo:
            found.append(f"\n-> {check.todo}", "bold" if check.status == "failed" else "dim")
        table.add_row(Text(check.status, colours[check.status]), check.name, found)
    Console().print(table)
