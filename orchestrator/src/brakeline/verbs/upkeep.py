"""`brakeline doctor` and `brakeline prune`: what is missing, and what is no longer needed."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from brakeline.refusals import UNAVAILABLE

if TYPE_CHECKING:
    from brakeline.doctor.examination import Check
    from brakeline.prune.policy import Item
    from brakeline.prune.pruning import Plan

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


@app.command("prune")
def prune(
    keep_runs: Annotated[int | None, typer.Option(min=0, help="Keep that many of the newest runs.")] = None,
    keep_days: Annotated[float | None, typer.Option(min=0, help="Keep runs that are younger [days].")] = None,
    keep_versions: Annotated[
        int | None, typer.Option(min=0, help="Keep that many of the newest versions; the others are archived.")
    ] = None,
    images: Annotated[bool, typer.Option("--images", help="Remove our images that nothing names any more.")] = False,
    even_lineage: Annotated[
        bool, typer.Option("--even-lineage", help="Give up the runs, too, that made the versions in service.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Ask nobody.")] = False,
    state: State = Path(".brakeline"),
    registry: Registry = "",
    model_store: Annotated[
        str, typer.Option(help="Model store in use: a folder, s3://, or kserve://.", envvar="BRAKELINE_MODEL_STORE")
    ] = "",
    name: Annotated[str, typer.Option(help="The model's name.")] = "stopping-distance",
    as_json: AsJson = False,
) -> None:
    """Retire runs, versions and images that no rule keeps; what is live, served, gone back to, or at work stays.

    What any rule keeps is kept. A version that goes is archived: its entry and papers stay, its model does not.

    Example: brakeline prune --keep-runs 10 --keep-days 30 --keep-versions 5 --dry-run
    """
    import getpass
    from datetime import timedelta

    from brakeline import refusals
    from brakeline.prune import policy, pruning

    age = None if keep_days is None else timedelta(days=keep_days)
    rules = policy.Policy(keep_runs, age, keep_versions, images, even_lineage)
    registry, model_store = registry or f"sqlite:///{state / 'registry.sqlite'}", model_store or str(state / "models")
    where = pruning.Where(state, registry, model_store, name, getpass.getuser())
    with refusals.told(as_json), pruning.alone(state):
        made = pruning.plan(where, rules)
        if not dry_run:
            _agree(made, yes, as_json)
            made = pruning.carry_out(made, _narrate)
    status = "planned" if dry_run else "done"
    if as_json:
        print(json.dumps(pruning.describe(made, status)))
    else:
        _show_plan(made, status)


def _agree(made: "Plan", yes: bool, as_json: bool) -> None:
    """Go on if a person, or the command line, says so. Raises Refused, typer.Abort."""
    import sys

    from brakeline.refusals import USAGE, Refused

    if yes or not made.items:
        return
    if as_json or not sys.stdin.isatty():
        raise Refused("nothing is removed unasked: say --yes, or --dry-run to see what would go", USAGE)
    _show_plan(made, "planned")
    typer.confirm("Remove all this?", abort=True, err=True)


def _narrate(item: "Item") -> None:
    from rich.console import Console

    Console(stderr=True).print(f"gone: {item.kind} {item.name}", highlight=False, markup=False, soft_wrap=True)


def _show_plan(made: "Plan", status: str) -> None:
    from rich.console import Console
    from rich.filesize import decimal
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("goes" if status == "planned" else "went", "name"):
        table.add_column(heading, overflow="fold")
    table.add_column("size", justify="right")
    for item in made.items:
        table.add_row(item.kind, item.name, decimal(item.bytes or 0))
    console = Console()
    if made.items:
        console.print(table)
    for one in made.kept:
        console.print(f"stays: {one.kind} {one.name}: {one.why}", highlight=False, markup=False)
    total = decimal(sum(item.bytes or 0 for item in made.items))
    console.print(f"{'would free' if status == 'planned' else 'freed'} {total}", highlight=False)
