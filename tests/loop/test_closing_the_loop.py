"""From a served request to a retrained model: the pipeline itself, on what was measured on the road."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from tests.conftest import command
from tests.loop import traffic
from tests.loop.conftest import Log
from tests.loop.test_feedback import feedback, told


@pytest.mark.slow
def test_a_run_learns_from_what_was_served(log: Log, tmp_path: Path) -> None:
    """Requests, feedback, `brakeline run --recorded`: the retrained model's dataset has these very rows."""
    state, out = tmp_path / "state", tmp_path / "recorded.csv"
    told(feedback(traffic.stops_file(tmp_path / "s.csv", log.stops()), log.folder, state, "--output", out))
    sizes = ("--rows", "2000", "--holdout-rows", "2000", "--trials", "1", "--shards", "1", "--no-deploy")
    done = command("brakeline", "run", "--runner", "process", "--state", state, "--recorded", out, "--json", *sizes)
    assert done.code == 65, done.stderr  # so few rows give no model that passes; it was fitted and judged though
    run = json.loads((Path(json.loads(done.stdout)["folder"]) / "run.json").read_text())
    tasks = {task["name"]: task for task in run["tasks"]}
    dataset = tasks["assemble"]["artifacts"]["dataset"]
    assert dataset["recorded_rows"] == len(log.stops())
    rows = pl.read_parquet(Path(dataset["uri"]) / "*.parquet").filter(pl.col("source").str.starts_with("feedback"))
    assert rows.height == len(log.stops())
    model = Path(tasks["fit"]["artifacts"]["model"]["uri"])
    assert dataset["sha256"].encode() in (model / "model.onnx").read_bytes(), (
        "the model names the dataset it learned from"
    )
