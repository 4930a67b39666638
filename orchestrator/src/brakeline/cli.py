"""`brakeline`: compile the pipeline, run it, or show the whole thing on one machine."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from brakeline import __version__, recordings
from brakeline.images import NotBuilt
from brakeline.place import NoEngine, Runner, ServerFailed
from brakeline.verbs import cluster, deployment, feedback, lineage, models, upkeep, watch
from brakeline.whole import CannotWrite

app = typer.Typer(
    name="brakeline", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None
)

app.add_typer(models.app, name="models")
for verbs in (deployment, lineage, cluster, upkeep, feedback, watch):
    app.add_typer(verbs.app)


def _known_recording(recorded: str | None) -> str | None:
    try:
        return None if recorded is None else recordings.check(recorded)
    except recordings.UnusableAddress as error:
        raise typer.BadParameter(str(error)) from error


def _read_scenario(scenario: str) -> str:
    """A file's text, since a scenario travels as a parameter; the step itself knows the presets and checks both."""
    if not scenario.endswith((".yaml", ".yml")):
        return scenario
    try:
        return Path(scenario).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{scenario}: {error}") from error


State = Annotated[Path, typer.Option(help="Folder of everything that outlives a run.", file_okay=False)]
Recorded = Annotated[
    str | None,
    typer.Option(
        help="Recorded stops, CSV or Parquet in the contract: a path or s3://bucket/key.",
        metavar="PATH|URI",
        callback=_known_recording,
    ),
]
Rows = Annotated[int, typer.Option(min=1, help="Rows of the dataset.")]
HoldoutRows = Annotated[int, typer.Option(min=1, help="Rows of the holdout.")]
Scenario = Annotated[
    str,
    typer.Option(help="What is driven: a preset's name, or a YAML file.", metavar="NAME|FILE", callback=_read_scenario),
]
Seed = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of everything random.")]
Trials = Annotated[int, typer.Option(min=1, help="Settings that the search tries.")]
Shards = Annotated[int, typer.Option(min=1, max=1000, help="Parts that synthesize and search are divided into.")]
Cache = Annotated[bool, typer.Option("--cache/--no-cache", help="Skip tasks whose inputs and code are unchanged.")]
AutoDeploy = Annotated[bool, typer.Option("--deploy/--no-deploy", help="Deploy, or stop at registered.")]
Where = Annotated[
    Runner, typer.Option(help="Where the steps run; auto takes docker where an engine answers and images are current.")
]
Idempotency = Annotated[
    str, typer.Option(help="A key of yours: a run that ended under it is found, not made again.", metavar="KEY")
]
Reason = Annotated[str, typer.Option(help="Why, for the run's record.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]


@app.callback(invoke_without_command=True)
def _top(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """One pipeline, its runners. State lives in one folder, --state."""
    if version:
        print(f"brakeline {__version__}")
        raise typer.Exit


@app.command("compile")
def compile_ir(output: Annotated[Path, typer.Option(help="IR YAML to write.")] = Path("pipeline.yaml")) -> None:
    """Compile the pipeline to KFP's IR YAML, with the pushed images where `build.py images --push` recorded them.

    Example: brakeline compile --output pipeline.yaml
    """
    from brakeline import images, revision, run

    named = images.for_cluster()
    print(json.dumps({"pipeline": str(run.compile_pipeline(output, named, revision.here())), "images": named}))


@app.command("run")
def run_pipeline(
    server: Annotated[
        str, typer.Option(help="URL of a server that follows the state's model store; without it one runs meanwhile.")
    ] = "",
    state: State = Path(".brakeline"),
    recorded: Recorded = None,
    rows: Rows = 400_000,
    holdout_rows: HoldoutRows = 60_000,
    scenario: Scenario = "default",
    seed: Seed = 0,
    trials: Trials = 8,
    shards: Shards = 2,
    cache: Cache = True,
    deploy: AutoDeploy = True,
    runner: Where = Runner.AUTO,
    idempotency: Idempotency = "",
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Run the pipeline before a server that is up, or before one that is up for the time of the run.

    Example: brakeline run --runner docker --json
    """
    from brakeline import once, place, run
    from brakeline.narrator import narrator

    request = run.Request(
        state,
        server,
        recorded,
        rows,
        holdout_rows,
        seed,
        trials,
        shards,
        auto_deploy=deploy,
        scenario=scenario,
        cached=cache,
        idempotency=idempotency,
        reason=reason,
    )
    with _failures_told(as_json), narrator() as told, once.claimed(state, idempotency, told.tell) as before:
        kept = before or run.carry_out(request, place.choose(runner, told.tell), told)
    told_facts = run.summary(kept)
    if as_json:
        print(json.dumps(told_facts))
    elif kept.error:
        Console(stderr=True).print(f"{kept.status}: {kept.error}", highlight=False)
    else:
        Console().print(f"{kept.status}: version {told_facts['model_version']}, dossier {told_facts['dossier']}")
    raise typer.Exit(run.exit_code(kept))


@app.command("demo")
def demo_all(
    state: State = Path(".brakeline"),
    recorded: Recorded = None,
    rows: Rows = 400_000,
    holdout_rows: HoldoutRows = 60_000,
    scenario: Scenario = "default",
    seed: Seed = 0,
    trials: Trials = 8,
    shards: Shards = 2,
    cache: Cache = True,
    deploy: AutoDeploy = True,
    runner: Where = Runner.AUTO,
    port: Annotated[int, typer.Option(min=0, max=65535, help="The server's port; 0 takes a free one.")] = 0,
    serve: Annotated[bool, typer.Option("--serve", help="Keep the server up at the end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Start a server, run the pipeline before it, and ask the deployed model.

    Example: brakeline demo --rows 20000 --json
    """
    from brakeline import demo
    from brakeline.run import Request

    request = Request(
        state,
        "",
        recorded,
        rows,
        holdout_rows,
        seed,
        trials,
        shards,
        auto_deploy=deploy,
        scenario=scenario,
        cached=cache,
    )
    report = demo.print_json if as_json else demo.print_for_people
    with _failures_told(as_json):
        raise typer.Exit(demo.go(request, runner, port, serve, report))


@contextmanager
def _failures_told(as_json: bool) -> Iterator[None]:
    """What keeps a run from beginning, in words and as an exit status: 69 where a service is not there."""
    try:
        yield
    except (ServerFailed, NoEngine, NotBuilt, recordings.RecordingError, CannotWrite) as error:
        Console(stderr=True).print(str(error), highlight=False, markup=False)
        if as_json:
            print(json.dumps({"status": "failed", "error": str(error)}))
        raise typer.Exit(getattr(error, "exit_code", 69)) from error
