"""The steps as KFP container components: a signature each, and the container that keeps it.

Names and types are those of the steps' own `--describe`; a test holds them to it.
"""

from kfp import dsl
from kfp.dsl import HTML, Artifact, Dataset, Input, Metrics, Model, Output, OutputPath, container_component

from brakeline.platform import container


@container_component
def synthesize(
    part: Output[Dataset], rows: int, holdout_rows: int, faulty_rows: int, scenario: str, seed: int, shard: str
):
    """One shard of drives, their sensors and their stops."""
    return container(
        "synthesize", "generate", "--part", part.path, "--rows", rows, "--holdout-rows", holdout_rows,
        "--faulty-rows", faulty_rows, "--scenario", scenario, "--seed", seed, "--shard", shard,
    )  # fmt: skip


@container_component
def assemble(
    parts: Input[list[Dataset]],
    recorded: Input[Dataset],
    dataset: Output[Dataset],
    holdout: Output[Dataset],
    faulty: Output[Dataset],
    rejects: Output[Dataset],
):
    """All shards and the recorded stops as one table of each set. The list comes by the executor input."""
    return container(
        "synthesize", "assemble", "--recorded", recorded.path, "--dataset", dataset.path,
        "--holdout", holdout.path, "--faulty", faulty.path, "--rejects", rejects.path,
    )  # fmt: skip


@container_component
def floor(holdout: Input[Dataset], floor: Output[Dataset], seed: int):
    """How well any model could do on rows of the holdout."""
    return container("synthesize", "floor", "--holdout", holdout.path, "--floor", floor.path, "--seed", seed)


@container_component
def search(dataset: Input[Dataset], results: Output[Artifact], trials: int, seed: int, shard: str):
    """One shard of the search for hyper-parameters."""
    return container(
        "train", "search", "--dataset", dataset.path, "--results", results.path, "--trials", trials, "--seed", seed,
        "--shard", shard,
    )  # fmt: skip


@container_component
def rank(scored: Input[list[Artifact]], ranking: Output[Artifact]):
    """The trials of all shards in one table. The list comes by the executor input."""
    return container("train", "rank", "--ranking", ranking.path)


@container_component
def refine(
    dataset: Input[Dataset], scored: Input[Artifact], results: Output[Artifact], finalists: int, seed: int, shard: str
):
    """One shard of the best trials, looked at closely."""
    return container(
        "train", "refine", "--dataset", dataset.path, "--scored", scored.path, "--results", results.path,
        "--finalists", finalists, "--seed", seed, "--shard", shard,
    )  # fmt: skip


@container_component
def fit(dataset: Input[Dataset], results: Input[list[Artifact]], model: Output[Model], seed: int):
    """The best trial, fitted, calibrated and exported. The list comes by the executor input."""
    return container("train", "fit", "--dataset", dataset.path, "--model", model.path, "--seed", seed)


@container_component
def champion(live: Output[Model], registry: str, name: str):
    """The live model, or a note that there is none; and what was tried so far."""
    return container("register", "champion", "--live", live.path, "--registry", registry, "--name", name)


@container_component
def validate(
    model: Input[Model],
    holdout: Input[Dataset],
    faulty: Input[Dataset],
    floor: Input[Dataset],
    champion: Input[Model],
    verdict: Output[Artifact],
    dossier: Output[HTML],
    metrics: Output[Metrics],
    measurements: Output[Artifact],
    lineage: Output[Artifact],
    passed: OutputPath(bool),  # type: ignore[valid-type]
):
    """The gates: a verdict, its evidence, and whether all passed."""
    return container(
        "validate", "validate", "--model", model.path, "--holdout", holdout.path, "--faulty", faulty.path,
        "--floor", floor.path, "--champion", champion.path, "--verdict", verdict.path, "--dossier", dossier.path,
        "--metrics", metrics.path, "--measurements", measurements.path, "--lineage", lineage.path,
        "--passed", passed,
    )  # fmt: skip


@container_component
def record(verdict: Input[Artifact], recorded: Output[Artifact], origin: Output[Artifact], registry: str, name: str):
    """The attempt in the registry's count, passed or refused."""
    return container(
        "register", "record", "--verdict", verdict.path, "--recorded", recorded.path, "--origin", origin.path,
        "--registry", registry, "--name", name,
    )  # fmt: skip


@container_component
def register(
    model: Input[Model],
    passed_verdict: Input[Artifact],
    dossier: Input[HTML],
    lineage: Input[Artifact],
    registered: Output[Artifact],
    origin: Output[Artifact],
    registry: str,
    name: str,
    keep: str,
    pipeline: str,
):
    """A version in the registry. Refuses without a passed verdict for this very model."""
    return container(
        "register", "add", "--model", model.path, "--passed-verdict", passed_verdict.path, "--dossier", dossier.path,
        "--lineage", lineage.path, "--registered", registered.path, "--origin", origin.path, "--registry", registry,
        "--name", name, "--keep", keep, "--run", dsl.PIPELINE_JOB_ID_PLACEHOLDER, "--pipeline", pipeline,
    )  # fmt: skip


@container_component
def deploy(
    model: Input[Model],
    passed_verdict: Input[Artifact],
    registered: Input[Artifact],
    endpoint: Output[Artifact],
    origin: Output[Artifact],
    model_store: str,
    server: str,
    timeout_seconds: int,
):
    """The version in service and proven. Refuses without a passed verdict for this very model."""
    return container(
        "deploy", "apply", "--model", model.path, "--passed-verdict", passed_verdict.path,
        "--registered", registered.path, "--endpoint", endpoint.path, "--origin", origin.path,
        "--model-store", model_store, "--server", server, "--timeout-seconds", timeout_seconds,
    )  # fmt: skip


@container_component
def promote(registered: Input[Artifact], promoted: Output[Artifact], origin: Output[Artifact], registry: str, by: str):
    """The version as the live one, which the next model is compared with."""
    return container(
        "register", "promote", "--registered", registered.path, "--promoted", promoted.path, "--origin", origin.path,
        "--registry", registry, "--by", by, "--why", "passed its gates, deployed and proven",
    )  # fmt: skip
