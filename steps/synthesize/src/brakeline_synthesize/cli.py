"""`brakeline-synthesize`: generate shards of drives, assemble them, and find the limit of what they can teach."""

from pathlib import Path
from typing import Annotated

from stepkit.app import Result, StepApp
from stepkit.signature import input_artifact, input_artifacts, output_artifact, share, text, whole_number

from brakeline_synthesize import __version__

app = StepApp("brakeline-synthesize", __version__, "Synthesize drives, their sensors and their stopping distances.")


@app.step("generate")
def generate_shard(
    part: Annotated[Path, output_artifact("Folder of this shard's blocks", kind="Dataset")],
    rows: Annotated[int, whole_number("Rows of the whole dataset", low=1)] = 400_000,
    holdout_rows: Annotated[int, whole_number("Rows of the whole holdout", low=1)] = 60_000,
    faulty_rows: Annotated[int, whole_number("Rows of drives that all have a sensor's fault", low=1)] = 40_000,
    scenario: Annotated[str, text("A preset's name, or a scenario as YAML")] = "default",
    seed: Annotated[int, whole_number("Seed of everything random")] = 0,
    shard: Annotated[str, text("Which part of the work, as i/n")] = "0/1",
) -> Result:
    """Generate this shard's drives for dataset, holdout and faulty drives."""
    import time

    from brakeline_synthesize import generate
    from brakeline_synthesize import scenario as scenarios

    wanted = {"dataset": rows, "holdout": holdout_rows, "faulty": faulty_rows}
    call = generate.Call(scenarios.load(scenario), wanted, seed)
    started = time.monotonic()
    written = generate.write_shard(part, call, generate.Shard.parse(shard))
    rate = round(sum(written.values()) / max(time.monotonic() - started, 1e-9))
    told = {"shard": shard, "seed": seed, "scenario": call.scenario.name, **_rows(written)}
    return Result(metadata={"part": told}, facts={**_rows(written), "rows_per_second": rate})


@app.step("assemble")
def assemble_sets(
    parts: Annotated[list[Path], input_artifacts("Shards of one `generate` call", kind="Dataset")],
    recorded: Annotated[Path, input_artifact("Recorded stops, CSV or Parquet", kind="Dataset")],
    dataset: Annotated[Path, output_artifact("Folder of Parquet files to learn from", kind="Dataset")],
    holdout: Annotated[Path, output_artifact("Folder of Parquet files to judge by", kind="Dataset")],
    faulty: Annotated[Path, output_artifact("Folder of Parquet files of drives with faults", kind="Dataset")],
    rejects: Annotated[Path, output_artifact("Recorded rows that break the contract and why, CSV", kind="Dataset")],
    max_rejected_share: Annotated[float, share("Most of the recorded rows that may be rejected")] = 0.1,
) -> Result:
    """Join shards and recorded stops into a dataset, a holdout and faulty drives, in an order that no shard decides."""
    from brakeline_synthesize import assemble
    from brakeline_synthesize import recorded as recordings
    from brakeline_synthesize.contract import CONTRACT

    found = recordings.read(recorded, max_rejected_share)
    found.rejects.write(rejects)
    written = assemble.assemble(parts, found.stops, {"dataset": dataset, "holdout": holdout, "faulty": faulty})
    version = {"contract_version": CONTRACT.version}
    return Result(
        metadata={
            "dataset": {"rows": written["dataset"], "recorded_sha256": found.sha256, **found.facts(), **version},
            "holdout": {"rows": written["holdout"], **version},
            "faulty": {"rows": written["faulty"], **version},
            "rejects": found.rejects.facts(),
        },
        facts={**_rows(written), **found.facts()},
    )


@app.step("floor")
def noise_floor(
    holdout: Annotated[Path, input_artifact("Holdout of assemble", kind="Dataset")],
    floor: Annotated[Path, output_artifact("Folder of the best possible answers to some of its rows", kind="Dataset")],
    rows: Annotated[int, whole_number("Rows of the holdout to look at, one of each drive", low=1)] = 3000,
    draws: Annotated[int, whole_number("Draws for each row; 4000 for a sound 99 % quantile", low=100)] = 4000,
    seed: Annotated[int, whole_number("Seed of everything random")] = 0,
) -> Result:
    """Work out the Bayes-optimal answers to fault-free rows of a holdout: the limit that no model can pass."""
    from brakeline_synthesize import floor as limit

    overall = limit.write(holdout, floor, rows, draws, seed)["by_surface"]["all"]
    return Result(metadata={"floor": overall}, facts=overall)


def _rows(written: dict[str, int]) -> dict[str, int]:
    return {f"{name}_rows": rows for name, rows in written.items()}
