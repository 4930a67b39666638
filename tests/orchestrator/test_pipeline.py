"""The compiled pipeline: five steps as container components, true to their signatures, without secrets."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from brakeline import images, platform, run
from kfp import components

from tests.conftest import command

LISTS = {"system.Dataset": "Dataset", "system.Artifact": "Artifact"}
TYPES = {"NUMBER_INTEGER": "INTEGER", "NUMBER_DOUBLE": "NUMBER", "BOOLEAN": "BOOLEAN", "STRING": "STRING"}


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    compiled = run.compile_pipeline(tmp_path_factory.mktemp("compiled") / "pipeline.yaml", images.for_processes())
    components.load_component_from_file(str(compiled))
    return dict(next(yaml.safe_load_all(compiled.read_text())))


def containers(spec: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Containers by component name."""
    executors = spec["deploymentSpec"]["executors"]
    return {
        name.removeprefix("comp-"): executors[component["executorLabel"]]["container"]
        for name, component in spec["components"].items()
        if "container" in executors.get(component.get("executorLabel"), {})
    }


def test_the_five_steps_are_container_components(spec: dict[str, Any]) -> None:
    """Each step's console script is the command, its verb and KFP's placeholders are args."""
    found = containers(spec)
    assert set(found) == set(platform.TABLE)
    assert {container["command"][0] for container in found.values()} == {f"brakeline-{step}" for step in images.STEPS}
    for container in found.values():
        assert len(container["command"]) == 1
        assert container["args"][1:3] == ["--executor-input", "{{$}}"]


def test_images_are_named_by_content(spec: dict[str, Any]) -> None:
    """No image floats: a digest or a hash of the sources."""
    for container in containers(spec).values():
        assert re.fullmatch(r".+(@sha256:[0-9a-f]{64}|:[0-9a-f]{12,64})", container["image"])


def test_no_parameter_is_a_secret(spec: dict[str, Any]) -> None:
    """Nothing named like a secret is a parameter of the pipeline or of any component."""
    text = json.dumps(spec["root"]["inputDefinitions"]) + json.dumps(
        [component.get("inputDefinitions", {}) for component in spec["components"].values()]
    )
    assert not re.search(r"token|secret|password|credential|api_?key", text, re.IGNORECASE)


def test_components_are_true_to_their_steps(spec: dict[str, Any]) -> None:
    """Inputs, outputs, kinds and types are those of the step's own `--describe`, and so are the option names."""
    for name, container in containers(spec).items():
        verb = container["args"][0]
        described = json.loads(command(container["command"][0], verb, "--describe").stdout)
        component = spec["components"][f"comp-{name}"]
        inputs, outputs = component.get("inputDefinitions", {}), component.get("outputDefinitions", {})
        kinds = {
            key: (entry["artifactType"]["schemaTitle"].removeprefix("system."), entry.get("isArtifactList", False))
            for key, entry in inputs.get("artifacts", {}).items()
        }
        needed = {key for key, entry in described["inputs"].items() if not entry["optional"]}
        assert needed <= kinds.keys() <= described["inputs"].keys(), name
        for key, (kind, listed) in kinds.items():
            # An option that takes a list may be given one.
            taken = described["inputs"][key]
            assert kind == taken["kind"] and listed <= taken["many"], (name, key)
        made = {
            key: entry["artifactType"]["schemaTitle"].removeprefix("system.")
            for key, entry in outputs.get("artifacts", {}).items()
        }
        assert made == {key: entry["kind"] for key, entry in described["outputs"].items()}, name
        values = {key: TYPES[entry["parameterType"]] for key, entry in outputs.get("parameters", {}).items()}
        assert values == {key: entry["type"] for key, entry in described["output_parameters"].items()}, name
        given = {key: TYPES[entry["parameterType"]] for key, entry in inputs.get("parameters", {}).items()}
        known = {key: entry["type"] for key, entry in described["parameters"].items()}
        assert given.items() <= known.items(), name
        options = {word.removeprefix("--").replace("-", "_") for word in container["args"] if word.startswith("--")}
        allowed = {
            "executor_input",
            *described["inputs"],
            *described["outputs"],
            *described["output_parameters"],
            *known,
        }
        assert options <= allowed, name


def test_the_pipelines_defaults_are_the_steps(spec: dict[str, Any]) -> None:
    """A parameter's default in the pipeline is the one of the step that takes it."""
    defaults = {
        key: entry.get("defaultValue")
        for key, entry in spec["root"]["inputDefinitions"]["parameters"].items()
        if key in {"rows", "holdout_rows", "seed", "trials", "finalists", "name"}
    }
    found: dict[str, Any] = {}
    for container in containers(spec).values():
        described = json.loads(command(container["command"][0], container["args"][0], "--describe").stdout)
        found |= {key: entry["default"] for key, entry in described["parameters"].items() if key in defaults}
    assert defaults == found


def test_what_touches_the_world_is_never_cached(spec: dict[str, Any]) -> None:
    """champion, record, register, deploy and promote run each time; the rest may be skipped when nothing changed."""
    cached = {}

    def walk(dag: dict[str, Any]) -> None:
        for task in dag["tasks"].values():
            name = task["componentRef"]["name"].removeprefix("comp-")
            cached[name] = bool(task.get("cachingOptions", {}).get("enableCache"))

    walk(spec["root"]["dag"])
    for component in spec["components"].values():
        if "dag" in component:
            walk(component["dag"])
    for name, needs in platform.TABLE.items():
        assert cached[name] == needs.cached, name


def test_an_attempt_is_counted_before_anything_is_released(spec: dict[str, Any]) -> None:
    """record hangs on the verdict alone, outside every condition, and what registers waits for it."""
    tasks = spec["root"]["dag"]["tasks"]
    assert tasks["record"]["dependentTasks"] == ["validate"]
    assert "triggerPolicy" not in tasks["record"]
    assert "record" in tasks["release"]["dependentTasks"]
    behind = spec["components"][tasks["release"]["componentRef"]["name"]]["dag"]["tasks"]
    assert [task["triggerPolicy"]["condition"] for task in behind.values()]
    assert "comp-register" not in {task["componentRef"]["name"] for task in tasks.values()}


def test_a_changed_source_is_another_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name of a step's image changes with any byte of its folder or of the kit, and with nothing else."""
    for file in ("steps/kit/a.py", "steps/train/b.py", "steps/validate/c.py"):
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).write_text("1")
    monkeypatch.setattr(images, "HOUSE", tmp_path)
    before = images.source_hash("train")
    (tmp_path / "steps/validate/c.py").write_text("2")
    assert images.source_hash("train") == before
    (tmp_path / "steps/kit/a.py").write_text("2")
    assert images.source_hash("train") != before
