"""`brakeline submit` and what goes with it: runs on Kubeflow Pipelines."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Url = Annotated[str, typer.Option(help="The pipelines API: the DSPA's route.", envvar="BRAKELINE_KFP_URL")]
Namespace = Annotated[
    str, typer.Option(help="Namespace, where one installation serves many.", envvar="BRAKELINE_KFP_NAMESPACE")
]
Experiment = Annotated[str, typer.Option(help="Experiment that runs are put into; without it the model's name.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
Recorded = Annotated[
    str | None, typer.Option(help="Recorded stops: a file, sent to the store, or s3://bucket/key.", metavar="PATH|URI")
]
Store = Annotated[str, typer.Option(help="s3://bucket/prefix that the cluster has.", envvar="BRAKELINE_STORE")]
Registry = Annotated[str, typer.Option(help="The cluster's model registry, https://…", envvar="BRAKELINE_REGISTRY")]
ModelStore = Annotated[
    str, typer.Option(help="Where deploy puts models; without it STORE/models.", envvar="BRAKELINE_MODEL_STORE")
]
Server = Annotated[str, typer.Option(help="URL of the cluster's inference server.", envvar="BRAKELINE_SERVER")]
Rows = Annotated[int, typer.Option(min=1, help="Rows of the dataset.")]
HoldoutRows = Annotated[int, typer.Option(min=1, help="Rows of the holdout.")]
Scenario = Annotated[str, typer.Option(help="What is driven: a preset's name, or a YAML file.", metavar="NAME|FILE")]
Seed = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of everything random.")]
Trials = Annotated[int, typer.Option(min=1, help="Settings that the search tries.")]
Shards = Annotated[int, typer.Option(min=1, max=1000, help="Parts that synthesize and search are divided into.")]
Name = Annotated[str, typer.Option(help="The model's name in the registry.")]
Deploy = Annotated[bool, typer.Option("--deploy/--no-deploy", help="Deploy, or stop at registered.")]
Others = Annotated[
    list[str] | None, typer.Option("--set", help="Any other input of the pipeline.", metavar="INPUT=VALUE")
]
LocalImages = Annotated[
    bool, typer.Option("--allow-local-images", help="Submit although images are not pushed, or of older sources.")
]
ServiceAccount = Annotated[str, typer.Option(help="Account that the steps run as; without it the installation's own.")]


@app.command()
def submit(
    url: Url = "",
    namespace: Namespace = "",
    experiment: Experiment = "",
    recorded: Recorded = None,
    store: Store = "",
    registry: Registry = "",
    model_store: ModelStore = "",
    server: Server = "",
    rows: Rows = 400_000,
    holdout_rows: HoldoutRows = 60_000,
    scenario: Scenario = "default",
    seed: Seed = 0,
    trials: Trials = 8,
    shards: Shards = 2,
    name: Name = "stopping-distance",
    deploy: Deploy = True,
    others: Others = None,
    idempotency: Annotated[
        str, typer.Option(help="A key of yours: a run that was submitted with it is found, not started again.")
    ] = "",
    reason: Annotated[str, typer.Option(help="Why, for the run's description.")] = "",
    service_account: ServiceAccount = "",
    allow_local_images: LocalImages = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for its end, as `brakeline wait` does.")] = False,
    as_json: AsJson = False,
) -> None:
    """Start a run of the pipeline on the cluster. The token comes from `oc login`, a file or the pod, never from here.

    Example: brakeline submit --rows 1000000 --shards 8 --idempotency nightly-2026-11-24 --json
    """
    with _told(as_json) as tell:
        from brakeline import cluster, following
        from brakeline.access import access

        wish = _wish(
            scenario, others, recorded=recorded, store=store, registry=registry, model_store=model_store, server=server,
            rows=rows, holdout_rows=holdout_rows, seed=seed, trials=trials, shards=shards, name=name,
            auto_deploy=deploy,
        )  # fmt: skip
        way = access(url, namespace)
        made = cluster.submit(way, wish, idempotency, experiment, reason, allow_local_images, service_account, tell)
        found = made.facts()
        tell(f"run {made.name} {'started' if made.started else 'was started before'}: {made.page}")
        if wait:
            found |= following.wait(way, made.run_id, tell)
    _print(as_json, found, f"{made.run_id}  {made.name}")
    raise typer.Exit(following.EXIT_CODES[found["status"]] if wait else 0)


@app.command()
def schedule(
    what: Annotated[str, typer.Argument(help="A cron expression in UTC, or list, pause, resume, delete.")],
    named: Annotated[str, typer.Argument(help="The schedule's name or id, to pause, resume or delete it.")] = "",
    url: Url = "",
    namespace: Namespace = "",
    experiment: Experiment = "",
    recorded: Recorded = None,
    store: Store = "",
    registry: Registry = "",
    model_store: ModelStore = "",
    server: Server = "",
    rows: Rows = 400_000,
    holdout_rows: HoldoutRows = 60_000,
    scenario: Scenario = "default",
    seed: Seed = 0,
    trials: Trials = 8,
    shards: Shards = 2,
    name: Name = "stopping-distance",
    deploy: Deploy = True,
    others: Others = None,
    service_account: ServiceAccount = "",
    allow_local_images: LocalImages = False,
    as_json: AsJson = False,
) -> None:
    """Run the pipeline again and again, one run at a time, none for times that were missed; or look after schedules.

    Example: brakeline schedule "0 3 * * *" --rows 1000000 --json
    """
    with _told(as_json) as tell:
        from brakeline import schedules
        from brakeline.access import access

        way = access(url, namespace)
        if what == "list":
            listed = schedules.every(way)
            found: dict[str, Any] = {"schedules": listed}
        elif what in {"pause", "resume", "delete"}:
            found = schedules.change(way, what, named)
            listed = [found]
        else:
            wish = _wish(
                scenario, others, recorded=recorded, store=store, registry=registry, model_store=model_store,
                server=server, rows=rows, holdout_rows=holdout_rows, seed=seed, trials=trials, shards=shards, name=name,
                auto_deploy=deploy,
            )  # fmt: skip
            found = schedules.add(way, wish, what, experiment, allow_local_images, service_account, tell)
            listed = [found]
    _print(as_json, found, _table(("name", "state", "cron", "next", "schedule"), listed))


@app.command()
def runs(
    url: Url = "",
    namespace: Namespace = "",
    experiment: Annotated[str, typer.Option(help="Of this experiment alone.")] = "",
    state: Annotated[str, typer.Option(help="In this state alone: running, succeeded, failed, …")] = "",
    name: Annotated[str, typer.Option(help="Whose names have these signs in them.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest first.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the cluster's runs.

    Example: brakeline runs --experiment stopping-distance --state failed --json
    """
    with _told(as_json):
        from brakeline import following
        from brakeline.access import access

        found = following.runs(access(url, namespace), experiment, state, name, limit)
    _print(as_json, {"runs": found}, _table(("name", "state", "created_at", "finished_at", "run"), found))


@app.command()
def wait(
    run: Annotated[str, typer.Argument(help="The run's id.")],
    url: Url = "",
    namespace: Namespace = "",
    timeout_seconds: Annotated[int, typer.Option(min=0, help="Give up after this time; 0 waits on.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Wait until a run on the cluster ends: 0 released, 65 refused by the gate, 70 failed, 69 no answer.

    Example: brakeline wait 5f6a1c1e-0d3b-4c59-9d0e-6c1f1ea9b001 --json
    """
    with _told(as_json) as tell:
        from brakeline import following
        from brakeline.access import access

        found = following.wait(access(url, namespace), run, tell, timeout_seconds)
    _print(as_json, found, f"{found['status']}: {found['error'] or found.get('name')}")
    raise typer.Exit(following.EXIT_CODES[found["status"]])


def _wish(scenario: str, others: list[str] | None, **wish: Any) -> Any:
    from brakeline import cluster_inputs

    text, label = cluster_inputs.read_scenario(scenario)
    return cluster_inputs.Wish(scenario=text, label=label, others=tuple(others or ()), **wish)


@contextmanager
def _told(as_json: bool) -> Iterator[Any]:
    """A voice on stderr for a verb's work, and its failure in words, as JSON too, and as an exit status."""
    from brakeline.access import ClusterError
    from brakeline.recordings import RecordingError

    people = Console(stderr=True)
    try:
        yield lambda line: people.print(line, highlight=False, markup=False, soft_wrap=True)
    except (ClusterError, RecordingError) as error:
        people.print(str(error), highlight=False, markup=False, soft_wrap=True)
        if as_json:
            print(json.dumps({"status": "error", "error": str(error), "exit_code": error.exit_code}))
        raise typer.Exit(error.exit_code) from error


def _print(as_json: bool, found: dict[str, Any], shown: str | Table) -> None:
    if as_json:
        print(json.dumps(found))
    else:
        Console().print(shown, highlight=False, markup=False, soft_wrap=isinstance(shown, str))


def _table(columns: tuple[str, ...], rows: list[dict[str, Any]]) -> Table:
    table = Table(*(column.replace("_", " ") for column in columns), box=None, header_style="bold")
    for row in rows:
        table.add_row(*(_cell(row.get(column)) for column in columns))
    return table


def _cell(value: Any) -> str:
    return value[0] if isinstance(value, list) and value else str(value or "")
