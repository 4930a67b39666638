"""A chain of small real calls under the step contract, and a run of them whose model is registered for real."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from brakeline import record, recordings
from stepkit import artifacts
from stepkit.app import Result, StepApp
from stepkit.signature import input_artifact, input_artifacts, output_artifact, output_lineage, text
from stepkit.verdict import sealed

from tests.conftest import Done, command

IMAGE, REVISION = f"brakeline/toy:{'0123456789abcdef' * 2}", "0123456789" * 4
NAME = "stopping-distance"
Input = Annotated[Path, input_artifact("What was made before")]
Output = Annotated[Path, output_artifact("What is made")]
app = StepApp("brakeline-toy", "7", "Make very little, as the steps do.")


@app.step("generate")
def generate(part: Output, shard: Annotated[str, text("Which part, as i/n")] = "0/1") -> Result:
    """A part of some rows."""
    _put(part, "rows.csv", shard)
    return Result()


@app.step("assemble")
def assemble(
    parts: Annotated[list[Path], input_artifacts("All parts")],
    recorded: Input,
    dataset: Output,
    holdout: Output,
    rejects: Output,
) -> Result:
    """All parts as one."""
    _put(dataset, "rows.csv", *(part / "rows.csv" for part in parts), recorded)
    _put(holdout, "rows.csv", "held back", parts[0] / "rows.csv")
    rejects.write_text("none")
    return Result()


@app.step("fit")
def fit(dataset: Input, model: Output) -> Result:
    """A model."""
    _put(model, "model.onnx", "graph of ", dataset / "rows.csv")
    _put(model, "golden.json", "{}")
    return Result()


@app.step("judge")
def judge(
    model: Input,
    holdout: Input,
    verdict: Output,
    measurements: Output,
    lineage: Annotated[Path, output_lineage("Where they come from")],
) -> Result:
    """A verdict that passes."""
    gate = {"name": "toy", "value": 0, "limit": 1, "unit": "1", "passed": True}
    said = {
        "schema_version": 2,
        "passed": True,
        "gates": [gate],
        "model_sha256": artifacts.sha256_of(model / "model.onnx"),
        "holdout_sha256": artifacts.sha256_of(holdout),
        "gate_version": 4,
        "contract_version": 2,
        "overall": {"mae_m": 1.0},
        "training": {"dataset_sha256": "d" * 64},
    }
    artifacts.write_json(verdict, sealed(said))
    measurements.write_text("what a clock measured")
    return Result()


def _put(folder: Path, name: str, *content: str | Path) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("".join(one.read_text() if isinstance(one, Path) else one for one in content))


@dataclass(frozen=True)
class Released:
    """A state folder with one run, and the version that it registered."""

    state: Path
    artifacts: Mapping[str, Path]

    @property
    def registry(self) -> str:
        return f"sqlite:///{self.state}/registry.sqlite"

    def add(self, *more: object, **instead: Path) -> Done:
        """Register the run's model, with other artifacts instead of its own."""
        given = {**self.artifacts, **instead}
        return command(
            "brakeline-register", "add", "--model", given["model"], "--passed-verdict", given["verdict"],
            "--lineage", given["lineage"], "--registered", self.state / "registered", "--registry", self.registry,
            "--run", "run-1", "--pipeline", "brakeline", *more, environment=CODE,
        )  # fmt: skip

    def statement(self) -> dict[str, Any]:
        """The version's lineage as it is kept."""
        (file,) = self.state.glob("registry-models/*.about/lineage.json")
        return dict(json.loads(file.read_text()))


CODE = {"BRAKELINE_IMAGE": IMAGE, "BRAKELINE_REVISION": REVISION}


def run(state: Path, shards: int = 2) -> Released:
    """Run the chain into a state folder as the process runner would, and record it; nothing is registered yet."""
    recorded = state / "stops.csv"
    state.mkdir()
    recorded.write_text("measured")
    brought = recordings.bring_in(str(recorded), state / "runs" / "inputs")
    kept = record.RunRecord("run-1", "process", state / "runs" / "run-1", {})
    made: dict[str, Path] = {}

    def call(verb: str, scope: str, outputs: tuple[str, ...], *words: object) -> None:
        at = kept.folder / f"{verb}{scope}"
        named = {output: at / output for output in outputs}
        options = [word for output, path in named.items() for word in (f"--{output}", path)]
        done = command(sys.executable, "-m", "tests.lineage.toy", verb, *options, *words, environment=CODE)
        assert done.code == 0, done.stderr
        told = {name: {"uri": one["uri"], **one["metadata"]} for name, one in done.result["artifacts"].items()}
        kept.add(record.TaskRecord(verb, scope, record.SUCCEEDED, False, 0.0, told))
        made.update({f"{name}{scope}": path for name, path in named.items()})

    for shard in range(shards):
        call("generate", f"-{shard}", ("part",), "--shard", f"{shard}/{shards}")
    parts = [word for shard in range(shards) for word in ("--parts", made[f"part-{shard}"])]
    call("assemble", "", ("dataset", "holdout", "rejects"), *parts, "--recorded", brought)
    call("fit", "", ("model",), "--dataset", made["dataset"])
    judged = ("verdict", "measurements", "lineage")
    call("judge", "", judged, "--model", made["model"], "--holdout", made["holdout"])
    kept.end(record.SUCCEEDED)
    return Released(state, {**made, "recorded": brought})


if __name__ == "__main__":
    app()
