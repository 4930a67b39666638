"""A compiled pipeline as a picture: its own tasks and edges, read from KFP's IR YAML."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import altair as alt
import polars as pl
import yaml

from brakeline_notebooks import charts

_TASK, _LOOP, _GUARDED = "once", "in a loop", "behind the gate"
_KINDS = {_TASK: charts.BLUE, _LOOP: charts.ORANGE, _GUARDED: charts.PINK}


@dataclass(frozen=True)
class Task:
    """A task of the pipeline: the names of those it waits for, and whether it stands in a loop or behind a gate."""

    name: str
    after: frozenset[str]
    kind: str


def tasks(pipeline: Path) -> list[Task]:
    """All tasks of a compiled pipeline; loops, conditions and nested pipelines are dissolved into what is in them."""
    ir = next(yaml.safe_load_all(pipeline.read_text(encoding="utf-8")))
    found: dict[str, Task] = {}
    _walk(ir, ir["root"]["dag"]["tasks"], frozenset(), _TASK, found)
    return list(found.values())


def picture(drawn: list[Task]) -> alt.LayerChart:
    """Tasks from left to right, each behind all that it waits for; colours tell loops and what the gate guards."""
    depth = _depths(drawn)
    lanes: dict[int, list[str]] = {}
    for task in drawn:
        lanes.setdefault(depth[task.name], []).append(task.name)
    high = {name: place - (len(lane) - 1) / 2 for lane in lanes.values() for place, name in enumerate(lane)}
    boxes = pl.DataFrame(
        [{"task": task.name, "x": depth[task.name], "y": high[task.name], "kind": task.kind} for task in drawn]
    )
    edges = pl.DataFrame(
        [point for task in drawn for before in task.after for point in _bow(before, task, depth, high)]
    )
    place = {
        "x": alt.X("x:Q", axis=None, scale=alt.Scale(padding=50)),
        "y": alt.Y("y:Q", axis=None, scale=alt.Scale(padding=30)),
    }
    kinds = alt.Scale(domain=list(_KINDS), range=list(_KINDS.values()))
    lines = (
        alt.Chart(edges)
        .mark_line(color="#aaaaaa", interpolate="basis", strokeWidth=1)
        .encode(**place, detail="edge:N", order="at:Q")
    )
    marks = (
        alt.Chart(boxes)
        .mark_circle(size=220, opacity=1.0)
        .encode(**place, color=alt.Color("kind:N", title=None, scale=kinds))
    )
    names = alt.Chart(boxes).mark_text(dy=-16, fontSize=12).encode(**place, text="task:N")
    drawing: alt.LayerChart = (lines + marks + names).properties(width=780, height=240)
    return drawing


def _bow(before: str, task: Task, depth: dict[str, int], high: dict[str, float]) -> list[dict[str, Any]]:
    """An edge's points: one that passes other tasks goes below them, the farther the lower."""
    start, end = depth[before], depth[task.name]
    ways = [(float(start), high[before]), (float(end), high[task.name])]
    if end - start > 1:
        below = min(high[before], high[task.name]) - 0.3 * (end - start)
        ways[1:1] = [(start + 0.5, below), (end - 0.5, below)]
    edge = f"{before} {task.name}"
    return [{"edge": edge, "at": at, "x": x, "y": y} for at, (x, y) in enumerate(ways)]


def _walk(
    ir: dict[str, Any], inner: dict[str, Any], outside: frozenset[str], kind: str, found: dict[str, Task]
) -> frozenset[str]:
    """Note the tasks of a DAG whose entry waits for `outside`; returns those that nothing in it waits for."""
    ends: dict[str, frozenset[str]] = {}
    waiting = dict(inner)
    while waiting:
        name = next(name for name, task in waiting.items() if not set(task.get("dependentTasks", ())) & waiting.keys())
        task = waiting.pop(name)
        before = frozenset().union(*(ends[each] for each in task.get("dependentTasks", ()))) or outside
        component = ir["components"][task["componentRef"]["name"]]
        if "dag" in component:
            is_loop = any(key.endswith("Iterator") for key in task)
            is_gate = "condition" in task.get("triggerPolicy", {})
            within = _LOOP if is_loop else _GUARDED if is_gate or kind == _GUARDED else kind
            ends[name] = _walk(ir, component["dag"]["tasks"], before, within, found)
        else:
            found[name] = Task(name, before, kind)
            ends[name] = frozenset({name})
    inside = {each for task in inner.values() for each in task.get("dependentTasks", ())}
    return frozenset().union(*(end for name, end in ends.items() if name not in inside))


def _depths(drawn: list[Task]) -> dict[str, int]:
    depth: dict[str, int] = {}
    for task in drawn:
        depth[task.name] = 1 + max((depth[before] for before in task.after), default=-1)
    return depth
