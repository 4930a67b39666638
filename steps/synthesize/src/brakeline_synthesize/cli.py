"""`brakeline-synthesize`: generate shards of drives, assemble them into dataset and holdout."""

from pathlib import Path
from typing import Annotated

from stepkit.app import Result, StepApp
from stepkit.signature import input_artifact, input_artifacts, output_artifact, text, whole_number

from brakeline_synthesize import __version__

app = StepApp("brakeline-synthesize", __version__, "Synthesize drives, their sensors and their stopping distances.")


@app.step("generate")
def generate_shard(
    part: Annotated[Path, output_artifact("Folder of this shard's blocks", kind="Dataset")],
    rows: Annotated[int, whole_number("Rows of the whole dataset", low=1)] = 200_000,
    holdout_rows: Annotated[int, whole_number("Rows of the whole holdout", low=1)] = 60_000,
    seed: Annotated[int, whole_number("Seed of everything random")] = 0,
    shard: Annotated[str, text("Which part of the work, as i/n")] = "0/1",
) -> Result:
    """Generate this shard's drives for the dataset and the holdout."""
    from brakeline_synthesize import generate

    wanted = {"dataset": rows, "holdout": holdout_rows}
    written = generate.write_shard(part, wanted, generate.Shard.parse(shard), seed)
    return Result(metadata={"part": {"shard": shard, "seed": seed, **_rows(written)}}, facts=_rows(written))


@app.step("assemble")
def assemble_sets(
    parts: Annotated[list[Path], input_artifacts("Shards of one `generate` call", kind="Dataset")],
    recorded: Annotated[Path, input_artifact("Recorded stops, CSV or Parquet", kind="Dataset")],
    dataset: Annotated[Path, output_artifact("Folder of Parquet files to learn from", kind="Dataset")],
    holdout: Annotated[Path, output_artifact("Folder of Parquet files to judge by", kind="Dataset")],
) -> Result:
    """Join shards and recorded stops into one dataset and one holdout, in an order that no shard decides."""
    from brakeline_synthesize import assemble
    from brakeline_synthesize import recorded as recordings
    from brakeline_synthesize.contract import CONTRACT

    stops = recordings.read(recorded)
    written = assemble.assemble(parts, stops, {"dataset": dataset, "holdout": holdout})
    version = {"contract_version": CONTRACT.version}
    return Result(
        metadata={
            "dataset": {"rows": written["dataset"], "recorded_rows": stops.height, **version},
            "holdout": {"rows": written["holdout"], **version},
        },
        facts={**_rows(written), "recorded_rows": stops.height},
    )


def _rows(written: dict[str, int]) -> dict[str, int]:
    return {f"{name}_rows": rows for name, rows in written.items()}
