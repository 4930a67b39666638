"""The gate holds without the pipeline's condition: on the process runner, register and deploy refuse by themselves."""

import json
from pathlib import Path

import pytest
from brakeline import components as step
from brakeline import narrator, process, record
from kfp import compiler, dsl

from tests.conftest import Chain


@dsl.pipeline(name="slipped-to-register")
def slipped_to_register(model: str, verdict: str, registry: str, store: str):
    made = dsl.importer(artifact_uri=model, artifact_class=dsl.Model)
    judged = dsl.importer(artifact_uri=verdict, artifact_class=dsl.Artifact)
    step.register(model=made.output, passed_verdict=judged.output, registry=registry, name="stopping-distance")


@dsl.pipeline(name="slipped-to-deploy")
def slipped_to_deploy(model: str, verdict: str, registered: str, store: str):
    made = dsl.importer(artifact_uri=model, artifact_class=dsl.Model)
    judged = dsl.importer(artifact_uri=verdict, artifact_class=dsl.Artifact)
    known = dsl.importer(artifact_uri=registered, artifact_class=dsl.Artifact)
    step.deploy(
        model=made.output,
        passed_verdict=judged.output,
        registered=known.output,
        model_store=store,
        server="http://127.0.0.1:1",
        timeout_seconds=1,
    )


def run(pipeline: object, arguments: dict[str, str], folder: Path) -> record.RunRecord:
    compiled = folder / "slipped.yaml"
    compiler.Compiler().compile(pipeline, str(compiled))
    kept = record.RunRecord("one", "process", folder / "runs" / "one", dict(arguments))
    with pytest.raises(process.StepFailed) as refused:
        process.ProcessRunner(kept, narrator.ForMachines(), None).run(compiled, dict(arguments))
    assert refused.value.exit_code == 65
    return kept


@pytest.mark.parametrize("case", ["failed", "another model's"])
def test_neither_register_nor_deploy_goes_on(case: str, good: Chain, tiny: Chain, tmp_path: Path) -> None:
    """A failed verdict, and a passed one of another model: 65, nothing in the registry, nothing in the store."""
    passed = json.loads(good.verdict.read_text())
    verdict = tmp_path / "verdict"
    verdict.write_text(json.dumps(passed | {"passed": False} if case == "failed" else passed))
    model = good.model if case == "failed" else tiny.model
    registered = tmp_path / "registered"
    registered.write_text(json.dumps({"name": "stopping-distance", "version": "1", "sha256": passed["model_sha256"]}))
    given = {"model": str(model), "verdict": str(verdict), "store": str(tmp_path / "store")}
    kept = run(slipped_to_register, given | {"registry": f"sqlite:///{tmp_path}/registry.sqlite"}, tmp_path)
    assert "verdict" in kept.tasks[-1].error
    assert not (tmp_path / "registry.sqlite").exists()
    kept = run(slipped_to_deploy, given | {"registered": str(registered)}, tmp_path)
    assert "verdict" in kept.tasks[-1].error
    assert not (tmp_path / "store").exists()
