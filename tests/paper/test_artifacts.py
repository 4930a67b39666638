"""docs/artifacts.md is true: fields of real artifacts, columns, model metadata, and the events that the code tells."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from brakeline_synthesize.contract import CONTRACT

from tests.conftest import HOUSE, Chain, command
from tests.deploy.test_deploy import apply, serving

PAGE = (HOUSE / "docs" / "artifacts.md").read_text()
ROOMS = ("steps", "serving", "orchestrator")
OF_A_KUBEFLOW_REGISTRY = {"registered_model_id", "model_version_id", "registry_name"}


def table(title: str, number: int = 0) -> dict[str, list[str]]:
    """The rows of a section's table by their first cell, the other cells as they stand."""
    section = re.split(r"^## ", PAGE, flags=re.MULTILINE)
    (own,) = (part for part in section if part.startswith(f"{title}\n"))
    found = re.findall(r"(?:^\|.*\n)+", own, re.MULTILINE)[number]
    rows = [[cell.strip() for cell in line.strip()[1:-1].split("|")] for line in found.splitlines()[2:]]
    return {name: rest for name, *rest in rows}


def named(cell: str) -> set[str]:
    return set(re.findall(r"`([^`]+)`", cell))


def fields(name: str) -> set[str]:
    return named(table("JSON")[f"`{name}`"][-1].partition(";")[0])


@pytest.mark.parametrize(
    "name",
    ["verdict", "metrics", "measurements", "lineage", "champion/champion.json", "floor/floor.json", "model/trials.json",
     "model/golden.json"],
)  # fmt: skip
def test_json_artifacts_have_the_fields_of_the_page(name: str, tiny: Chain) -> None:
    """No more and no fewer; and the schema version that the page says, if there is one."""
    content = json.loads((tiny.folder / name).read_text())
    assert content.keys() == fields(name)
    version = table("JSON")[f"`{name}`"][0]
    assert version == str(content.get("schema_version", ""))


def test_a_gate_in_a_verdict_has_the_fields_of_the_page(tiny: Chain) -> None:
    """Each of them."""
    for gate in json.loads(tiny.verdict.read_text())["gates"]:
        assert gate.keys() == fields("verdict: gates")


def test_what_a_release_writes_has_the_fields_of_the_page(good: Chain, tmp_path: Path) -> None:
    """Recorded, registered, deployed and promoted for real, and the pointer that the server follows."""
    registry = f"sqlite:///{tmp_path}/registry.sqlite"
    added = tmp_path / "registered"
    steps: list[tuple[object, ...]] = [
        ("record", "--verdict", good.verdict, "--recorded", tmp_path / "recorded"),
        ("add", "--model", good.model, "--passed-verdict", good.verdict, "--registered", added),
        ("promote", "--registered", added, "--promoted", tmp_path / "promoted", "--by", "ann"),
    ]
    for words in steps:
        done = command("brakeline-register", *words, "--registry", registry)
        assert done.code == 0, done.stderr
    with serving(tmp_path / "store") as server:
        assert apply(good, tmp_path, added, server).code == 0
    for name in ("recorded", "registered", "promoted", "endpoint"):
        assert json.loads((tmp_path / name).read_text()).keys() - OF_A_KUBEFLOW_REGISTRY == fields(name), name
    (pointer,) = (tmp_path / "store").glob("*/serving.json")
    assert json.loads(pointer.read_text()).keys() | {"shadow"} == fields("serving.json")


def test_a_record_of_a_run_has_the_fields_of_the_page(tmp_path: Path) -> None:
    """A run that ends at its first step has one too."""
    (tmp_path / "bad.csv").write_text("not,the,form\n1,2,3\n")
    words = ("--recorded", tmp_path / "bad.csv", "--rows", "300", "--holdout-rows", "100", "--shards", "1")
    done = command("brakeline", "run", "--state", tmp_path / "state", "--runner", "process", "--json", *words)
    assert done.code == 65, done.stderr
    (kept,) = (tmp_path / "state" / "runs").glob("*/run.json")
    content = json.loads(kept.read_text())
    assert content.keys() == fields("run.json")
    assert all(task.keys() == fields("run.json: tasks") for task in content["tasks"])


def test_tables_have_the_columns_of_the_page(tiny: Chain) -> None:
    """Datasets by the contract, the floor and the probes by name; metadata too."""
    own = [feature.name for feature in CONTRACT.features]
    listed = table("Parquet")
    for name in ("dataset", "holdout", "faulty"):
        (file,) = (tiny.folder / name).glob("*.parquet")
        schema = pl.read_parquet_schema(file)
        assert list(schema) == [*own, CONTRACT.target.name, CONTRACT.group, *CONTRACT.truths]
        assert {schema[feature] for feature in own} == {pl.Float32} and schema[CONTRACT.group] == pl.Int64
        metadata = {key for key in pl.read_parquet_metadata(file) if key.startswith("brakeline.")}
        assert {"brakeline.contract"} < named(listed["`dataset`, `holdout`, `faulty`"][-1]) <= metadata
    floor = pl.read_parquet_schema(tiny.floor / "rows.parquet")
    assert set(floor) == named(listed["`floor/rows.parquet`"][0])
    probes = pl.read_parquet_schema(tiny.model / "probes.parquet")
    assert set(probes) == {*own, *named(listed["`model/probes.parquet`"][0])}
    header = tiny.rejects.read_text().splitlines()[0]
    assert header.split(",") == re.findall(r"`(\w+)`", table("CSV")["`rejects`"][0])


def test_the_model_has_the_metadata_and_outputs_of_the_page(tiny: Chain) -> None:
    """Keys of the graph, and each output with its unit as the graph says it."""
    code = "import json, sys, onnx; print(json.dumps({p.key: p.value for p in onnx.load(sys.argv[1]).metadata_props}))"
    told = command("python", "-c", code, tiny.model / "model.onnx").result
    assert {f"`{key}`" for key in told} == table("The model").keys()
    outputs: dict[str, Any] = json.loads(told["brakeline.outputs"])
    listed = table("The model", 1)
    assert {f"`{name}`" for name in outputs} == listed.keys()
    for name, about in outputs.items():
        assert about["unit"] == listed[f"`{name}`"][0], name
    contract = json.loads(told["brakeline.contract"])
    own = next(part for part in PAGE.split("\n## ") if part.startswith("The data contract"))
    assert contract.keys() | contract["features"][0].keys() | contract["target"].keys() == named(own)


def events(room: str) -> Iterator[str]:
    """What a room's code says by `note`, `warn` and `error`: the first text among the first two arguments."""
    for file in sorted((HOUSE / room).rglob("src/**/*.py")):
        for call in ast.walk(ast.parse(file.read_text())):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
                texts = [word.value for word in call.args[:2] if isinstance(word, ast.Constant)]
                if call.func.attr in {"note", "warn", "error"} and texts and isinstance(texts[0], str):
                    yield texts[0]


def test_the_events_are_those_of_the_code() -> None:
    """Each is told by somebody, and none is left out."""
    listed = {event for cells in table("The diary").values() for event in named(cells[0])}
    told = {event for room in ROOMS for event in events(room)}
    assert told - listed == set()
    code = "".join(file.read_text() for room in ROOMS for file in (HOUSE / room).rglob("src/**/*.py"))
    assert [event for event in listed - told if f'"{event}"' not in code] == []
