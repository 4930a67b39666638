"""What the verbs of a cluster have in common: their options, what they wish for, and how they speak."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from brakeline.place import NoEngine

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
    str,
    typer.Option(help="What serves the model.", envvar="BRAKELINE_MODEL_STORE", metavar="kserve://NAMESPACE[/SERVICE]"),
]
Server = Annotated[
    str, typer.Option(help="URL that the service is asked at; without it its own.", envvar="BRAKELINE_SERVER")
]
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


def wish_of(scenario: str, others: list[str] | None, **wish: Any) -> Any:
    """What is wished for, of a scenario's name or file and `--set` words. Raises UnusableAccess."""
    from brakeline import cluster_inputs

    text, label = cluster_inputs.read_scenario(scenario)
    return cluster_inputs.Wish(scenario=text, label=label, others=tuple(others or ()), **wish)


@contextmanager
def telling(as_json: bool) -> Iterator[Any]:
    """A voice on stderr for a verb's work, and its failure in words, as JSON too, and as an exit status."""
    from brakeline.access import ClusterError
    from brakeline.images import NotBuilt
    from brakeline.recordings import RecordingError

    people = Console(stderr=True)
    try:
        yield lambda line: people.print(line, highlight=False, markup=False, soft_wrap=True)
    except (ClusterError, RecordingError, NoEngine, NotBuilt) as error:
        exit_code = getattr(error, "exit_code", 69)
        people.print(str(error), highlight=False, markup=False, soft_wrap=True)
        if as_json:
            print(json.dumps({"status": "error", "error": str(error), "exit_code": exit_code}))
        raise typer.Exit(exit_code) from error


def show(as_json: bool, found: dict[str, Any], shown: str | Table) -> None:
    """One JSON object, or what people read, on stdout."""
    if as_json:
        print(json.dumps(found))
    else:
        Console().print(shown, highlight=False, markup=False, soft_wrap=isinstance(shown, str))


def table(columns: tuple[str, ...], rows: list[dict[str, Any]]) -> Table:
    """Rows of facts under the columns of these names."""
    made = Table(*(column.replace("_", " ") for column in columns), box=None, header_style="bold")
    for row in rows:
        made.add_row(*(_cell(row.get(column)) for column in columns))
    return made


def _cell(value: Any) -> str:
    return value[0] if isinstance(value, list) and value else str(value or "")
