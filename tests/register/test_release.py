"""What a run of the pipeline tells the registry: the compiled release, run here, on a verdict that passed."""

import shutil
from pathlib import Path

from brakeline import images, local, narrator, pipeline, record
from brakeline.process import Processes
from kfp import dsl
from stepkit import artifacts, lineage
from stepkit.lineage import Made

from tests.conftest import Chain, command
from tests.orchestrator.test_refusal import _with_images as with_images
from tests.register.test_verbs import passed


@dsl.pipeline(name="released")  # type: ignore[untyped-decorator]
def released(model: str, verdict: str, dossier: str, told: str, registry: str) -> None:
    pipeline.release(
        model=dsl.importer(artifact_uri=model, artifact_class=dsl.Model).output,
        verdict=dsl.importer(artifact_uri=verdict, artifact_class=dsl.Artifact).output,
        dossier=dsl.importer(artifact_uri=dossier, artifact_class=dsl.HTML).output,
        lineage=dsl.importer(artifact_uri=told, artifact_class=dsl.Artifact).output,
        passed=True,
        auto_deploy=False,
        registry=registry,
        name="stopping-distance",
        keep="",
        model_store="unused",
        server="unused",
        deploy_timeout_seconds=60,
    )


def test_a_version_names_the_run_that_made_it(tiny: Chain, tmp_path: Path) -> None:
    """Run, pipeline, dossier and lineage arrive; the run is the one that the run's own folder is named after."""
    given = tmp_path / "runs" / "inputs"
    given.mkdir(parents=True)
    shutil.copytree(tiny.model, given / "model")
    shutil.copy(tiny.dossier, given / "dossier")
    artifacts.write_json(given / "verdict", passed(tiny))
    took, made = artifacts.sha256_of(given / "model"), artifacts.sha256_of(given / "verdict")
    judging = Made("validate", "validate", "1", "1", "", "", {}, {"model": [took]}, {"verdict": made})
    lineage.write(given / "told", [judging])
    inputs = {name: str(given / name) for name in ("model", "verdict", "dossier", "told")}
    arguments = {**inputs, "registry": f"sqlite:///{tmp_path}/registry.sqlite"}
    compiled = with_images(released, tmp_path / "released.yaml", images.for_processes())
    kept = record.RunRecord("20261126T120000-abcdef", "process", tmp_path / "runs" / "one", dict(arguments))
    local.LocalRunner(kept, narrator.ForMachines(), None, Processes()).run(compiled, arguments)
    shown = command("brakeline-register", "show", "--version", "1", "--registry", arguments["registry"]).result
    assert (shown["source"]["run"], shown["source"]["pipeline"]) == ("20261126T120000-abcdef", "brakeline")
    assert set(shown["papers"]) >= {"verdict", "card", "dossier", "lineage"}
    assert shown["state"] == "registered"
