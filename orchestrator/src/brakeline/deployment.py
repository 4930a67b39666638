"""A registered version put into service, and gone back from: the target and the registry say the same in the end.

The target changes first, the registry follows. Killed between the two, the same call again mends it.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brakeline import releases, steps
from brakeline.refusals import Refused
from brakeline.releases import Tell
from brakeline.steps import StepRefused


@dataclass(frozen=True)
class Place:
    """Where versions are registered and where one is served: a folder, s3://bucket/prefix or kserve://NAMESPACE/SERVICE.

    `token_file` and `ca_bundle` are for the server; records of what was done are kept in `state`, where there is one.
    With a `verify_key` nothing comes into service that is not signed by its private one.
    """

    registry: str
    name: str
    target: str
    server: str = ""
    token_file: str = ""
    ca_bundle: str = ""
    timeout_s: int = 0
    state: Path | None = None
    verify_key: str = ""


@dataclass(frozen=True)
class Manner:
    """How a version comes into service: at once, after a trial as a shadow, or as a canary for a share of requests."""

    shadow: bool = False
    after_requests: int = 0
    within_m: float = 0.5
    within_share: float = 1.0
    shadow_seconds: int = 3600
    canary_percent: int = 0
    storage_uri: str = ""
    take_over: bool = False


def plan(place: Place, version: str, manner: Manner, tell: Tell) -> dict[str, Any]:
    """What a deployment would change, as facts and as a diff. Raises Refused."""
    with _fetched(place, version, tell) as files, _refusals():
        return steps.call(
            "deploy", "plan", tell=tell, **files, model_store=place.target, storage_uri=manner.storage_uri,
            take_over=manner.take_over, verify_key=place.verify_key,
        )  # fmt: skip


def deploy(place: Place, version: str, manner: Manner, by: str, why: str, tell: Tell) -> dict[str, Any]:
    """Serve a version and prove it; once all requests are its own, it is the registry's live one. Raises Refused."""
    recorded = releases.kept(place.state, place.name, version, "apply", "endpoint", tell)
    with _fetched(place, version, tell) as files, recorded as outputs, _refusals():
        done = steps.call(
            "deploy", "apply", tell=tell, **files, **outputs, model_store=place.target, **_server(place),
            **manner.__dict__, verify_key=place.verify_key,
        )  # fmt: skip
    told: dict[str, Any] = {"version": version, "promoted": False}
    for key in ("name", "url", "before", "shadow", "canary", "percent", "compared"):
        if key in done:
            told[key] = done[key]
    if done["version"] != version or "shadow" in done or "canary" in done:
        return {**told, "serving": done["version"]}
    promoted = _promote(place, version, by, why, tell)
    with _refusals():
        stands = steps.call("deploy", "status", model_store=place.target, name=place.name)
    now = stands["version"]
    if now != version and now == stands["proven"]:
        # Another deployment came between target and registry: what serves is what the registry should say.
        _promote(place, now, by, f"it serves; version {version} was overtaken by another deployment", tell)
        return {**told, "serving": now}
    return {**told, "serving": version, "promoted": promoted}


def roll_back(place: Place, by: str, why: str, tell: Tell) -> dict[str, Any]:
    """Serve what was proven before the present version, and make it the registry's live one. Raises Refused."""
    with _refusals():
        stands = steps.call("deploy", "status", model_store=place.target, name=place.name)
        live = _live(place)
    last = stands["last"]
    # Went back already, and was killed, or got no answer, before the registry heard of it: the server is asked again.
    went = last.get("back_to") == stands["version"] and last.get("instead_of") == live
    leads_to = stands["version"] if went else stands["previous"]
    if leads_to and not stands["canary"]:
        _refuse_archived(place, leads_to)
    with _proofs(place, leads_to, stands, tell) as proofs, _refusals():
        done = steps.call(
            "deploy", "rollback", tell=tell, **proofs, model_store=place.target, name=place.name, **_server(place),
            why=why, instead_of=live if went else "", verify_key=place.verify_key,
        )  # fmt: skip
    promoted = _promote(place, done["version"], by, why, tell)
    facts = {key: done.get(key) for key in ("version", "instead_of", "confirmed")}
    return {"name": place.name, **facts, "promoted": promoted}


@contextmanager
def _fetched(place: Place, version: str, tell: Tell) -> Iterator[dict[str, Path]]:
    """A registered version's files, as options of deploy's verbs."""
    with tempfile.TemporaryDirectory(prefix="brakeline-") as scratch:
        files = {key: Path(scratch) / key for key in ("model", "passed_verdict", "registered")}
        with _refusals():
            steps.call(
                "register", "fetch", tell=tell, version=version, registry=place.registry, name=place.name, **files
            )
        yield files


@contextmanager
def _proofs(place: Place, version: str | None, stands: dict[str, Any], tell: Tell) -> Iterator[dict[str, Path]]:
    """What a rollback needs to verify the signature of the version that it leads to; nothing where no key is named."""
    # A canary that ends gives way to what serves already.
    if not place.verify_key or not version or stands["canary"]:
        yield {}
        return
    with _fetched(place, version, tell) as files:
        yield {key: files[key] for key in ("registered", "model")}


def _promote(place: Place, version: str, by: str, why: str, tell: Tell) -> bool:
    """Make a version the registry's live one, which it may be already."""
    with releases.kept(place.state, place.name, version, "promote", "promoted", tell) as outputs:
        try:
            named: dict[str, Any] = {"registry": place.registry, "name": place.name, "version": version}
            steps.call("register", "promote", **named, by=by, why=why, **outputs)
        except StepRefused as error:
            told = f"version {version} serves, but the registry does not say so yet: {error}; run the same call again"
            raise Refused(told, error.exit_code) from error
    return True


def _refuse_archived(place: Place, version: str) -> None:
    """What somebody withdrew does not serve again by going back."""
    if version not in (known["version"] for known in _versions(place) if known["state"] == "archived"):
        return
    shown = f"`brakeline models show {version}` says by whom and why"
    told = f"a rollback leads to version {version}, which is archived ({shown})"
    raise Refused(f"{told}: deploy the version that is to serve by its number", 65)


def _live(place: Place) -> str | None:
    return next((str(known["version"]) for known in _versions(place) if known["state"] == "live"), None)


def _versions(place: Place) -> list[dict[str, Any]]:
    return list(steps.call("register", "list", registry=place.registry, name=place.name)["versions"])


def _server(place: Place) -> dict[str, Any]:
    return {
        "server": place.server,
        "token_file": place.token_file,
        "ca_bundle": place.ca_bundle,
        "timeout_seconds": place.timeout_s,
    }


@contextmanager
def _refusals() -> Iterator[None]:
    """A step's refusal as ours."""
    try:
        yield
    except StepRefused as error:
        raise Refused(str(error), error.exit_code) from error
