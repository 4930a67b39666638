"""An attempt to slip past the gate: a sabotaged artifact, what it is judged beside, and its verdict."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import polars as pl
from brakeline_train import export
from brakeline_validate import examine
from brakeline_validate.candidate import Candidate
from brakeline_validate.examine import Findings, Holdout
from brakeline_validate.loop import closed_loop
from brakeline_validate.loop.closed_loop import Driven
from stepkit import artifacts

from tests.conftest import Chain

Change = Callable[[onnx.ModelProto], None]
GOLDEN = "brakeline.golden"
# Gates of the closed loop, which most of the catalogue is not driven through.
OF_THE_LOOP = frozenset(closed_loop.figures(Driven("nobody", []), None).values)


@dataclass(frozen=True)
class Attempt:
    """A model's folder, and what it is judged by where that is not the chain's own."""

    model: Path
    champion: Path | None = None
    most_rows: int | None = None  # of the holdout


@dataclass(frozen=True)
class Sabotage:
    """One way to make a bad model from a chain of honest artifacts, and the gate meant to refuse it."""

    name: str
    does: str
    gate: str
    make: Callable[[Chain, Path], Attempt]
    is_slow: bool = False  # trains, or has a gate that needs floor or faulty drives
    is_driven: bool = False  # through the closed loop too


def judge(
    chain: Chain, attempt: Attempt, rows: int | None = None, whole: bool = True, driven: bool = False
) -> Findings:
    """The examination of an attempt; of some rows, without floor and faulty if not `whole`, in the loop if `driven`."""
    holdout = Holdout.read(chain.holdout)
    most = min(each for each in (rows, attempt.most_rows, holdout.distance_m.size) if each is not None)
    champion = Candidate.load(attempt.champion) if attempt.champion else None
    floor, faulty = (chain.floor, chain.faulty) if whole and attempt.most_rows is None else (None, None)
    scenarios = closed_loop.SCENARIOS if driven else ()
    return examine.examine(Candidate.load(attempt.model), champion, holdout.first(most), floor, faulty, scenarios)


def failed(findings: Findings) -> set[str]:
    """The gates that were not passed; of the closed loop's only where something was driven."""
    names = {judged.gate.name for judged in findings.judged if not judged.passed}
    return names if findings.driven else names - OF_THE_LOOP


def cut(change: Change, keeps_probes: bool = False) -> Callable[[Chain, Path], Attempt]:
    """The honest graph with a change; unless told otherwise probes and golden request are made to agree with it."""

    def make(chain: Chain, folder: Path) -> Attempt:
        model = copy(chain, folder)
        graph = onnx.load(model / "model.onnx")
        change(graph)
        save(graph, model, keeps_probes)
        return Attempt(model)

    return make


def beside_champion(change: Change) -> Callable[[Chain, Path], Attempt]:
    """The same, judged beside the honest model as the live one."""

    def make(chain: Chain, folder: Path) -> Attempt:
        return Attempt(cut(change)(chain, folder).model, champion=chain.model)

    return make


def copy(chain: Chain, folder: Path) -> Path:
    """The honest artifact in a folder of its own, without its lineage: of altered bytes it would give them away."""
    return Path(shutil.copytree(chain.model, folder / "model", ignore=shutil.ignore_patterns(".lineage.json")))


def save(graph: onnx.ModelProto, model: Path, keeps_probes: bool = False) -> None:
    """Write a graph, and unless told otherwise cover its tracks: probes and golden request say what it says."""
    _order(graph)
    if not keeps_probes:
        cover_tracks(graph, model)
    (model / "model.onnx").write_bytes(graph.SerializeToString(deterministic=True))


def _order(graph: onnx.ModelProto) -> None:
    """Put the nodes in an order in which each comes after what it needs."""
    waiting, ordered = list(graph.graph.node), []
    known = {tensor.name for tensor in (*graph.graph.input, *graph.graph.initializer)}
    while waiting:
        ready = next(node for node in waiting if known.issuperset(node.input))
        waiting.remove(ready)
        ordered.append(ready)
        known.update(ready.output)
    del graph.graph.node[:]
    graph.graph.node.extend(ordered)


def cover_tracks(graph: onnx.ModelProto, model: Path) -> None:
    """Make probes and golden request agree with a graph, whatever it answers."""
    probes = pl.read_parquet(model / "probes.parquet")
    names = [tensor.name for tensor in graph.graph.input]
    answers = export.run(graph, {name: probes[name].to_numpy() for name in names})
    told = [pl.Series(name, answers[name]) for name in probes.columns if name in answers]
    probes.with_columns(told).write_parquet(model / "probes.parquet", compression="zstd")
    golden = artifacts.read_json(model / "golden.json")
    asked = {name: np.array(golden["inputs"][name], dtype=np.float32) for name in names}
    outputs = {name: [_or_null(value) for value in values] for name, values in export.run(graph, asked).items()}
    request = {"inputs": golden["inputs"], "outputs": outputs}
    artifacts.write_json(model / "golden.json", request)
    for entry in graph.metadata_props:
        if entry.key == GOLDEN:
            entry.value = json.dumps(request, sort_keys=True, allow_nan=False)


def _or_null(value: np.float32) -> float | None:
    return float(value) if np.isfinite(value) else None
