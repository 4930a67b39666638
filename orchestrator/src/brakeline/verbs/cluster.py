"""`brakeline submit` and what goes with it: runs on Kubeflow Pipelines."""

from pathlib import Path
from typing import Annotated, Any

import typer

from brakeline.place import Runner
from brakeline.verbs.cluster_options import (
    AsJson,
    Deploy,
    Experiment,
    HoldoutRows,
    LocalImages,
    ModelStore,
    Name,
    Namespace,
    Others,
    Recorded,
    Registry,
    Rows,
    Scenario,
    Seed,
    Server,
    ServiceAccount,
    Shards,
    Store,
    Trials,
    Url,
    show,
    table,
    telling,
    wish_of,
)

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


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
    cache: Annotated[
        bool, typer.Option("--cache/--no-cache", help="Let the cluster skip tasks whose inputs and code are unchanged.")
    ] = True,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for its end, as `brakeline wait` does.")] = False,
    as_json: AsJson = False,
) -> None:
    """Start a run of the pipeline on the cluster. The token comes from `oc login`, a file or the pod, never from here.

    Example: brakeline submit --rows 1000000 --shards 8 --idempotency nightly-2026-11-24 --json
    """
    with telling(as_json) as tell:
        from brakeline import cluster, following
        from brakeline.access import access

        wish = wish_of(
            scenario, others, recorded=recorded, store=store, registry=registry, model_store=model_store, server=server,
            rows=rows, holdout_rows=holdout_rows, seed=seed, trials=trials, shards=shards, name=name,
            auto_deploy=deploy,
        )  # fmt: skip
        way = access(url, namespace)
        made = cluster.submit(
            way, wish, idempotency, experiment, reason, allow_local_images, service_account, tell, cached=cache
        )
        found = made.facts()
        tell(f"run {made.name} {'started' if made.started else 'was started before'}: {made.page}")
        if wait:
            found |= following.wait(way, made.run_id, tell)
    show(as_json, found, f"{made.run_id}  {made.name}")
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
    with telling(as_json) as tell:
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
            wish = wish_of(
                scenario, others, recorded=recorded, store=store, registry=registry, model_store=model_store,
                server=server, rows=rows, holdout_rows=holdout_rows, seed=seed, trials=trials, shards=shards, name=name,
                auto_deploy=deploy,
            )  # fmt: skip
            found = schedules.add(way, wish, what, experiment, allow_local_images, service_account, tell)
            listed = [found]
    show(as_json, found, table(("name", "state", "cron", "next", "schedule"), listed))


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
    with telling(as_json):
        from brakeline import following
        from brakeline.access import access

        found = following.runs(access(url, namespace), experiment, state, name, limit)
    show(as_json, {"runs": found}, table(("name", "state", "created_at", "finished_at", "run"), found))


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
    with telling(as_json) as tell:
        from brakeline import following
        from brakeline.access import access

        found = following.wait(access(url, namespace), run, tell, timeout_seconds)
    show(as_json, found, f"{found['status']}: {found['error'] or found.get('name')}")
    raise typer.Exit(following.EXIT_CODES[found["status"]])


@app.command()
def logs(
    run: Annotated[str, typer.Argument(help="The run's id.")],
    task: Annotated[str, typer.Argument(help="One of its tasks; without it all.")] = "",
    url: Url = "",
    namespace: Namespace = "",
    root: Annotated[
        str,
        typer.Option(help="s3://bucket/prefix of the runs' artifacts or log archive.", envvar="BRAKELINE_ARTIFACTS"),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Print what the steps of a run said: from their pods, else from the store; and what was tried.

    Example: brakeline logs 5f6a1c1e-0d3b-4c59-9d0e-6c1f1ea9b001 fit
    """
    with telling(as_json) as tell:
        from brakeline import step_logs
        from brakeline.access import access

        found = step_logs.of_run(access(url, namespace), run, task, namespace, root)
        for line in found.tried:
            tell(line)
    shown = "\n".join(f"── {log['task']}, {log['from']}\n{log['text'].rstrip()}" for log in found.logs)
    show(as_json, {"run": run, "logs": found.logs, "tried": found.tried}, shown)


@app.command("explain-cache")
def explain_cache(
    on_cluster: Annotated[bool, typer.Option("--cluster", help="The next submit, as far as it can be known.")] = False,
    state: Annotated[
        Path, typer.Option(help="Folder of everything that outlives a run.", envvar="BRAKELINE_STATE", file_okay=False)
    ] = Path(".brakeline"),
    runner: Annotated[Runner, typer.Option(help="Where the steps would run.")] = Runner.AUTO,
    url: Url = "",
    namespace: Namespace = "",
    recorded: Recorded = None,
    store: Store = "",
    registry: Registry = "",
    model_store: ModelStore = "",
    rows: Rows = 400_000,
    holdout_rows: HoldoutRows = 60_000,
    scenario: Scenario = "default",
    seed: Seed = 0,
    trials: Trials = 8,
    shards: Shards = 2,
    name: Name = "stopping-distance",
    deploy: Deploy = True,
    others: Others = None,
    allow_local_images: LocalImages = False,
    as_json: AsJson = False,
) -> None:
    """Tell which tasks of the next run would come from the cache, and why the others would not.

    Example: brakeline explain-cache --rows 20000 --seed 1 --json
    """
    with telling(as_json) as tell:
        if on_cluster:
            from brakeline import cluster_cache
            from brakeline.access import access

            wish = wish_of(
                scenario, others, recorded=recorded, store=store, registry=registry, model_store=model_store, rows=rows,
                holdout_rows=holdout_rows, seed=seed, trials=trials, shards=shards, name=name, auto_deploy=deploy,
            )  # fmt: skip
            found = cluster_cache.of_next_submit(access(url, namespace), wish, allow_local_images)
        else:
            from brakeline import cluster_inputs, forecast, place
            from brakeline.run import Request

            text, _ = cluster_inputs.read_scenario(scenario)
            request = Request(
                state, "", recorded, rows, holdout_rows, seed, trials, shards, name, auto_deploy=deploy, scenario=text
            )
            found = forecast.of_request(request, place.choose(runner, tell))
            for item in found["tasks"]:
                item["verdict"] = "from the cache" if item["hit"] else "runs"
    shown = [{**item, "why": "; ".join(item["why"])} for item in found["tasks"]]
    show(as_json, found, table(("task", "verdict", "why"), shown))
