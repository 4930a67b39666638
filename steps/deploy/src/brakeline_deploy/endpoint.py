"""The server as a client sees it: wait for a version, then prove by the golden request that it is that model."""

import time
from collections.abc import Callable
from typing import Any

import httpx
from stepkit import diary
from stepkit.errors import Refused, ServiceUnavailable

from brakeline_deploy.access import Access

TOLERANCE = 1e-4
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 1.0
_REQUEST_TIMEOUT_S = 5.0


class Endpoint:
    """A model's address on an Open Inference Protocol server."""

    def __init__(self, server: str, model: str, access: Access | None = None) -> None:
        self._server, self._model, self._access = server.rstrip("/"), model, access or Access()
        # No connection is kept: behind one address there may be several servers, and each question is to any of them.
        once = httpx.Limits(max_keepalive_connections=0)
        self._client = httpx.Client(timeout=_REQUEST_TIMEOUT_S, verify=self._access.context(), limits=once)

    @property
    def url(self) -> str:
        """Where requests go."""
        return f"{self._server}/v2/models/{self._model}"

    def get(self, path: str) -> httpx.Response:
        """One answer of the server. Raises httpx.HTTPError."""
        url = f"{self._server}{path}"
        return self._client.get(url, headers=self._access.headers(url))

    def wait_until_live(self, seconds: float) -> None:
        """Wait for the server itself. Raises ServiceUnavailable."""
        self._wait(lambda: self.get("/v2/health/live").status_code == 200, "live", seconds)

    def wait_for(self, version: str, sha256: str, seconds: float, *, as_primary: bool = True) -> None:
        """Wait until the server serves exactly this version, to all or to whom asks for it. Raises ServiceUnavailable,
        with what the server says of the version.
        """
        path = f"/v2/models/{self._model}"

        def serves() -> bool:
            told = _parameters(self.get(path if as_primary else f"{path}/versions/{version}"))
            if told.get("version") == version and told.get("sha256") == sha256:
                return True
            refused = _parameters(self.get(path)).get("refused")
            if isinstance(refused, dict) and version in refused:
                raise ValueError(f"it refuses version {version}: {refused[version]}")
            return False

        self._wait(serves, f"serving version {version}", seconds)

    def identity(self) -> str | None:
        """The sha256 of the graph that answers, None if it names none. Raises httpx.HTTPError, ValueError."""
        found = _parameters(self.get(f"/v2/models/{self._model}")).get("sha256")
        return found if isinstance(found, str) else None

    def prove(self, version: str | None, golden: dict[str, Any]) -> int:
        """Ask the golden request and compare every answer; returns how many values agreed. Raises Refused."""
        rows = len(next(iter(golden["inputs"].values())))
        body = {
            "inputs": [
                {"name": name, "datatype": "FP32", "shape": [rows, 1], "data": values}
                for name, values in golden["inputs"].items()
            ]
        }
        path = f"{self.url}/versions/{version}/infer" if version else f"{self.url}/infer"
        found = {output.get("name"): output.get("data") for output in self._post(path, body)}
        for name, expected in golden["outputs"].items():
            answers = found.get(name)
            answers = answers if isinstance(answers, list) else []
            for row, want in enumerate(expected):
                got = answers[row] if row < len(answers) else None
                if not _agree(want, got):
                    raise Refused(
                        f"{self.url}: golden request, output {name}, row {row}: found {got}, allowed {want}",
                        output=name,
                        found=got,
                        allowed=want,
                    )
        return sum(len(values) for values in golden["outputs"].values())

    def _post(self, url: str, body: dict[str, Any]) -> list[dict[str, Any]]:
        try:
            answer = self._client.post(url, json=body, headers=self._access.headers(url))
            content = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise ServiceUnavailable(f"{url} gave no answer: {error}", url=url) from error
        if answer.status_code != 200:
            raise Refused(f"{url} answered {answer.status_code}: {_reason(answer)}", url=url)
        outputs = content.get("outputs") if isinstance(content, dict) else None
        if not isinstance(outputs, list) or not all(isinstance(output, dict) for output in outputs):
            raise Refused(f"{url} answered without a list of outputs", url=url)
        return outputs

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


def _parameters(answer: httpx.Response) -> dict[str, Any]:
    """What a model's metadata say of it. Raises ValueError with what the server says instead."""
    if answer.status_code in (401, 403):
        raise ValueError(f"it answered {answer.status_code}: it wants a token that it accepts, see --token-file")
    if answer.status_code != 200:
        raise ValueError(f"it answered {answer.status_code}: {_reason(answer)}")
    content = answer.json()
    told = content.get("parameters") if isinstance(content, dict) else None
    return told if isinstance(told, dict) else {}


def _reason(answer: httpx.Response) -> str:
    try:
        content = answer.json()
    except ValueError:
        content = None
    return str(content["error"]) if isinstance(content, dict) and "error" in content else answer.text[:200]


def _agree(want: float | None, got: Any) -> bool:
    if want is None or got is None:
        return want is got
    is_number = isinstance(got, int | float) and not isinstance(got, bool)
    # Written so that NaN does not agree.
    return is_number and abs(got - want) <= TOLERANCE * max(abs(want), 1e-6)
