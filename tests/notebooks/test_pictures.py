"""What is drawn: the pipeline's own tasks and edges, and charts that need nobody beyond this process."""

import re
from pathlib import Path
from typing import Any

import altair as alt
import polars as pl
import pytest
from brakeline_notebooks import charts, diagram

from tests.conftest import command


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> list[diagram.Task]:
    """Those of the compiled pipeline."""
    file = tmp_path_factory.mktemp("compiled") / "pipeline.yaml"
    done = command("brakeline", "compile", "--output", file)
    assert done.code == 0, done.stderr
    return diagram.tasks(file)


def test_the_picture_has_the_pipelines_tasks_and_edges(tasks: list[diagram.Task]) -> None:
    """Loops and nested pipelines are dissolved; what stands behind the gate is told apart."""
    by = {task.name: task for task in tasks}
    assert by["assemble"].after == {"synthesize", "importer"}
    assert by["refine"].after == {"assemble", "rank"}
    assert by["validate"].after == {"fit", "assemble", "floor", "champion"}
    assert by["register"].after == {"fit", "validate", "record"}
    assert by["deploy"].after == {"register"}
    assert by["promote"].after == {"deploy"}
    assert {name for name, task in by.items() if task.kind == "behind the gate"} == {"register", "deploy", "promote"}
    assert {name for name, task in by.items() if task.kind == "in a loop"} == {"synthesize", "search", "refine"}


def test_each_task_stands_right_of_all_that_it_waits_for(tasks: list[diagram.Task]) -> None:
    """So the picture can be read from left to right."""
    boxes: Any = diagram.picture(tasks).layer[1].data
    at = dict(zip(boxes["task"], boxes["x"], strict=True))
    assert all(at[before] < at[task.name] for task in tasks for before in task.after)
    assert len({(x, y) for x, y in boxes.select("x", "y").iter_rows()}) == len(tasks)


def test_charts_are_drawn_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """SVG and nothing else: no script, and no address to fetch anything from."""
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    before = alt.renderers.active
    charts.use()
    try:
        chart = alt.Chart(pl.DataFrame({"way": [1.0, 2.0]})).mark_point().encode(x=alt.X("way:Q", title="way [m]"))
        bundle = chart._repr_mimebundle_()
    finally:
        alt.renderers.enable(before)
    assert set(bundle) == {"image/svg+xml"}
    assert "way [m]" in bundle["image/svg+xml"]
    assert not re.search(r"<script|href=\"http|url\(http", bundle["image/svg+xml"])
