"""From a served request to a retrained model: the pipeline itself, on what was measured on the road."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from tests.conftest import Chain, command
from tests.loop import traffic
from tests.loop.conftest import Log
from tests.loop.test_feedback import feedback, told
from tests.serving.conftest import Server


@pytest.mark.slow
def test_the_loop_closes(log: Log, tiny: Chain, start: Callable[..., Server], tmp_path: Path) -> None:
    """Requests, measured stops, feedback; roads grow slick, the watch submits; the model knows these very rows."""
    state, out = tmp_path / "state", tmp_path / "recorded.csv"
    told(feedback(traffic.stops_file(tmp_path / "s.csv", log.stops()), log.folder, state, "--output", out))
    server = start("--model", str(traffic.model_of(tiny)))
    words = ("brakeline", "watch", "--server", server.url, "--state", state, "--for", "0", "--recorded", out, "--once",
             "--json", "--", "--rows", "2000", "--holdout-rows", "2000", "--trials", "1", "--shards", "1",
             "--runner", "process", "--no-deploy")  # fmt: skip
    assert command(*words).result["status"] == "nothing"
    traffic.ask(server, log.world.slick(), range(2000))
    done = command(*words)
    assert (done.code, done.result["status"]) == (10, "submitted"), done.stderr
    # So few rows give no model that passes; it was fitted and judged though.
    assert done.result["trigger"]["outcome"] == "refused"
    run = json.loads((state / "runs" / done.result["trigger"]["run"] / "run.json").read_text())
    assert log.world.named("friction") in run["reason"]
    tasks = {task["name"]: task for task in run["tasks"]}
    dataset = tasks["assemble"]["artifacts"]["dataset"]
    assert dataset["recorded_rows"] == len(log.stops())
    rows = pl.read_parquet(Path(dataset["uri"]) / "*.parquet").filter(pl.col("source").str.starts_with("feedback"))
    assert rows.height == len(log.stops())
    model = Path(tasks["fit"]["artifacts"]["model"]["uri"]) / "model.onnx"
    assert dataset["sha256"].encode() in model.read_bytes(), "the model names the dataset that it learned from"
