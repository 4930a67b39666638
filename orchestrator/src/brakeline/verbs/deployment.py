"""`brakeline deploy` and `brakeline rollback`: which version a server serves."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from brakeline.refusals import told

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

State = Annotated[
    Path, typer.Option(help="Folder of everything that outlives a run.", envvar="BRAKELINE_STATE", file_okay=False)
]
Registry = Annotated[
    str,
    typer.Option(
        help="sqlite:///PATH, or https://HOST of a Kubeflow Model Registry; without it the state's.",
        envvar="BRAKELINE_REGISTRY",
    ),
]
Name = Annotated[str, typer.Option(help="The model's name in the registry.")]
To = Annotated[
    str,
    typer.Option(
        help="Where it is served: a model store, folder or s3://, or kserve://NAMESPACE/SERVICE; else the state's.",
        envvar="BRAKELINE_MODEL_STORE",
        metavar="TARGET",
    ),
]
Server = Annotated[str, typer.Option(help="URL of the server that serves it.", envvar="BRAKELINE_SERVER")]
TokenFile = Annotated[str, typer.Option(help="File of the token that the server wants.")]
CaBundle = Annotated[str, typer.Option(help="File of certificates to trust beside the usual ones.")]
VerifyKey = Annotated[
    str,
    typer.Option(
        help="File of a public key: what is not signed by its private one comes not into service.",
        envvar="BRAKELINE_VERIFY_KEY",
        metavar="FILE",
    ),
]
TimeoutS = Annotated[int, typer.Option(min=0, max=3600, help="Patience [s]; 0: 60 with a server, 600 with a cluster.")]
Why = Annotated[str, typer.Option(help="Why, for the record.")]
By = Annotated[str, typer.Option(help="Who does it; this user without it.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]


@app.command()
def deploy(
    version: Annotated[str, typer.Argument(help="Version, as `brakeline models list` tells it.")],
    plan: Annotated[bool, typer.Option("--plan", help="Show what would change as a diff, and change nothing.")] = False,
    shadow: Annotated[bool, typer.Option("--shadow", help="Give it a copy of the requests first.")] = False,
    after_requests: Annotated[
        int, typer.Option(min=0, help="Requests to compare before the shadow takes over; 0: it stays a shadow.")
    ] = 0,
    within_m: Annotated[float, typer.Option(min=0, help="How far the medians may be apart [m].")] = 0.5,
    within_share: Annotated[float, typer.Option(min=0, max=1, help="Share of the rows that must be within it.")] = 1.0,
    shadow_seconds: Annotated[int, typer.Option(min=1, max=604_800, help="Patience with the traffic [s].")] = 3600,
    canary_percent: Annotated[
        int, typer.Option(min=0, max=99, help="Share of the requests for a canary on a cluster [%].")
    ] = 0,
    storage_uri: Annotated[str, typer.Option(help="Where a cluster reads the model; without it the registered.")] = "",
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Change fields of the InferenceService that others manage.")
    ] = False,
    state: State = Path(".brakeline"),
    registry: Registry = "",
    name: Name = "stopping-distance",
    to: To = "",
    server: Server = "",
    token_file: TokenFile = "",
    ca_bundle: CaBundle = "",
    verify_key: VerifyKey = "",
    timeout_s: TimeoutS = 0,
    by: By = "",
    why: Why = "",
    as_json: AsJson = False,
) -> None:
    """Put a registered version into service, prove it, and make it the registry's live one.

    Whatever goes wrong, the version before serves again. Example: brakeline deploy 3 --shadow --after-requests 10000
    """
    from brakeline import deployment

    place = _place(state, registry, name, to, server, token_file, ca_bundle, timeout_s, verify_key)
    manner = deployment.Manner(
        shadow, after_requests, within_m, within_share, shadow_seconds, canary_percent, storage_uri, take_over
    )
    with told(as_json):
        if plan:
            done = deployment.plan(place, version, manner, _quiet)
        else:
            done = deployment.deploy(place, version, manner, by, why, _tell)
    if as_json:
        print(json.dumps(done))
    elif plan:
        _show_plan(done)
    else:
        _show(f"version {done['serving']} serves at {done['url']}", done)


@app.command()
def rollback(
    state: State = Path(".brakeline"),
    registry: Registry = "",
    name: Name = "stopping-distance",
    to: To = "",
    server: Server = "",
    token_file: TokenFile = "",
    ca_bundle: CaBundle = "",
    verify_key: VerifyKey = "",
    timeout_s: TimeoutS = 0,
    by: By = "",
    why: Why = "",
    as_json: AsJson = False,
) -> None:
    """Serve the version that was proven before the present one, and make it the registry's live one.

    Example: brakeline rollback --why "warns too late in the wet"
    """
    from brakeline import deployment

    place = _place(state, registry, name, to, server, token_file, ca_bundle, timeout_s, verify_key)
    with told(as_json):
        done = deployment.roll_back(place, by, why, _tell)
    if as_json:
        print(json.dumps(done))
    else:
        _show(f"version {done['version']} serves instead of {done['instead_of']}", done)


def _place(
    state: Path,
    registry: str,
    name: str,
    to: str,
    server: str,
    token_file: str,
    ca_bundle: str,
    timeout_s: int,
    verify_key: str,
) -> Any:
    from brakeline.deployment import Place
    from brakeline.models import registry_of

    known, target = registry_of(registry, state), to or str(state / "models")
    return Place(known, name, target, server, token_file, ca_bundle, timeout_s, state, verify_key)


def _tell(said: dict[str, Any]) -> None:
    """What a step is at, for people who wait."""
    from rich.console import Console

    skipped = {"time", "level", "event", "message", "exit_code"}
    facts = "  ".join(f"{key}={value}" for key, value in said.items() if key not in skipped and value not in (None, ""))
    if said.get("level") != "error":
        line = said.get("message") or f"{said.get('event')}  {facts}"
        Console(stderr=True).print(f"{line}", highlight=False, markup=False, soft_wrap=True)


def _quiet(_: dict[str, Any]) -> None:
    """A plan is shown once, as the result."""


def _show_plan(told_plan: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.syntax import Syntax

    console = Console()
    if told_plan["diff"]:
        console.print(Syntax(told_plan["diff"], "diff", background_color="default", word_wrap=True))
    changes = "would change" if told_plan["changes"] else "changes nothing"
    console.print(f"{told_plan['name']}: version {told_plan['now']} -> {told_plan['then']}, {changes}", highlight=False)


def _show(sentence: str, done: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for key, value in done.items():
        if value is not None and key not in ("version", "url"):
            table.add_row(key.replace("_", " "), json.dumps(value) if isinstance(value, dict) else str(value))
    console = Console()
    console.print(sentence, highlight=False, soft_wrap=True)
    console.print(table)
