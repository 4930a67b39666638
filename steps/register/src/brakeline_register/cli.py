"""`brakeline-register`: record attempts, add versions, tell the champion, promote, list and show."""

import getpass
from pathlib import Path
from typing import Annotated, Any

from stepkit import artifacts, verdict
from stepkit.app import Result, StepApp
from stepkit.signature import input_artifact, output_artifact, text

from brakeline_register import __version__, attempts, champion
from brakeline_register.registry import State, open_registry

DEFAULT_REGISTRY, DEFAULT_NAME = "sqlite:///.brakeline/registry.sqlite", "stopping-distance"

RegistryUrl = Annotated[str, text("Registry, as sqlite:///PATH")]
ModelName = Annotated[str, text("Registered model's name")]

app = StepApp("brakeline-register", __version__, "Keep versions of models; nothing enters without a passed verdict.")


@app.step("record", of_the_world=True)
def record(
    verdict: Annotated[Path, input_artifact("Verdict of validate, passed or refused")],
    recorded: Annotated[Path, output_artifact("How many models were judged on this dataset, and which this one is")],
    registry: RegistryUrl = DEFAULT_REGISTRY,
    name: ModelName = DEFAULT_NAME,
) -> Result:
    """Count a model that was judged, whatever the verdict. The same verdict again changes nothing."""
    attempt, kept = attempts.read(verdict), open_registry(registry)
    kept.record(name, attempt)
    counted = attempts.count(kept.attempts(name), attempt.dataset_sha256, attempt.model_sha256)
    known = {"name": name, **attempt.describe(), "attempts": counted.describe() if counted else None}
    artifacts.write_json(recorded, known)
    return Result(metadata={"recorded": {"attempts": known["attempts"]}}, facts=known)


@app.step("add", of_the_world=True)
def add(
    model: Annotated[Path, input_artifact("Model of train", kind="Model")],
    passed_verdict: Annotated[Path, input_artifact("Verdict of validate about this very model")],
    registered: Annotated[Path, output_artifact("Name, version, URI and sha256 of the version, JSON")],
    registry: RegistryUrl = DEFAULT_REGISTRY,
    name: ModelName = DEFAULT_NAME,
) -> Result:
    """Register a model that passed its gates; refuse any other (65). The same model again is the same version."""
    judged = verdict.require_passed(passed_verdict, model)
    attempt, kept = attempts.of(judged, passed_verdict), open_registry(registry)
    # Also where nobody called `record`: a version that is no attempt would make the count of its dataset too small.
    kept.record(name, attempt)
    counted = attempts.count(kept.attempts(name), attempt.dataset_sha256, attempt.model_sha256)
    facts = {
        "overall": judged["overall"],
        "training": judged["training"],
        "holdout": judged["holdout_sha256"],
        "gate": judged["gate_version"],
        "attempts": counted.describe() if counted else None,
    }
    version = kept.add(name, model, judged["model_sha256"], judged["contract_version"], facts)
    known = {"name": name, "version": version.version, "uri": version.uri, "sha256": version.sha256}
    artifacts.write_json(registered, known)
    return Result(
        metadata={"registered": {"version": version.version}},
        facts={**known, "attempts": version.facts.get("attempts")},
    )


@app.step("champion", of_the_world=True)
def fetch_champion(
    live: Annotated[Path, output_artifact("The live version's graph, if any, and all attempts", kind="Model")],
    registry: RegistryUrl = DEFAULT_REGISTRY,
    name: ModelName = DEFAULT_NAME,
) -> Result:
    """Fetch the live version, which a new model is compared with, and the attempts so far."""
    kept = open_registry(registry)
    version, tried = kept.live(name), kept.attempts(name)
    champion.fetch(version, tried, live)
    return Result(facts={"version": version.version if version else None, "attempts": len(tried)})


@app.step("promote", of_the_world=True)
def promote(
    registered: Annotated[Path, input_artifact("Version to promote, of add")],
    promoted: Annotated[Path, output_artifact("The version as it now stands, JSON")],
    registry: RegistryUrl = DEFAULT_REGISTRY,
    by: Annotated[str, text("Who promotes; this user if empty")] = "",
) -> Result:
    """Make a version the live one, on record with who did it."""
    known = artifacts.read_json(registered)
    version = open_registry(registry).set_state(known["name"], known["version"], State.LIVE, by or _user())
    artifacts.write_json(promoted, {"name": version.model, "version": version.version, "state": version.state})
    return Result(facts={"version": version.version, "state": version.state})


@app.step("list", of_the_world=True)
def list_versions(registry: RegistryUrl = DEFAULT_REGISTRY, name: ModelName = DEFAULT_NAME) -> Result:
    """List all versions of a model, oldest first, and how many models were judged on each dataset."""
    kept = open_registry(registry)
    versions = [version.describe() for version in kept.list(name)]
    return Result(facts={"versions": versions, "datasets": attempts.by_dataset(kept.attempts(name))})


@app.step("show", of_the_world=True)
def show(
    version: Annotated[str, text("Version")],
    registry: RegistryUrl = DEFAULT_REGISTRY,
    name: ModelName = DEFAULT_NAME,
) -> Result:
    """Show one version."""
    known: dict[str, Any] = open_registry(registry).find(name, version).describe()
    return Result(facts=known)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # An arbitrary UID of a cluster has no name.
        return "unknown"
