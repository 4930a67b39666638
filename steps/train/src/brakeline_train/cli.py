"""`brakeline-train`: search hyper-parameters in shards, then fit, calibrate and export the model."""

from pathlib import Path
from typing import Annotated

from stepkit.app import Result, StepApp
from stepkit.signature import input_artifact, input_artifacts, output_artifact, text, whole_number

from brakeline_train import __version__

app = StepApp("brakeline-train", __version__, "Learn the stopping distance and export it as one ONNX graph.")


@app.step("search")
def search_shard(
    dataset: Annotated[Path, input_artifact("Dataset of synthesize", kind="Dataset")],
    results: Annotated[Path, output_artifact("Scores of this shard's trials, JSON")],
    trials: Annotated[int, whole_number("Trials of the whole search", low=1, high=100_000)] = 8,
    seed: Annotated[int, whole_number("Seed of everything random", high=2**32 - 1)] = 0,
    shard: Annotated[str, text("Which part of the trials, as i/n")] = "0/1",
) -> Result:
    """Score this shard's slice of the seeded list of hyper-parameters."""
    from brakeline_train import rows, search

    table, contract = rows.read(dataset)
    scored = search.run(table, contract, trials, seed, shard)
    search.write(results, scored, trials)
    best = min((trial.score for trial in scored), default=None)
    return Result(metadata={"results": {"shard": shard, "trials": len(scored)}}, facts={"best_score": best})


@app.step("fit")
def fit_model(
    dataset: Annotated[Path, input_artifact("Dataset of synthesize", kind="Dataset")],
    results: Annotated[list[Path], input_artifacts("Scores of every search shard")],
    model: Annotated[Path, output_artifact("Folder of model.onnx and its probe rows", kind="Model")],
    seed: Annotated[int, whole_number("Seed of everything random", high=2**32 - 1)] = 0,
) -> Result:
    """Fit the best trial on all drives but those held for calibration, and export it."""
    from stepkit import artifacts

    from brakeline_train import calibrate, envelope, export, graph, quantiles, rows, search

    table, contract = rows.read(dataset)
    best, trials = search.best_of(results)
    fold = rows.divide_by_drive(table, seed)
    pair = quantiles.fit(fold.fit, contract, best.parameters, seed)
    offsets = calibrate.calibrate(pair, fold.held, contract)
    onnx_graph = graph.build(pair, offsets, envelope.seen_in(fold.fit.inputs), contract)
    probes = export.probe_rows(pair, offsets, fold.held, contract)
    training = {
        "dataset_sha256": artifacts.sha256_of(dataset),
        "fit_rows": int(fold.fit.drive.size),
        "calibration_rows": int(fold.held.drive.size),
        "parameters": best.parameters,
        "trials": len(trials),
        "seed": seed,
    }
    worst = export.write(model, onnx_graph, probes, contract, training)
    told = {"parity_worst": worst, "best_trial": best.index, "score": best.score}
    return Result(metadata={"model": {"contract_version": contract.version, "trials": len(trials), **told}}, facts=told)
