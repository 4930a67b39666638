"""The shadow's trial: a version gets a copy of the traffic, and takes over if its answers differ little enough.

What is compared is what the server counts: the shadow's median less the primary's [m], row by row, in a histogram.
"""

import math
import re
import time
from dataclasses import dataclass
from typing import Any

import httpx
from stepkit import diary
from stepkit.errors import Refused, TryAgain, UsageError

from brakeline_deploy.endpoint import Endpoint
from brakeline_deploy.target import Trial

_PAUSE_S = 0.5
_SECONDS_BETWEEN_NOTES = 5.0
_BUCKET = re.compile(r"^brakeline_shadow_difference_metres_bucket\{([^}]*)\} (\S+)$", re.MULTILINE)
_MEAN = re.compile(r"^brakeline_shadow_difference_mean_metres\{([^}]*)\} (\S+)$", re.MULTILINE)
_ANSWERED = re.compile(r'^brakeline_requests_total\{endpoint="(?:grpc_)?infer",status="200"\} (\S+)$', re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True)
class Compared:
    """What a server counted: requests answered, rows up to each difference [m], and the mean difference [m]."""

    requests: float
    up_to: dict[float, float]
    mean_m: float

    @property
    def rows(self) -> float:
        """Rows compared."""
        return self.up_to.get(math.inf, 0.0)

    def beyond(self, within_m: float) -> float:
        """Rows whose medians are farther apart."""
        return self.rows - (self.up_to[within_m] - self.up_to[-within_m]) if self.up_to else 0.0

    def since(self, start: "Compared") -> "Compared":
        """What was counted since; all of it if the server began anew meanwhile."""
        if self.rows < start.rows or self.requests < start.requests:
            return self
        up_to = {edge: count - start.up_to.get(edge, 0.0) for edge, count in self.up_to.items()}
        return Compared(self.requests - start.requests, up_to, self.mean_m)


def read(endpoint: Endpoint, version: str) -> Compared:
    """What the server has compared of a version so far. Raises httpx.HTTPError, ValueError."""
    answer = endpoint.get("/metrics")
    if answer.status_code != 200:
        raise ValueError(f"/metrics answered {answer.status_code}")
    up_to = {float(labels["le"]): value for labels, value in _of(_BUCKET, answer.text, version)}
    means = [value for _, value in _of(_MEAN, answer.text, version)]
    requests = sum(float(value) for value in _ANSWERED.findall(answer.text))
    return Compared(requests, up_to, means[0] if means else math.nan)


def try_out(endpoint: Endpoint, version: str, trial: Trial, patience_s: float) -> dict[str, Any]:
    """Wait until enough requests were compared and held; what was found.

    Raises Refused as soon as too many rows differ by more, TryAgain where too few requests came, UsageError for a
    difference on which the server does not count.
    """
    start, deadline, told_s, problem = (
        _first(endpoint, version, trial, patience_s),
        time.monotonic() + patience_s,
        0.0,
        "",
    )
    while True:
        try:
            seen = read(endpoint, version).since(start)
        except (httpx.HTTPError, ValueError) as error:
            seen, problem = Compared(0.0, {}, math.nan), str(error)
        most_beyond = (1.0 - trial.share) * max(trial.requests, seen.rows)
        beyond, count = seen.beyond(trial.within_m), min(seen.rows, seen.requests)
        if beyond > most_beyond:
            raise Refused(_missed(version, trial, seen), **_facts(trial, seen))
        if count >= trial.requests:
            return _facts(trial, seen)
        if time.monotonic() >= deadline:
            why = f": {problem}" if problem else ""
            raise TryAgain(
                f"version {version} was compared on {count:g} of {trial.requests} requests within {patience_s:g} s"
                f"{why}; let more traffic come, or give --shadow-seconds",
                **_facts(trial, seen),
            )
        if time.monotonic() - told_s >= _SECONDS_BETWEEN_NOTES:
            told_s = time.monotonic()
            diary.note("comparing", version=version, **_facts(trial, seen))
        time.sleep(_PAUSE_S)


def _first(endpoint: Endpoint, version: str, trial: Trial, patience_s: float) -> Compared:
    """What was counted before the trial: the version may have been a shadow earlier."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            seen, problem = read(endpoint, version), "it counts nothing for this version"
        except (httpx.HTTPError, ValueError) as error:
            seen, problem = Compared(0.0, {}, math.nan), str(error)
        if seen.up_to:
            allowed = sorted(edge for edge in seen.up_to if 0 < edge < math.inf and -edge in seen.up_to)
            if trial.within_m not in allowed:
                listed = ", ".join(f"{edge:g}" for edge in allowed)
                raise UsageError(f"--within-m: found {trial.within_m:g}, allowed what the server counts by: {listed}")
            return seen
        if time.monotonic() >= deadline:
            raise TryAgain(f"the server's metrics cannot tell how version {version} does: {problem}", version=version)
        time.sleep(_PAUSE_S)


def _of(pattern: re.Pattern[str], text: str, version: str) -> list[tuple[dict[str, str], float]]:
    found = [(dict(_LABEL.findall(labels)), float(value)) for labels, value in pattern.findall(text)]
    return [(labels, value) for labels, value in found if labels.get("version") == version]


def _facts(trial: Trial, seen: Compared) -> dict[str, Any]:
    return {
        "requests_compared": int(min(seen.rows, seen.requests)),
        "requests_wanted": trial.requests,
        "rows_compared": int(seen.rows),
        "rows_beyond": int(seen.beyond(trial.within_m)),
        "within_m": trial.within_m,
        "mean_difference_m": None if math.isnan(seen.mean_m) else round(seen.mean_m, 4),
    }


def _missed(version: str, trial: Trial, seen: Compared) -> str:
    """By how much a shadow missed, in words."""
    beyond = seen.beyond(trial.within_m)
    shares = [(edge, seen.beyond(edge) / seen.rows) for edge in sorted(seen.up_to) if edge > 0 and -edge in seen.up_to]
    enough = next(
        (f"{edge:g} m" for edge, share in shares if share <= 1.0 - trial.share), "more than the server counts"
    )
    return (
        f"version {version} differs by more than {trial.within_m:g} m in {beyond:g} of {seen.rows:g} rows "
        f"({100 * beyond / seen.rows:.2g} %), allowed {100 * (1 - trial.share):.2g} %; it would need {enough}, "
        f"and the mean difference is {seen.mean_m:.3g} m"
    )
