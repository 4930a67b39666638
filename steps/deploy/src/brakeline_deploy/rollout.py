"""A rollout: admit, put, prove; whatever goes wrong, the version before serves again."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stepkit import artifacts, diary, ending, objects, verdict
from stepkit.errors import ArtifactAltered, InputMissing, Refused, StepError, UnreadableArtifact

from brakeline_deploy import signing
from brakeline_deploy.target import Before, Overtaken, Plan, Release, Target, Trial


@contextmanager
def admitted(
    file: Path,
    passed_verdict: Path,
    model: Path | None,
    storage_uri: str = "",
    recorded_uri: str = "",
    *,
    verify_key: str = "",
) -> Iterator[Release]:
    """A release, if verdict, registration and model are about one and the same graph; nothing is served without.

    Where a public key is named, here or by the environment, the model must be signed by its private one.

    Without a model it is read from where its registration says, into a folder that ends with the block.

    Raises Refused, UnreadableArtifact, ArtifactAltered, InputMissing, ServiceUnavailable.
    """
    known = read_registered(file)
    with ending.scratch() as scratch:
        folder = model or fetched(file, known, scratch / "model")
        judged = verdict.require_passed(passed_verdict, folder)
        if known["sha256"] != judged["model_sha256"]:
            raise Refused(
                f"{file}: registered is {known['sha256']}, the verdict is about {judged['model_sha256']}",
                found=known["sha256"],
                allowed=judged["model_sha256"],
            )
        signing.require_signed(file, known, folder, verify_key)
        about = {key: value for key, value in known.items() if key != "signature"}
        yield Release(known["name"], known["version"], known["sha256"], folder, about, storage_uri, recorded_uri)


def apply(target: Target, release: Release) -> dict[str, Any]:
    """Serve a release and prove it. Raises what made it fail, after the version before is back."""
    release.golden()  # a model that cannot be proven changes nothing
    target.reach()
    before = target.hold()
    tell(target, release)
    try:
        # A change whose answer was lost was made, perhaps: it is taken back like one that cannot be proven.
        target.put(release)
        proof = target.prove(release)
    except Overtaken:
        raise
    except Exception as error:
        # Not what was foreseen alone: an answer that nobody thought of is no proof either.
        _restore(target, release, before, error)
        raise
    target.remember(release)
    return {"url": proof.url, **release.about, "before": before.version, "values_proven": proof.values}


def apply_after_trial(target: Target, release: Release, trial: Trial | None, patience_s: float) -> dict[str, Any]:
    """Make a release the shadow; with a trial it takes over once it held. Raises what made it fail, then it is none."""
    release.golden()
    target.reach()
    tried = target.try_shadow(release, trial, patience_s)
    if trial is None:
        return tried
    diary.note("shadow_held", version=release.version, **tried["compared"])
    return {**apply(target, release), "compared": tried["compared"]}


def apply_canary(target: Target, release: Release, percent: int) -> dict[str, Any]:
    """Give a release a share of the requests [%]. Raises what made it fail, then it gets none."""
    release.golden()
    return target.try_canary(release, percent)


def tell(target: Target, release: Release) -> Plan:
    """Say what is about to change."""
    plan = target.plan(release)
    diary.note("plan", message=plan.diff or "nothing changes", now=plan.now, then=plan.then)
    return plan


def _restore(target: Target, release: Release, before: Before, error: Exception) -> None:
    try:
        if not target.restore(before):
            return
    except StepError as failure:
        diary.error(
            "not_rolled_back",
            message=f"version {release.version} failed ({error}), and {before.version} could not be restored: "
            f"{failure}",
            version=release.version,
        )
        return
    told = f"version {release.version} failed, so {before.version or 'nothing'} serves again: {error}"
    diary.warn("rolled_back", message=told, version=release.version, serving=before.version)


def read_registered(file: Path) -> dict[str, Any]:
    """A registration, with name, version and sha256 at least. Raises UnreadableArtifact."""
    known = artifacts.read_json(file)
    if not isinstance(known, dict) or not {"name", "version", "sha256"} <= known.keys():
        raise UnreadableArtifact(file, "registration", "no name, version and sha256 in it")
    for key in ("name", "version", "sha256"):
        if not isinstance(known[key], str) or not known[key] or "/" in known[key]:
            raise UnreadableArtifact(file, "registration", f"{key}: found {known[key]!r}, allowed text without a /")
    return known


def fetched(file: Path, known: dict[str, Any], target: Path) -> Path:
    """The model folder that a registration names, on this disk and of the sha256 that it names."""
    uri = str(known.get("uri") or "")
    if not uri:
        raise UnreadableArtifact(file, "registration", "no --model was given, and it names no uri")
    if not objects.is_remote(uri):
        folder = Path(uri)
        if not folder.is_dir():
            raise InputMissing("model", folder)
    else:
        objects.fetch(uri, target)
        folder = target
    found = verdict.model_sha256(folder)
    if found != known["sha256"]:
        raise ArtifactAltered(Path(uri) / verdict.MODEL_FILE, found, known["sha256"])
    return folder
