"""`brakeline-register`: record attempts; add, fetch, promote, archive, prune, list, show and compare versions."""

import getpass
import json
import os
from pathlib import Path
from typing import Annotated, Any

from stepkit import artifacts
from stepkit.app import Result, StepApp
from stepkit.errors import Refused, UnreadableArtifact, UsageError
from stepkit.signature import input_artifact, output_artifact, output_lineage, text

from brakeline_register import __version__, adding, attempts, champion, difference, keeping, pruning, signing
from brakeline_register.registry import Registry, Source, State, Version, open_registry

DEFAULT_REGISTRY, DEFAULT_NAME = "sqlite:///.brakeline/registry.sqlite", "stopping-distance"

RegistryUrl = Annotated[str, text("Registry: sqlite:///PATH, or https://HOST of a Kubeflow Model Registry")]
ModelName = Annotated[str, text("Registered model's name")]
VersionName = Annotated[str, text("Version")]
By = Annotated[str, text("Who does it; this user if empty")]
Why = Annotated[str, text("Why, for the record")]
Origin = Annotated[Path | None, output_lineage("What this call was made from, and from what that", optional=True)]

app = StepApp("brakeline-register", __version__, "Keep versions of models; nothing enters without a passed verdict.")


@app.step("record", of_the_world=True)
def record(
    verdict: Annotated[Path, input_artifact("Verdict of validate, passed or refused")],
    recorded: Annotated[Path, output_artifact("How many models were judged on this dataset, and which this one is")],
    origin: Origin = None,
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
    dossier: Annotated[Path | None, input_artifact("Evidence of validate", kind="HTML", optional=True)] = None,
    lineage: Annotated[Path | None, input_artifact("What validate was made from", optional=True)] = None,
    origin: Origin = None,
    registry: RegistryUrl = DEFAULT_REGISTRY,
    name: ModelName = DEFAULT_NAME,
    keep: Annotated[str, text("Where models are kept: a folder or s3://; beside the SQLite file if empty")] = "",
    run: Annotated[str, text("Run of the pipeline that made the model")] = "",
    pipeline: Annotated[str, text("Pipeline that made the model")] = "",
    revision: Annotated[str, text("Git revision of the code; that of the image if empty")] = "",
    signing_key: Annotated[str, text("File of a private key to sign with; BRAKELINE_SIGNING_KEY's if empty")] = "",
) -> Result:
    """Register a model that passed its gates; refuse any other (65). The same model again is the same version."""
    source = Source(run, pipeline, revision or os.environ.get("BRAKELINE_REVISION", ""))
    given = {keeping.DOSSIER: dossier, keeping.LINEAGE: lineage}
    place = keeping.place(keep, registry)
    key = signing_key or os.environ.get(signing.KEY_VARIABLE, "")
    version = adding.add(
        open_registry(registry), place, name, model, passed_verdict, source, given, Path(key) if key else None, _user()
    )
    known = _registered(version)
    artifacts.write_json(registered, known | _signature(version))
    return Result(
        metadata={"registered": {"version": version.version}},
        facts={**known, "attempts": version.facts.get("attempts")},
    )


@app.step("fetch", of_the_world=True)
def fetch(
    model: Annotated[Path, output_artifact("The version's model", kind="Model")],
    passed_verdict: Annotated[Path, output_artifact("The verdict that it was registered with")],
    registered: Annotated[Path, output_artifact("Name, version, URI and sha256 of the version, JSON")],
    version: VersionName = "",
    registry: RegistryUrl = DEFAULT_REGISTRY,
    name: ModelName = DEFAULT_NAME,
) -> Result:
    """Fetch a version's artifacts, checked by sha256, as they were when it was registered."""
    found = open_registry(registry).find(name, _given(version))
    keeping.bring(found, model)
    with artifacts.writing(passed_verdict):
        passed_verdict.write_bytes(keeping.read_paper(found, keeping.VERDICT))
    known = _registered(found)
    artifacts.write_json(registered, known | _signature(found))
    return Result(metadata={"registered": {"version": found.version}}, facts={**known, "state": found.state})


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
    promoted: Annotated[Path, output_artifact("The version as it now stands, JSON")],
    registered: Annotated[Path | None, input_artifact("Version to promote, of add", optional=True)] = None,
    version: Annotated[str, text("Version to promote, where no --registered says it")] = "",
    origin: Origin = None,
    registry: RegistryUrl = DEFAULT_REGISTRY,
    name: ModelName = DEFAULT_NAME,
    by: By = "",
    why: Why = "",
) -> Result:
    """Make a version the live one, on record with who, when and why; refuse (65) an archived one that a run brings."""
    kept = open_registry(registry)
    if registered:
        name, version = _same_as_registered(kept, registered)
    found, before = kept.find(name, _given(version)), kept.live(name)
    if found.state is State.ARCHIVED and registered:
        # Archived while the run that registered it was at work.
        raise adding.withdrawn(kept, found)
    if found.state is State.ARCHIVED:
        # Pruned, it would be a champion that no run can fetch.
        keeping.require_kept(found)
    now = kept.set_state(name, found.version, State.LIVE, by or _user(), why)
    artifacts.write_json(promoted, {"name": now.model, "version": now.version, "state": now.state})
    facts = {"name": now.model, "version": now.version, "state": now.state}
    return Result(facts={**facts, "before": before.version if before else None})


@app.step("archive", of_the_world=True)
def archive(
    version: VersionName = "",
    registry: RegistryUrl = DEFAULT_REGISTRY,
    name: ModelName = DEFAULT_NAME,
    by: By = "",
    why: Why = "",
) -> Result:
    """Retire a version, on record with who did it, when and why; refuse (65) the live one. Nothing is deleted."""
    now = open_registry(registry).set_state(name, _given(version), State.ARCHIVED, by or _user(), why)
    return Result(facts={"name": now.model, "version": now.version, "state": now.state})


@app.step("prune", of_the_world=True)
def prune(
    versions: Annotated[str, text("Versions to retire, as 1,2,3")] = "",
    registry: RegistryUrl = DEFAULT_REGISTRY,
    name: ModelName = DEFAULT_NAME,
    by: By = "",
    why: Why = "",
    dry_run: Annotated[bool, text("Say what would go, and change nothing")] = False,
) -> Result:
    """Archive versions and remove their kept models; their papers and entries stay. Refuse (65) if one is live."""
    listed = [_given(one.strip(), "--versions") for one in versions.split(",")]
    gone = pruning.prune(open_registry(registry), name, listed, by or _user(), why, dry_run)
    return Result(facts={"name": name, "dry_run": dry_run, "versions": gone})


@app.step("list", of_the_world=True)
def list_versions(registry: RegistryUrl = DEFAULT_REGISTRY, name: ModelName = DEFAULT_NAME) -> Result:
    """List all versions of a model, oldest first, and how many models were judged on each dataset."""
    kept = open_registry(registry)
    versions = [version.describe() for version in kept.list(name)]
    return Result(facts={"versions": versions, "datasets": attempts.by_dataset(kept.attempts(name))})


@app.step("show", of_the_world=True)
def show(version: VersionName = "", registry: RegistryUrl = DEFAULT_REGISTRY, name: ModelName = DEFAULT_NAME) -> Result:
    """Show one version, its changes of state and its card."""
    kept = open_registry(registry)
    found = kept.find(name, _given(version))
    known: dict[str, Any] = found.describe()
    known["changes"] = [change.describe() for change in kept.changes(name) if change.version == found.version]
    known["card"] = keeping.find_text(found, keeping.CARD)
    return Result(facts=known)


@app.step("diff", of_the_world=True)
def diff(
    a: Annotated[str, text("One version")] = "",
    b: Annotated[str, text("The other version")] = "",
    registry: RegistryUrl = DEFAULT_REGISTRY,
    name: ModelName = DEFAULT_NAME,
) -> Result:
    """Compare two versions: metrics, gates, data, training, code and contract side by side."""
    kept = open_registry(registry)
    one, other = kept.find(name, _given(a, "--a")), kept.find(name, _given(b, "--b"))
    return Result(facts={"name": name, **difference.between(one, other)})


def _same_as_registered(kept: Registry, registered: Path) -> tuple[str, str]:
    """Name and version that a registration tells, if this registry has that very model under them."""
    known = artifacts.read_json(registered)
    try:
        name, version, sha256 = (str(known[key]) for key in ("name", "version", "sha256"))
    except (KeyError, TypeError) as error:
        raise UnreadableArtifact(registered, "registration", "no name, version and sha256 in it") from error
    found = kept.find(name, version).sha256
    if found != sha256:
        raise Refused(
            f"{registered}: version {version} of {name} is {sha256} there and {found} in this registry: register the"
            " model here first",
            found=sha256,
            allowed=found,
        )
    return name, version


def _registered(version: Version) -> dict[str, Any]:
    papers = {name: {"uri": paper.uri, "sha256": paper.sha256} for name, paper in version.papers.items()}
    identity = {"name": version.model, "version": version.version, "uri": version.uri, "sha256": version.sha256}
    return {**identity, **version.ids, "papers": papers}


def _signature(version: Version) -> dict[str, Any]:
    """The signature as part of a registration, so that it goes where the model goes."""
    found = keeping.find_signature(version)
    try:
        return {"signature": json.loads(found)} if found else {}
    except ValueError as error:
        raise UnreadableArtifact(Path(keeping.signature_uri(version)), "signature", str(error)) from error


def _given(version: str, option: str = "--version") -> str:
    if not version:
        raise UsageError(f"{option}: found nothing, allowed a version as `list` tells it")
    return version


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # An arbitrary UID of a cluster has no name.
        return "unknown"
