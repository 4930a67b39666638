"""`brakeline-register`: add versions, tell the champion, promote, list and show."""

import getpass
from pathlib import Path
from typing import Annotated, Any

from stepkit import artifacts, verdict
from stepkit.app import Result, StepApp
from stepkit.signature import input_artifact, output_artifact, text

from brakeline_register import __version__, champion
from brakeline_register.registry import State, open_registry

DEFAULT_REGISTRY, DEFAULT_NAME = "sqlite:///.brakeline/registry.sqlite", "stopping-distance"

RegistryUrl = Annotated[str, text("Registry, as sqlite:///PATH")]
ModelName = Annotated[str, text("Registered model's name")]

app = StepApp("brakeline-register", __version__, "Keep versions of models; nothing enters without a passed verdict.")


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
    facts = {"overall": judged["overall"], "training": judged["training"], "holdout": judged["holdout_sha256"]}
    version = open_registry(registry).add(
        name, model, judged["model_sha256"], judged["contract_version"], {**facts, "gate": judged["gate_version"]}
    )
    known = {"name": name, "version": version.version, "uri": version.uri, "sha256": version.sha256}
    artifacts.write_json(registered, known)
    return Result(metadata={"registered": {"version": version.version}}, facts=known)


@app.step("champion", of_the_world=True)
def fetch_champion(
    live: Annotated[Path, output_artifact("The live version's graph, or a note that there is none", kind="Model")],
    registry: RegistryUrl = DEFAULT_REGISTRY,
    name: ModelName = DEFAULT_NAME,
) -> Result:
    """Fetch the live version, which a new model is compared with."""
    version = open_registry(registry).live(name)
    champion.fetch(version, live)
    return Result(facts={"version": version.version if version else None})


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
    """List all versions of a model, oldest first."""
    found = open_registry(registry).list(name)
    return Result(facts={"versions": [version.describe() for version in found]})


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
