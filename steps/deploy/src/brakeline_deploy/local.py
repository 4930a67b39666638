"""The local target: a model store on a disk or in S3, and the server that follows it."""

from pathlib import Path
from typing import Any

from stepkit import diary, ending
from stepkit.errors import ArtifactAltered, Refused, UsageError
from stepkit.verdict import MODEL_FILE

from brakeline_deploy import differences, shadow
from brakeline_deploy.endpoint import Endpoint
from brakeline_deploy.store import POINTER, Store
from brakeline_deploy.target import Admit, Before, Overtaken, Plan, Proof, Release, Standing, Trial, anything


class LocalTarget:
    """A `Target`. Without an endpoint nothing is proven: only `roll_back`, `plan` and `standing` can be asked."""

    def __init__(self, store: Store, endpoint: Endpoint | None, patience_s: float) -> None:
        self._store, self._endpoint, self._patience_s = store, endpoint, patience_s
        self._put: str | None = None

    def plan(self, release: Release) -> Plan:
        """See `Target`."""
        now, before = self._store.primary(), self._store.pointer()
        after = self._store.pointer_with(release.version)
        return Plan(now, release.version, before, after, differences.of(before, after, self._store.address(POINTER)))

    def reach(self) -> None:
        """See `Target`."""
        self._server().wait_until_live(self._patience_s)

    def hold(self) -> Before:
        """See `Target`."""
        return Before(self._store.proven())

    def put(self, release: Release) -> None:
        """See `Target`. The graph is in the store, whole and of the right sha256, before anything points to it."""
        self._store.install(release.model, release.version, release.sha256)
        self._put = release.version
        self._store.serve(release.version)

    def prove(self, release: Release) -> Proof:
        """See `Target`."""
        server = self._server()
        server.wait_for(release.version, release.sha256, self._patience_s)
        return Proof(server.url, server.prove(release.version, release.golden()))

    def restore(self, before: Before) -> bool:
        """See `Target`."""
        if self._put is None or self._store.primary() == before.version:
            return False
        self._require_mine()
        self._store.serve(before.version)
        return True

    def remember(self, release: Release) -> None:
        """See `Target`."""
        self._require_mine()
        self._store.remember(release.version, release.sha256)

    def roll_back(self, why: str, admit: Admit = anything, instead_of: str = "") -> dict[str, Any]:
        """See `Target`. Where there is an endpoint, it must say that it serves the version (else 69, and it stays)."""
        now, before, last = self._store.primary(), self._store.previous(), self._store.last()
        went = bool(instead_of) and (last.get("back_to"), last.get("instead_of")) == (now, instead_of)
        if went:
            now, before = instead_of, now
        if before is None:
            raise UsageError(f"no version of {self._store.name} was in service before {now}")
        found, proven = self._store.sha256(before), self._store.proven_sha256(before)
        if found is None:
            gone = self._store.address(before)
            raise UsageError(f"{gone}: version {before}, in service before {now}, was removed; deploy it again")
        if proven and found != proven:
            raise ArtifactAltered(Path(self._store.address(before)) / MODEL_FILE, found, proven)
        admit(before, found)
        if not went:
            # First the record: killed between the two, the next call finds a primary that is not proven and ends alike.
            self._store.forget_after(before, now, why)
            self._store.serve(before)
        if self._endpoint:
            self._endpoint.wait_for(before, found, self._patience_s)
        return {"version": before, "instead_of": now, "why": why, "confirmed": self._endpoint is not None}

    def standing(self) -> Standing:
        """See `Target`."""
        store = self._store
        shadow = (store.pointer() or {}).get("shadow")
        return Standing(store.primary(), store.proven(), store.previous(), store.last(), shadow)

    def try_shadow(self, release: Release, trial: Trial | None, patience_s: float) -> dict[str, Any]:
        """See `Target`. Raises UsageError where nothing is served, or this is; TryAgain for too little traffic."""
        server, store = self._server(), self._store
        if store.primary() == release.version:
            raise UsageError(f"version {release.version} is the primary; a shadow is another version")
        before = (store.pointer() or {}).get("shadow")
        store.install(release.model, release.version, release.sha256)
        store.shadow(release.version)
        if before not in (None, release.version):
            diary.warn("shadow_replaced", message=f"version {before} was the shadow until now", version=before)
        try:
            with ending.taking_back(lambda: self._end_shadow(release.version, "SIGTERM")):
                server.wait_for(release.version, release.sha256, self._patience_s, as_primary=False)
                values = server.prove(release.version, release.golden())
                found = shadow.try_out(server, release.version, trial, patience_s) if trial else {}
        except BaseException as error:
            self._end_shadow(release.version, str(error) or type(error).__name__)
            raise
        about = {"version": store.primary(), "shadow": release.version, "values_proven": values}
        return {"url": server.url, **about, "compared": found}

    def try_canary(self, release: Release, percent: int) -> dict[str, Any]:
        """See `Target`."""
        raise Refused(
            f"--canary-percent: version {release.version} gets no {percent} %, since the server gives no shares of its "
            "requests; --shadow gives it a copy of all of them"
        )

    def _end_shadow(self, version: str, why: str) -> None:
        if (self._store.pointer() or {}).get("shadow") == version:
            self._store.shadow(None)
            diary.warn("shadow_removed", message=f"the shadow is removed: {why}", version=version)

    def _require_mine(self) -> None:
        now = self._store.primary()
        if now != self._put:
            raise Overtaken(
                f"{self._store.address(POINTER)}: somebody else made version {now} the primary, which stays"
            )

    def _server(self) -> Endpoint:
        if self._endpoint is None:
            raise UsageError("--server: none given, and a version is proven by its server's answers")
        return self._endpoint
