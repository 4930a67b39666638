"""The example in a KFP pipeline: its component is what the program describes, and the compiled pipeline runs."""

import importlib.util
import json
import os
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from brakeline import narrator, record
from brakeline.containers import Containers
from brakeline.local import Launcher, LocalRunner
from brakeline.process import Processes

from tests import engine
from tests.conftest import command
from tests.examples import program

SAMPLE = program.SOURCES / "sample"
WORDS = ("--logs", str(SAMPLE / "north.csv"), "--form", str(SAMPLE / "form.json"))
TYPES = {"NUMBER": "NUMBER_DOUBLE", "INTEGER": "NUMBER_INTEGER", "STRING": "STRING", "BOOLEAN": "BOOLEAN"}


@pytest.fixture(scope="module")
def pipeline() -> ModuleType:
    spec = importlib.util.spec_from_file_location("drivelog_pipeline", program.SOURCES / "pipeline.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(compiled: Path, folder: Path, launcher: Launcher) -> dict[str, Any]:
    """Run the compiled pipeline by our runner; returns the artifacts of its conversion."""
    run_id = record.new_run_id()
    # Containers see the folder of runs alone.
    inputs = shutil.copytree(SAMPLE, folder / "runs" / "inputs")
    given = {"log": str(inputs / "north.csv"), "form": str(inputs / "form.json")}
    kept = record.RunRecord(run_id, launcher.name, folder / "runs" / run_id, given)
    LocalRunner(kept, narrator.ForMachines(), None, launcher).run(compiled, given)
    (task,) = (task for task in kept.tasks if task.name == "convert")
    return task.artifacts


def test_the_component_is_what_the_program_describes(drivelog: Path, pipeline: ModuleType, tmp_path: Path) -> None:
    """Inputs, outputs and parameters with their types, and an image by content in the compiled pipeline."""
    (verb,) = json.loads(program.run(drivelog, "--describe").stdout)["verbs"]
    image = f"drivelog@sha256:{'a' * 64}"
    compiled = yaml.safe_load(pipeline.compiled(image, tmp_path / "drivelog.yaml").read_text())
    component = compiled["components"]["comp-convert"]
    inputs, outputs = component["inputDefinitions"], component["outputDefinitions"]
    assert inputs["artifacts"].keys() == verb["inputs"].keys()
    assert outputs["artifacts"].keys() == verb["outputs"].keys()
    for kinds, described in ((inputs["artifacts"], verb["inputs"]), (outputs["artifacts"], verb["outputs"])):
        for name, about in kinds.items():
            assert about["artifactType"]["schemaTitle"] == f"system.{described[name]['kind']}"
    types = {name: about["parameterType"] for name, about in inputs["parameters"].items()}
    assert types == {name: TYPES[about["type"]] for name, about in verb["parameters"].items()}
    images = [executor["container"]["image"] for executor in compiled["deploymentSpec"]["executors"].values()
              if "container" in executor]  # fmt: skip
    assert images == [image]


def test_the_pipeline_runs_as_processes(
    drivelog: Path, pipeline: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By kfp's own orchestrator; the recording is the one that the command line makes."""
    monkeypatch.setenv("PATH", f"{drivelog.parent}{os.pathsep}{os.environ['PATH']}")
    made = run(pipeline.compiled("drivelog:1", tmp_path / "drivelog.yaml"), tmp_path, Processes())
    plain = program.run(drivelog, "convert", *WORDS, "--recorded", tmp_path / "a", "--rejects", tmp_path / "b")
    assert made["recorded"]["sha256"] == plain.sha256("recorded")
    assert made["recorded"]["rows"] == 14


def test_the_pipeline_runs_in_its_image(drivelog: Path, pipeline: ModuleType, tmp_path: Path) -> None:
    """From scratch, as another user, with a read-only root, without capabilities; the bytes are a process's own."""
    client, folder = engine.client(), tmp_path / "context"
    folder.mkdir()
    shutil.copy(program.SOURCES / "Dockerfile", folder)
    shutil.copy(drivelog, folder / program.NAME)
    tag = f"brakeline-test/drivelog:{os.getpid():012x}"
    built, _ = client.images.build(path=str(folder), tag=tag, buildargs={"IMAGE": tag}, rm=True)
    try:
        assert built.attrs["Config"]["User"] == "1001:0"
        made = run(
            pipeline.compiled(tag, tmp_path / "drivelog.yaml"), tmp_path, Containers(tmp_path, "drivelog", "bridge")
        )
        plain = program.run(drivelog, "convert", *WORDS, "--recorded", tmp_path / "a", "--rejects", tmp_path / "b")
        assert made["recorded"]["sha256"] == plain.sha256("recorded")
    finally:
        client.images.remove(tag, force=True)


def test_the_pipeline_is_compiled_by_its_own_command(tmp_path: Path) -> None:
    """As the README says."""
    words = (program.SOURCES / "pipeline.py", "--image", "drivelog:1", "--output", tmp_path / "drivelog.yaml")
    assert command("python", *words).code == 0
    assert "image: drivelog:1\n" in (tmp_path / "drivelog.yaml").read_text()


@pytest.mark.slow
def test_a_run_learns_from_what_was_converted(drivelog: Path, tmp_path: Path) -> None:
    """`brakeline run --recorded` takes the recording: the stops are in the dataset of the run, rejected none."""
    made = program.run(
        drivelog, "convert", *WORDS, "--recorded", tmp_path / "recorded.csv", "--rejects", tmp_path / "rejects.csv"
    )
    assert made.code == 0
    small = ("--rows", "3000", "--holdout-rows", "2000", "--trials", "1", "--shards", "1", "--no-deploy")
    words = ("--recorded", tmp_path / "recorded.csv", "--state", tmp_path / "state", "--runner", "process", "--json")
    done = command("brakeline", "run", *words, *small)
    # At this size the gate refuses the model; the run is whole.
    assert done.code == 65, done.stderr
    (told,) = (tmp_path / "state" / "runs").glob("*/run.json")
    tasks = {task["name"]: task for task in json.loads(told.read_text())["tasks"]}
    dataset = tasks["assemble"]["artifacts"]["dataset"]
    assert (dataset["recorded_rows"], dataset["recorded_rejected_rows"]) == (14, 0)


def test_go_is_not_asked_for_modules() -> None:
    """The standard library alone: nothing is downloaded, and there is nothing to lock."""
    assert not (program.SOURCES / "go.sum").exists()
    listed = program.go("list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", "./...",
                        folder=program.SOURCES)  # fmt: skip
    assert set(listed.split()) == {"brakeline.example/drivelog", "brakeline.example/drivelog/step"}
