"""`brakeline models`: versions in the registry, listed, shown, compared, promoted, archived."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import RenderableType

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Versions of the model in the registry: list, show, compare, promote, archive.",
)

State = Annotated[
    Path, typer.Option(help="Folder of everything that outlives a run.", envvar="BRAKELINE_STATE", file_okay=False)
]
Registry = Annotated[
    str,
    typer.Option(
        help="Registry: sqlite:///PATH or https://HOST; that of the state folder if empty.",
        envvar="BRAKELINE_REGISTRY",
        metavar="URL",
    ),
]
Name = Annotated[str, typer.Option(help="The registered model's name.")]
By = Annotated[str, typer.Option(help="Who does it; you, if empty.")]
Why = Annotated[str, typer.Option(help="Why, for the record.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]


@app.command("list")
def list_versions(
    state: State = Path(".brakeline"),
    registry: Registry = "",
    name: Name = "stopping-distance",
    as_json: AsJson = False,
) -> None:
    """List all versions, oldest first, and how many models were judged on each dataset.

    Example: brakeline models list
    """
    from brakeline import models, refusals

    with refusals.told(as_json):
        told = models.Shelf(models.registry_of(registry, state), name).ask("list")
    _show(as_json, told, models.drawn_list(told))


@app.command("show")
def show_version(
    version: Annotated[str, typer.Argument(help="The version.")],
    card: Annotated[bool, typer.Option("--card", help="Its model card instead.")] = False,
    state: State = Path(".brakeline"),
    registry: Registry = "",
    name: Name = "stopping-distance",
    as_json: AsJson = False,
) -> None:
    """Show one version: where it is from, its figures, gates, papers, and every change of its state.

    Example: brakeline models show 3 --card
    """
    from rich.markdown import Markdown

    from brakeline import models, refusals

    with refusals.told(as_json):
        told = models.Shelf(models.registry_of(registry, state), name).ask("show", version=version)
        if card and not told["card"]:
            raise refusals.Refused(f"version {version} of {name} has no card that is kept")
    _show(as_json, told, Markdown(told["card"]) if card else models.drawn_version(told))


@app.command("diff")
def compare(
    a: Annotated[str, typer.Argument(help="One version.")],
    b: Annotated[str, typer.Argument(help="The other version.")],
    everything: Annotated[bool, typer.Option("--all", help="Also what is the same.")] = False,
    state: State = Path(".brakeline"),
    registry: Registry = "",
    name: Name = "stopping-distance",
    as_json: AsJson = False,
) -> None:
    """Compare two versions side by side: metrics, gates, data, training, code, contract.

    Example: brakeline models diff 2 3
    """
    from brakeline import models, refusals

    with refusals.told(as_json):
        told = models.Shelf(models.registry_of(registry, state), name).ask("diff", a=a, b=b)
    _show(as_json, told, models.drawn_difference(told, everything))


@app.command("promote")
def promote(
    version: Annotated[str, typer.Argument(help="The version.")],
    why: Why,
    by: By = "",
    state: State = Path(".brakeline"),
    registry: Registry = "",
    name: Name = "stopping-distance",
    as_json: AsJson = False,
) -> None:
    """Make a version the live one, which the next model is compared with; who, when and why is on record.

    What a server serves is for `brakeline deploy` to say.

    Example: brakeline models promote 3 --why "shorter bounds on wet roads, reviewed by two"
    """
    from brakeline import models, refusals

    with refusals.told(as_json):
        shelf = models.Shelf(models.registry_of(registry, state), name)
        told = shelf.promote(version, by, _said(why), state, _warn)
    before = f", in place of {told['before']}" if told["before"] not in (None, version) else ""
    _show(as_json, told, f"version {version} of {name} is live{before}")


@app.command("archive")
def archive(
    version: Annotated[str, typer.Argument(help="The version.")],
    why: Why,
    by: By = "",
    state: State = Path(".brakeline"),
    registry: Registry = "",
    name: Name = "stopping-distance",
    as_json: AsJson = False,
) -> None:
    """Retire a version that is not live; who, when and why is on record, and nothing is deleted.

    Example: brakeline models archive 1 --why "its dataset was withdrawn"
    """
    from brakeline import models, refusals

    with refusals.told(as_json):
        told = models.Shelf(models.registry_of(registry, state), name).ask(
            "archive", version=version, by=by, why=_said(why)
        )
    _show(as_json, told, f"version {version} of {name} is archived")


def _warn(said: dict[str, Any]) -> None:
    from rich.console import Console

    Console(stderr=True).print(said["message"], highlight=False, markup=False, soft_wrap=True)


def _said(why: str) -> str:
    if not why.strip():
        raise typer.BadParameter("found nothing, allowed a reason in words", param_hint="--why")
    return why.strip()


def _show(as_json: bool, told: dict[str, Any], drawn: "RenderableType") -> None:
    from rich.console import Console

    if as_json:
        print(json.dumps(told))
    else:
        Console().print(drawn, highlight=False, markup=False)
