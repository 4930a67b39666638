"""A rollout: install, switch, prove; whatever goes wrong, the version before serves again."""

from pathlib import Path
from typing import Any

from stepkit import artifacts, diary, verdict
from stepkit.errors import Refused, StepError, UnreadableArtifact, UsageError

from brakeline_deploy.endpoint import Endpoint
from brakeline_deploy.store import ModelStore

GOLDEN_FILE = "golden.json"


def read_registered(file: Path, passed_verdict: Path, model: Path) -> dict[str, Any]:
    """The registered version, if verdict, registration and model are about one and the same graph.

    Raises Refused, UnreadableArtifact.
    """
    judged = verdict.require_passed(passed_verdict, model)
    known = artifacts.read_json(file)
    if not isinstance(known, dict) or not {"name", "version", "sha256"} <= known.keys():
        raise UnreadableArtifact(file, "registration", "no name, version and sha256 in it")
    if known["sha256"] != judged["model_sha256"]:
        raise Refused(
            f"{file}: registered is {known['sha256']}, the verdict is about {judged['model_sha256']}",
            found=known["sha256"],
            allowed=judged["model_sha256"],
        )
    return known


def apply(store: ModelStore, endpoint: Endpoint, known: dict[str, Any], model: Path, seconds: float) -> dict[str, Any]:
    """Serve a registered version and prove it. Raises what made it fail, after the version before is back."""
    golden = artifacts.read_json(model / GOLDEN_FILE)
    endpoint.wait_until_live(seconds)
    before = store.proven()
    store.install(model, known["version"], known["sha256"])
    store.serve(known["version"])
    try:
        endpoint.wait_for(known["version"], known["sha256"], seconds)
        agreed = endpoint.prove(known["version"], golden)
    except StepError:
        store.serve(before)
        diary.warn("rolled_back", version=known["version"], serving=before)
        raise
    store.remember(known["version"])
    return {"url": endpoint.url, **known, "before": before, "values_proven": agreed}


def roll_back(store: ModelStore) -> dict[str, Any]:
    """Serve the version that was proven before the present one. Raises UsageError where there is none."""
    now, before = store.primary(), store.previous()
    if before is None:
        raise UsageError(f"no version of {store.name} was in service before {now}")
    store.serve(before)
    return {"version": before, "instead_of": now}
