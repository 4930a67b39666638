"""The gate holds without the pipeline's condition: on each runner, register and deploy refuse by themselves."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from brakeline import components as step
from brakeline import images, local, narrator, record
from brakeline.containers import Containers
from brakeline.process import Processes
from kfp import compiler, dsl
from stepkit.verdict import sealed

from tests import engine
from tests.conftest import Chain
from tests.lineage import toy
from tests.lineage.test_signing import pair


@dsl.pipeline(name="slipped-to-register")
def slipped_to_register(model: str, verdict: str, lineage: str, registry: str, store: str):
    made = dsl.importer(artifact_uri=model, artifact_class=dsl.Model)
    judged = dsl.importer(artifact_uri=verdict, artifact_class=dsl.Artifact)
    evidence = dsl.importer(artifact_uri=verdict, artifact_class=dsl.HTML)
    chain = dsl.importer(artifact_uri=lineage, artifact_class=dsl.Artifact)
    step.register(
        model=made.output,
        passed_verdict=judged.output,
        dossier=evidence.output,
        lineage=chain.output,
        registry=registry,
        name="stopping-distance",
        keep="",
        pipeline="slipped",
    )


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


def run(pipeline: object, arguments: dict[str, str], folder: Path, runner: str, code: int = 65) -> record.RunRecord:
    named = engine.built() if runner == "docker" else images.for_processes()
    compiled = _with_images(pipeline, folder / "slipped.yaml", named)
    run_id = record.new_run_id()
    kept = record.RunRecord(run_id, runner, folder / "runs" / run_id, dict(arguments))
    launcher: local.Launcher = Containers(folder, "refusal", "none") if runner == "docker" else Processes()
    try:
        local.LocalRunner(kept, narrator.ForMachines(), None, launcher).run(compiled, dict(arguments))
    except local.StepFailed as failed:
        assert failed.exit_code == code, failed
    else:
        assert code == 0
    return kept


def _with_images(pipeline: object, target: Path, named: Mapping[str, str]) -> Path:
    compiler.Compiler().compile(pipeline, str(target))
    spec, *platforms = yaml.safe_load_all(target.read_text())
    for executor in spec["deploymentSpec"]["executors"].values():
        if "container" in executor:
            executor["container"]["image"] = named[executor["container"]["image"]]
    target.write_text(yaml.safe_dump_all([spec, *platforms]))
    return target


@pytest.mark.parametrize("runner", ["process", "docker"])
@pytest.mark.parametrize("case", ["failed", "another model's"])
def test_neither_register_nor_deploy_goes_on(case: str, runner: str, good: Chain, tiny: Chain, tmp_path: Path) -> None:
    """A failed verdict, and a passed one of another model: 65, nothing in the registry, nothing in the store."""
    inputs = tmp_path / "runs" / "inputs"
    inputs.mkdir(parents=True)
    passed = json.loads(good.verdict.read_text())
    verdict, registered, model = inputs / "verdict", inputs / "registered", inputs / "model"
    verdict.write_text(json.dumps(sealed(passed | {"passed": False}) if case == "failed" else passed))
    why = "did not pass its gates" if case == "failed" else "the verdict is about another model"
    shutil.copytree(good.model if case == "failed" else tiny.model, model)
    registered.write_text(json.dumps({"name": "stopping-distance", "version": "1", "sha256": passed["model_sha256"]}))
    given = {"model": str(model), "verdict": str(verdict), "store": str(tmp_path / "models" / "store")}
    # The refusal comes before the chain is read.
    registry = {"registry": f"sqlite:///{tmp_path}/registry.sqlite", "lineage": str(verdict)}
    kept = run(slipped_to_register, given | registry, tmp_path, runner)
    assert why in kept.tasks[-1].error
    assert not (tmp_path / "registry.sqlite").exists()
    kept = run(slipped_to_deploy, given | {"registered": str(registered)}, tmp_path, runner)
    assert why in kept.tasks[-1].error
    assert not (tmp_path / "models" / "store").exists()


@pytest.mark.parametrize("runner", ["process", "docker"])
def test_a_key_to_verify_by_reaches_deploy(
    runner: str, good: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A passed model that nobody signed, where the environment names a key: 65, and nothing in the store."""
    _, public = pair(tmp_path / "keys")
    monkeypatch.setenv("BRAKELINE_VERIFY_KEY", str(public))
    inputs = tmp_path / "runs" / "inputs"
    inputs.mkdir(parents=True)
    verdict, registered, model = inputs / "verdict", inputs / "registered", inputs / "model"
    shutil.copy(good.verdict, verdict)
    shutil.copytree(good.model, model)
    sha256 = json.loads(verdict.read_text())["model_sha256"]
    registered.write_text(json.dumps({"name": "stopping-distance", "version": "1", "sha256": sha256}))
    given = {"model": str(model), "verdict": str(verdict), "store": str(tmp_path / "models" / "store")}
    kept = run(slipped_to_deploy, given | {"registered": str(registered)}, tmp_path, runner)
    assert "sign" in kept.tasks[-1].error
    assert not (tmp_path / "models" / "store").exists()


@pytest.mark.parametrize("runner", ["process", "docker"])
def test_the_keys_are_read_where_they_are_named(runner: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Register signs by the key of the environment; deploy takes this signature for its own key's, and no other's."""
    (private, public), (_, anothers) = pair(tmp_path / "ours"), pair(tmp_path / "others")
    state = tmp_path / "state"
    made = toy.run(state).artifacts
    given = {name: str(made[name]) for name in ("model", "verdict")} | {"store": str(state / "models/store")}
    registry = {"registry": f"sqlite:///{state}/registry.sqlite", "lineage": str(made["lineage"])}
    monkeypatch.setenv("BRAKELINE_SIGNING_KEY", str(private))
    kept = run(slipped_to_register, given | registry, state, runner, 0)
    known = Path(kept.artifact("register", "registered")["uri"])
    assert json.loads(known.read_text())["signature"]
    monkeypatch.setenv("BRAKELINE_VERIFY_KEY", str(anothers))
    kept = run(slipped_to_deploy, given | {"registered": str(known)}, state, runner)
    assert "not what was signed" in kept.tasks[-1].error
    monkeypatch.setenv("BRAKELINE_VERIFY_KEY", str(public))
    # The signature is taken; what stops it is that this small model has no golden request.
    kept = run(slipped_to_deploy, given | {"registered": str(known)}, state, runner)
    assert "golden request" in kept.tasks[-1].error
