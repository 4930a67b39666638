"""The cluster's target: an InferenceService, changed by server-side apply and looked at by get."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from stepkit import diary
from stepkit.errors import Refused, StepError, UsageError

from brakeline_deploy import differences, manifest, sharing
from brakeline_deploy.access import Access
from brakeline_deploy.kube import Changed, Cluster, Denied
from brakeline_deploy.manifest import Content
from brakeline_deploy.probe import Probe
from brakeline_deploy.target import (
    Admit,
    Before,
    ClusterPlace,
    Overtaken,
    Plan,
    Proof,
    Release,
    Standing,
    Trial,
    anything,
)

_TRIES = 8


class KServeTarget:
    """A `Target`. `take_over` lets it change fields that other managers own."""

    def __init__(
        self,
        cluster: Cluster,
        place: ClusterPlace,
        access: Access,
        patience_s: float,
        *,
        server: str = "",
        take_over: bool = False,
    ) -> None:
        self._cluster, self._place, self._take_over = cluster, place, take_over
        self._probe = Probe(cluster, place, access, patience_s, server)
        self._seen: dict[str, Any] | None = None
        self._served: Content | None = None

    def plan(self, release: Release) -> Plan:
        """See `Target`. The cluster itself says what would be, where the account may ask it."""
        live = self._cluster.get(self._place.service)
        wanted = sharing.left_to_others(self._wanted(self._content(release, live), live), live)
        try:
            then = self._cluster.apply(wanted, force=self._take_over, dry_run=True)
        except Denied as error:
            diary.warn("plan_computed", message=f"the cluster may not be asked, so this is computed: {error}")
            then = manifest.merged(live, wanted)
        before, after = manifest.for_people(live), manifest.for_people(then)
        name = f"InferenceService {self._cluster.namespace}/{self._place.service}"
        now = manifest.annotation(live, manifest.VERSION)
        return Plan(now, release.version, before, after, differences.of(before, after, name))

    def reach(self) -> None:
        """See `Target`. What the account may not do shows here, before anything changes."""
        self._seen = self._cluster.get(self._place.service)

    def hold(self) -> Before:
        """See `Target`."""
        live, entries = self._seen, manifest.proven(self._seen)
        if entries:
            if manifest.annotation(live, manifest.ROLLOUT) != entries[-1]["rollout"]:
                found = manifest.annotation(live, manifest.VERSION)
                diary.warn("unproven_found", message=f"version {found} was applied and never proven", version=found)
            return Before(entries[-1]["version"], entries[-1])
        foreign = live is not None and manifest.annotation(live, manifest.ROLLOUT) is None
        return Before(None, {"live": live} if foreign else None)

    def put(self, release: Release) -> None:
        """See `Target`. Raises Conflict for fields of others, Overtaken where it changed since it was held."""
        self._served = self._content(release, self._seen)
        self._change(lambda live: self._wanted(self._served_now(), live), self._seen)

    def prove(self, release: Release) -> Proof:
        """See `Target`. The graph behind the address is known by its sha256."""
        served = self._served_now()
        url = self._probe.wait_for(served)
        return Proof(url, self._probe.ask_golden(url, release.golden()))

    def restore(self, before: Before) -> bool:
        """See `Target`. What was there but never proven gets back the values that it had."""
        if self._served is None:
            return False
        served, live = self._served, self._cluster.get(self._place.service)
        if _rollout_of(live) == _rollout_of(self._seen):
            return False
        if live is None or manifest.annotation(live, manifest.ROLLOUT) != served.rollout:
            raise Overtaken(f"{self._name}: somebody else changed it meanwhile; what they did stands")
        if before.version is not None:
            again = manifest.of_entry(before.content)
            self._change(lambda live: self._wanted(again, live), live, is_past=True)
        elif before.content or sharing.is_shared(live):
            former = before.content["live"] if before.content else None
            self._cluster.apply(sharing.given_back(manifest.applied(self._place, served, []), former, live))
        else:
            self._cluster.delete(self._place.service, live["metadata"]["uid"])
        return True

    def remember(self, release: Release) -> None:
        """See `Target`."""
        served = self._served_now()
        entry = served.entry(_now())

        def wanted(live: dict[str, Any] | None) -> dict[str, Any]:
            if manifest.annotation(live, manifest.ROLLOUT) != served.rollout:
                raise Overtaken(f"{self._name}: somebody else changed it; version {release.version} was proven before")
            past = [known for known in manifest.proven(live) if known["rollout"] != served.rollout]
            if past and (past[-1]["version"], past[-1]["sha256"]) == (served.version, served.sha256):
                past.pop()  # applied again, it is the same thing to go back to
            return manifest.applied(self._place, served, [*past, entry], {"version": release.version, "at": _now()})

        live = self._cluster.get(self._place.service)
        self._change(wanted, live, is_past=True)

    def roll_back(self, why: str, admit: Admit = anything, instead_of: str = "") -> dict[str, Any]:
        """See `Target`. One apply changes what serves and what is remembered; then it is waited for."""
        live = self._seen = self._cluster.get(self._place.service)
        entries, now = manifest.proven(live), manifest.annotation(live, manifest.VERSION)
        if tried := manifest.canary(live):
            return self._end_canary(tried, entries, why)
        at = [place for place, entry in enumerate(entries) if entry["rollout"] == _rollout_of(live)]
        past, last = entries[: at[-1]] if at else entries, manifest.last(live)
        went = bool(instead_of and at) and (last.get("back_to"), last.get("instead_of")) == (now, instead_of)
        if went:
            past, now = entries, instead_of
        if live is None or not past:
            raise UsageError(f"no version of {self._name} was proven in service before {now}")
        again = manifest.of_entry(past[-1])
        admit(again.version, again.sha256)
        event = {"back_to": again.version, "instead_of": now, "why": why, "at": _now()}
        if not went:
            self._change(lambda _: manifest.applied(self._place, again, past, event), live, is_past=True)
        url = self._probe.wait_for(again)
        return {"version": again.version, "instead_of": now, "why": why, "confirmed": True, "url": url}

    def standing(self) -> Standing:
        """See `Target`."""
        live = self._cluster.get(self._place.service)
        entries = manifest.proven(live)
        at = [place for place, entry in enumerate(entries) if entry["rollout"] == _rollout_of(live)]
        past = entries[: at[-1]] if at else entries
        version = manifest.annotation(live, manifest.VERSION)
        proven = entries[-1]["version"] if entries else None
        canary = manifest.canary(live).get("version")
        previous = past[-1]["version"] if past else None
        return Standing(version, proven, previous, manifest.last(live), canary=canary)

    def try_shadow(self, release: Release, trial: Trial | None, patience_s: float) -> dict[str, Any]:
        """See `Target`."""
        raise Refused(
            f"--shadow: version {release.version} gets no copy of the requests, since an InferenceService has no slot "
            "for one and would ignore it; --canary-percent gives it a share of them, where KServe is 0.20 or newer"
        )

    def try_canary(self, release: Release, percent: int) -> dict[str, Any]:
        """See `Target`. Raises Refused where the cluster would ignore the share, or nothing is proven beside it."""
        live = self._seen = self._cluster.get(self._place.service)
        entries = manifest.proven(live)
        if not entries or entries[-1]["rollout"] != _rollout_of(live):
            raise Refused(f"{self._name}: a canary stands beside a proven version, and there is none; apply one first")
        stable = manifest.of_entry(entries[-1])
        tried = self._content(release, live)
        served = manifest.applied(self._place, stable, entries, manifest.last(live))
        wanted = manifest.with_canary(served, tried, percent)
        self._probe.require_canary(sharing.left_to_others(wanted, live, is_past=True))
        self._change(lambda _: wanted, live, is_past=True)
        try:
            url = self._probe.wait_for_canary(tried, release.golden())
        except Overtaken:
            raise
        except StepError as error:
            self._change(lambda _: served, self._cluster.get(self._place.service), is_past=True)
            diary.warn("canary_removed", message=f"the canary is removed: {error}", version=release.version)
            raise
        return {"url": url, "version": stable.version, "canary": release.version, "percent": percent}

    def _end_canary(self, tried: dict[str, Any], entries: list[dict[str, Any]], why: str) -> dict[str, Any]:
        if not entries:
            raise UsageError(f"{self._name} has a canary, and nothing was proven to go back to")
        stable = manifest.of_entry(entries[-1])
        event = {"back_to": stable.version, "instead_of": tried.get("version"), "why": why, "at": _now()}
        self._change(lambda _: manifest.applied(self._place, stable, entries, event), self._seen, is_past=True)
        url = self._probe.wait_for(stable)
        return {
            "version": stable.version,
            "instead_of": tried.get("version"),
            "why": why,
            "confirmed": True,
            "url": url,
        }

    def _content(self, release: Release, live: dict[str, Any] | None) -> Content:
        since = manifest.since(live, release, _now())
        return manifest.content(self._place, release, _new_rollout(), since)

    def _wanted(self, served: Content, live: dict[str, Any] | None) -> dict[str, Any]:
        return manifest.applied(self._place, served, manifest.proven(live), manifest.last(live))

    def _change(
        self,
        wanted: Callable[[dict[str, Any] | None], dict[str, Any]],
        live: dict[str, Any] | None,
        *,
        is_past: bool = False,
    ) -> None:
        """Apply to the very object that was read; where only its status moved meanwhile, read it again and go on.
        What is others' to say is left to them.

        Raises Overtaken where what it serves changed, unless it was this very change whose answer was lost.
        """
        known = live
        for _ in range(_TRIES):
            body = sharing.left_to_others(wanted(live), live, is_past=is_past)
            if live is not None:
                body["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"]
            try:
                self._cluster.apply(body, force=self._take_over)
            except Changed:
                live = self._cluster.get(self._place.service)
                if _bookkeeping(live) == _bookkeeping(body) != _bookkeeping(known):
                    return
                if _identity(live) != _identity(known):
                    raise Overtaken(f"{self._name}: somebody else changes it at this moment; try again") from None
                continue
            return
        raise Overtaken(f"{self._name} does not come to rest; try again")

    def _served_now(self) -> Content:
        if self._served is None:
            raise UsageError("nothing was put yet")
        return self._served

    @property
    def _name(self) -> str:
        return f"InferenceService {self._cluster.namespace}/{self._place.service}"


def _identity(live: dict[str, Any] | None) -> tuple[Any, ...]:
    """What tells one state of an object from another, its status aside."""
    metadata = (live or {}).get("metadata") or {}
    return metadata.get("uid"), metadata.get("generation"), _bookkeeping(live)


def _bookkeeping(live: dict[str, Any] | None) -> dict[str, Any]:
    found = ((live or {}).get("metadata") or {}).get("annotations") or {}
    return {key: value for key, value in found.items() if key.startswith("brakeline/")}


def _rollout_of(live: dict[str, Any] | None) -> str | None:
    return manifest.annotation(live, manifest.ROLLOUT)


def _new_rollout() -> str:
    return uuid.uuid4().hex


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
