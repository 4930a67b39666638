"""The page of /metrics that real servers show, with everything on it that they can tell."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import Chain
from tests.loop import traffic
from tests.loop.conftest import store_of
from tests.orchestrator import object_store
from tests.serving.conftest import Server


@dataclass(frozen=True)
class Page:
    """What stands there: of each metric its series' labels with their values."""

    series: dict[str, list[dict[str, str]]]

    def labels(self) -> dict[str, frozenset[str]]:
        """The labels of each metric; all its series have the same."""
        found = {}
        for name, series in self.series.items():
            (found[name],) = {frozenset(each) for each in series}
        return found

    def values(self, name: str, label: str) -> set[str]:
        """The values that a label of a metric has."""
        return {each[label] for each in self.series[name]}


@pytest.fixture(scope="session")
def page(tiny: Chain, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A primary, a shadow, a version that is refused, a prediction log, answers and errors; and a store in S3."""
    root = tmp_path_factory.mktemp("page")
    store = store_of(tiny, root / "models", "1", "2")
    broken = root / "models" / traffic.NAME / "3" / "model.onnx"
    broken.parent.mkdir()
    broken.write_bytes(b"no model")
    store.point("1", shadow="2")
    words = ("--model-store", str(store.root), "--prediction-log", str(root / "kept"), "--prediction-share", "1")
    server = Server(*words, log=root / "server.log")
    with object_store.serving() as s3, pytest.MonkeyPatch.context() as patched:
        for name, value in {**s3.environment(), "TMPDIR": str(root)}.items():
            patched.setenv(name, value)
        remote = Server("--model-store", "s3://bucket/models", log=root / "remote.log")
        try:
            server.wait_for_version("1")
            store.write(json.dumps({"primary": "3", "shadow": "2"}))
            server.wait_until(lambda: "brakeline_model_refused{" in _page(server))
            traffic.ask(server, traffic.world(tiny), range(200))
            compared = 'brakeline_shadow_difference_metres_bucket{le="+Inf",version="2"}'
            server.wait_until(lambda: server.metric(compared) == 200)
            assert server.infer(b"no JSON").status == 400
            yield Page(_series(_page(server)) | _series(_page(remote), only="brakeline_model_store_reachable"))
        finally:
            server.stop()
            remote.stop()


def _page(server: Server) -> str:
    return server.ask("GET", "/metrics").body.decode()


def _series(page: str, only: str = "") -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            if not only or sample.name == only:
                found.setdefault(sample.name, []).append(sample.labels)
    return found
