"""The server as a client sees it: wait for a version, then prove by the golden request that it is that model."""

import time
from collections.abc import Callable
from typing import Any

import httpx
from stepkit import diary
from stepkit.errors import Refused, ServiceUnavailable

TOLERANCE = 1e-4
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 1.0
_REQUEST_TIMEOUT_S = 5.0


class Endpoint:
    """A model's address on an Open Inference Protocol server."""

    def __init__(self, server: str, model: str) -> None:
        self._server, self._model = server.rstrip("/"), model
        self._client = httpx.Client(timeout=_REQUEST_TIMEOUT_S)

    @property
    def url(self) -> str:
        """Where requests go."""
        return f"{self._server}/v2/models/{self._model}"

    def wait_until_live(self, seconds: float) -> None:
        """Wait for the server itself. Raises ServiceUnavailable."""
        self._wait(lambda: self._client.get(f"{self._server}/v2/health/live").status_code == 200, "live", seconds)

    def wait_for(self, version: str, sha256: str, seconds: float) -> None:
        """Wait until the server serves exactly this version. Raises ServiceUnavailable."""

        def serves() -> bool:
            answer = self._client.get(self.url)
            if answer.status_code != 200:
                return False
            parameters = answer.json().get("parameters", {})
            return bool(parameters.get("version") == version and parameters.get("sha256") == sha256)

        self._wait(serves, f"serving version {version}", seconds)

    def prove(self, version: str, golden: dict[str, Any]) -> int:
        """Ask the golden request and compare every answer; returns how many values agreed. Raises Refused."""
        rows = len(next(iter(golden["inputs"].values())))
        body = {
            "inputs": [
                {"name": name, "datatype": "FP32", "shape": [rows, 1], "data": values}
                for name, values in golden["inputs"].items()
            ]
        }
        answer = self._post(f"{self.url}/versions/{version}/infer", body)
        found = {output["name"]: output["data"] for output in answer["outputs"]}
        for name, expected in golden["outputs"].items():
            for row, (want, got) in enumerate(zip(expected, found.get(name, [None] * rows), strict=False)):
                if not _agree(want, got):
                    raise Refused(
                        f"{self.url}: golden request, output {name}, row {row}: found {got}, allowed {want}",
                        output=name,
                        found=got,
                        allowed=want,
                    )
        return sum(len(values) for values in golden["outputs"].values())

    def _post(self, url: str, body: dict[str, Any]) -> dict[str, Any]:
        try:
            answer = self._client.post(url, json=body)
            content: dict[str, Any] = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise ServiceUnavailable(f"{url} gave no answer: {error}", url=url) from error
        if answer.status_code != 200:
            raise Refused(f"{url} answered {answer.status_code}: {content.get('error')}", url=url)
        return content

    def _wait(self, ready: Callable[[], bool], what: str, seconds: float) -> None:
        deadline, pause, reason = time.monotonic() + seconds, _FIRST_PAUSE_S, "not yet"
        while True:
            try:
                if ready():
                    return
            except (httpx.HTTPError, ValueError) as error:
                reason = str(error)
            if time.monotonic() >= deadline:
                raise ServiceUnavailable(
                    f"{self._server} was not {what} within {seconds:g} s: {reason}",
                    server=self._server,
                    waited_s=seconds,
                )
            diary.note("waiting", server=self._server, wanted=what)
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)


def _agree(want: float | None, got: float | None) -> bool:
    if want is None or got is None:
        return want is got
    return abs(got - want) <= TOLERANCE * max(abs(want), 1e-6)
