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
    results: Annotated[Path, output_artifact("Folder with the scores of this shard's trials")],
    trials: Annotated[int, whole_number("Trials of the whole search", low=1, high=100_000)] = 8,
    seed: Annotated[int, whole_number("Seed of everything random", high=2**32 - 1)] = 0,
    shard: Annotated[str, text("Which part of the trials, as i/n")] = "0/1",
) -> Result:
    """Score this shard's slice of the seeded list of hyper-parameters, quickly."""
    from brakeline_train import journal, rows, search
    from brakeline_train.trials import Table, write

    table, contract = rows.read(dataset)
    rung, settings = search.FIRST, search.parameter_list(trials, seed)
    with journal.kept(results, dataset, rung=rung, settings=settings, seed=seed, shard=shard) as done:
        found = search.score(table, contract, rung, search.slice_of(settings, shard), seed, done)
    write(results, scored := Table(rung, seed, [index for index, _ in settings], found))
    return Result(metadata={"results": {"shard": shard, "trials": len(found)}}, facts={"best_score": scored.best_score})


@app.step("rank")
def rank_trials(
    scored: Annotated[list[Path], input_artifacts("Scores of every shard of search")],
    ranking: Annotated[Path, output_artifact("Folder with the scores of all shards")],
) -> Result:
    """Join the shards of a search, where only one can be handed on: what refine takes instead of their list."""
    from brakeline_train.trials import gather, write

    write(ranking, joined := gather(scored))
    facts = {"trials": joined.drawn, "best_trial": joined.best.index, "best_score": joined.best_score}
    return Result(metadata={"ranking": {"trials": joined.drawn}}, facts=facts)


@app.step("refine")
def refine_shard(
    dataset: Annotated[Path, input_artifact("Dataset of synthesize", kind="Dataset")],
    scored: Annotated[list[Path], input_artifacts("Scores of every shard of search, or of rank")],
    results: Annotated[Path, output_artifact("Folder with the scores of this shard's finalists and all of search's")],
    finalists: Annotated[int, whole_number("Best trials to look at closely", low=1, high=1000)] = 3,
    seed: Annotated[int, whole_number("Seed of everything random", high=2**32 - 1)] = 0,
    shard: Annotated[str, text("Which part of the finalists, as i/n")] = "0/1",
) -> Result:
    """Score the best trials of search and the defaults again: on more rows, over several divisions of the drives."""
    from brakeline_train import journal, rows, search
    from brakeline_train.trials import Table, gather, write

    table, contract = rows.read(dataset)
    earlier = gather(scored, seed)
    settings = search.settings_of(earlier.finalists(finalists))
    rung = search.second_rung(settings, table.drive.size)
    with journal.kept(results, dataset, rung=rung, settings=settings, seed=seed, shard=shard) as done:
        found = search.score(table, contract, rung, search.slice_of(settings, shard), seed, done)
    write(results, refined := Table(rung, seed, [index for index, _ in settings], found, earlier))
    return Result(
        metadata={"results": {"shard": shard, "trials": len(found)}}, facts={"best_score": refined.best_score}
    )


@app.step("fit")
def fit_model(
    dataset: Annotated[Path, input_artifact("Dataset of synthesize", kind="Dataset")],
    results: Annotated[list[Path], input_artifacts("Scores of every shard of refine, or of search in a hurry")],
    model: Annotated[Path, output_artifact("Folder of model.onnx, probe rows and the table of trials", kind="Model")],
    seed: Annotated[int, whole_number("Seed of everything random", high=2**32 - 1)] = 0,
) -> Result:
    """Fit the best trial on all drives but those held for calibration, and export it."""
    from stepkit import artifacts

    from brakeline_train import calibrate, distribution, envelope, export, graph, quantiles, rows, trials

    table, contract = rows.read(dataset)
    scored = trials.gather(results, seed)
    best = scored.best
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
        "trials": scored.drawn,
        "seed": seed,
    }
    seen = distribution.seen_in(fold.fit.inputs, contract)
    worst = export.write(model, onnx_graph, probes, contract, training, seen)
    artifacts.write_json(model / trials.TRIALS_FILE, report := trials.report(scored))
    told = {"parity_worst": worst, "best_trial": best.index, "score": best.mean, "gain": report["summary"]["gain"]}
    return Result(
        metadata={"model": {"contract_version": contract.version, "trials": scored.drawn, **told}}, facts=told
    )
