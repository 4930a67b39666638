"""Waiting for an InferenceService, with progress and with reasons, and asking what answers behind its address."""

import time
from collections.abc import Callable
from typing import Any

import httpx
from stepkit import diary
from stepkit.errors import Refused, ServiceUnavailable, StepError

from brakeline_deploy import manifest, readiness
from brakeline_deploy.access import Access
from brakeline_deploy.endpoint import Endpoint
from brakeline_deploy.kube import Cluster, UnknownField
from brakeline_deploy.manifest import Content
from brakeline_deploy.target import ClusterPlace, Overtaken

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 2.0
_SECONDS_BETWEEN_NOTES = 10.0
# While pods are replaced, old and new ones answer behind one address: so many in a row must be the new one's.
_ANSWERS_IN_A_ROW = 3
_ASKED_AT_ONCE = 20  # a canary of a few per cent answers some of them


class Probe:
    """Looks at one InferenceService and asks it, at `server` or wherever its status says that it answers."""

    def __init__(self, cluster: Cluster, place: ClusterPlace, access: Access, patience_s: float, server: str) -> None:
        self._cluster, self._place, self._access = cluster, place, access
        self._patience_s, self._server = patience_s, server
        self._endpoints: dict[str, Endpoint] = {}

    def wait_for(self, served: Content) -> str:
        """Wait until it is ready and answers with this very graph; the address that does.

        Raises Overtaken, Refused where no waiting helps, ServiceUnavailable with the pods' reasons.
        """

        def look(live: dict[str, Any]) -> tuple[str | None, str]:
            state = readiness.state_of(live)
            if state.is_hopeless:
                raise Refused(f"{self._name}: {state.told}; {self._reasons()}")
            if not state.is_ready:
                return None, state.told
            return self._answering(live, served.sha256)

        return self._until(served.rollout, manifest.ROLLOUT, look)

    def ask_golden(self, address: str, golden: dict[str, Any]) -> int:
        """Ask the golden request; how many values agreed. Raises Refused, ServiceUnavailable."""
        return self._endpoint(address).prove(None, golden)

    def require_canary(self, wanted: dict[str, Any]) -> None:
        """Have the cluster say whether it knows canaries at all. Raises Refused where it does not."""
        try:
            self._cluster.apply(wanted, dry_run=True)
        except UnknownField as error:
            if ".spec.canary: field not declared" not in str(error):
                raise
            raise Refused(
                f"{self._name}: this cluster's InferenceService has no spec.canary, which KServe 0.20 brought; in raw "
                f"mode an older one ignores canaryTrafficPercent without a word, so nothing was changed ({error})"
            ) from error

    def wait_for_canary(self, tried: Content, golden: dict[str, Any]) -> str:
        """Wait until the canary is ready and some requests are answered by it, the golden one among them.

        Raises Overtaken, ServiceUnavailable.
        """
        name = manifest.canary_name(tried.version)

        def look(live: dict[str, Any]) -> tuple[str | None, str]:
            state = readiness.canary_state(live, name)
            if not state.is_ready:
                return None, state.told
            return self._answered_once(live, tried.sha256, golden)

        return self._until(tried.rollout, manifest.CANARY, look)

    def _until(self, rollout: str, where: str, look: Callable[[dict[str, Any]], tuple[str | None, str]]) -> str:
        deadline, pause, noted, noted_s = time.monotonic() + self._patience_s, _FIRST_PAUSE_S, "", 0.0
        while True:
            live = self._cluster.get(self._place.service)
            found = (
                manifest.canary(live).get("rollout") if where == manifest.CANARY else manifest.annotation(live, where)
            )
            if live is None or found != rollout:
                now = manifest.annotation(live, manifest.VERSION)
                raise Overtaken(f"{self._name}: somebody else changed it, to version {now}; what they did stands")
            address, words = look(live)
            if address:
                return address
            if time.monotonic() >= deadline:
                raise ServiceUnavailable(
                    f"{self._name} was not ready within {self._patience_s:g} s: {words}; {self._reasons()}",
                    waited_s=self._patience_s,
                )
            if words != noted or time.monotonic() - noted_s >= _SECONDS_BETWEEN_NOTES:
                noted, noted_s = words, time.monotonic()
                diary.note("waiting", service=self._name, state=words)
            time.sleep(pause)
            pause = min(1.5 * pause, _LONGEST_PAUSE_S)

    def _answering(self, live: dict[str, Any], sha256: str) -> tuple[str | None, str]:
        """The first address behind which this graph alone answers, else what was met at each."""
        words = list[str]()
        for address in self._addresses(live):
            try:
                found = {self._endpoint(address).identity() for _ in range(_ANSWERS_IN_A_ROW)}
            except (httpx.HTTPError, ValueError) as error:
                words.append(f"{address}: {error or type(error).__name__}")
                continue
            if found == {sha256}:
                return address, ""
            others = ", ".join(str(other)[:12] for other in found - {sha256})
            words.append(f"{address} answers with another graph, {others}")
        return None, "; ".join(words) or "its status names no address yet"

    def _answered_once(self, live: dict[str, Any], sha256: str, golden: dict[str, Any]) -> tuple[str | None, str]:
        words = list[str]()
        for address in self._addresses(live):
            endpoint = self._endpoint(address)
            try:
                for _ in range(_ASKED_AT_ONCE):
                    if endpoint.identity() == sha256:
                        endpoint.prove(None, golden)
                        return address, ""
                words.append(f"{address} did not answer by the canary yet")
            except (httpx.HTTPError, ValueError, StepError) as error:
                words.append(f"{address}: {error or type(error).__name__}")
        return None, "; ".join(words) or "its status names no address yet"

    def _addresses(self, live: dict[str, Any]) -> list[str]:
        return [self._server] if self._server else readiness.addresses(live)

    def _endpoint(self, address: str) -> Endpoint:
        if address not in self._endpoints:
            self._endpoints[address] = Endpoint(address, self._place.service, self._access)
        return self._endpoints[address]

    def _reasons(self) -> str:
        try:
            return "; ".join(readiness.reasons(self._cluster, self._place.service))
        except StepError as error:
            return f"its pods cannot be asked: {error}"

    @property
    def _name(self) -> str:
        return f"InferenceService {self._cluster.namespace}/{self._place.service}"
