"""A real Prometheus reads a real server by the configuration that the operator makes of our ServiceMonitor."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import Chain
from tests.loop import traffic
from tests.serving.conftest import Server, start
from tests.telemetry import manifests
from tests.telemetry.prometheus import Prometheus

__all__ = ["start"]  # a fixture

NAMESPACE, SERVICE, PATIENCE_S = "distance-prediction", "stopping-distance-telemetry", 30
# What service discovery tells of an address of the Service's.
MEET = {
    "__meta_kubernetes_namespace": NAMESPACE,
    "__meta_kubernetes_service_name": SERVICE,
    "__meta_kubernetes_pod_name": "stopping-distance-predictor-0",
    "__meta_kubernetes_pod_container_name": "kserve-container",
    "__meta_kubernetes_pod_annotation_brakeline_version": "7",
}


def configuration(endpoint: dict[str, Any], address: str, authority: Path) -> dict[str, Any]:
    """As generateServiceMonitorConfig in pkg/prometheus/promcfg.go has it: its own labels first, then the monitor's."""
    named = {"namespace": "namespace", "service": "service_name", "pod": "pod_name", "container": "pod_container_name"}
    relabelings: list[dict[str, Any]] = [
        {"source_labels": [f"__meta_kubernetes_{source}"], "target_label": label} for label, source in named.items()
    ]
    relabelings.append({"source_labels": ["__meta_kubernetes_service_name"], "target_label": "job"})
    relabelings.append({"target_label": "endpoint", "replacement": endpoint["port"]})
    words = {"sourceLabels": "source_labels", "targetLabel": "target_label"}
    relabelings += [{words.get(key, key): value for key, value in each.items()} for each in endpoint["relabelings"]]
    relabelings.append({"target_label": "namespace", "replacement": NAMESPACE})
    job = {
        "job_name": "serviceMonitor/stopping-distance/0",
        "scheme": endpoint["scheme"],
        "tls_config": {"ca_file": str(authority), "server_name": endpoint["tlsConfig"]["serverName"]},
        "static_configs": [{"targets": [address], "labels": MEET}],
        "relabel_configs": relabelings,
    }
    return {"global": {"scrape_interval": "200ms", "scrape_timeout": "200ms"}, "scrape_configs": [job]}


@contextmanager
def prometheus(folder: Path, made: dict[str, Any]) -> Iterator[Prometheus]:
    """This machine's, with a configuration."""
    program = shutil.which("prometheus")
    if not program:
        pytest.skip("prometheus is not installed: apt-get install prometheus")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(made))
    words = [
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "prometheus.log").open("w") as log:
        running = subprocess.Popen([program, *words], stdout=log, stderr=log)
    try:
        yield Prometheus(f"http://127.0.0.1:{port}")
    finally:
        running.terminate()
        running.wait(PATIENCE_S)


def scraped(asked: Prometheus, expression: str) -> list[dict[str, str]]:
    """The labels of what an expression gives, as soon as it gives anything."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            if found := asked.query(expression):
                return [series["metric"] for series in found]
        except OSError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"nothing answers {expression}")


def certified(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate for a Service's name, as the service CA gives one, and its key."""
    chain, key = folder / "tls.crt", folder / "tls.key"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    words += ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-keyout", str(key), "-out", str(chain)]
    subprocess.run(words, check=True, capture_output=True)
    return chain, key


@pytest.fixture
def door(start: Callable[..., Server], tiny: Chain, tmp_path: Path) -> tuple[str, Path]:
    """The address of a server's metrics over TLS, which has answered a request, and the authority to trust."""
    chain, key = certified(tmp_path, f"{SERVICE}.{NAMESPACE}.svc")
    words = ["--metrics-port", "0", "--metrics-tls-certificate", str(chain), "--metrics-tls-key", str(key)]
    server = start("--model", str(traffic.model_of(tiny)), *words)
    server.wait_for_version("1")
    traffic.ask(server, traffic.world(tiny), range(10))
    return server.metrics_address, chain


def test_every_series_has_the_labels_that_rules_ask_for(door: tuple[str, Path], tmp_path: Path) -> None:
    """Job, pod and deployed version are there, the requests' own endpoint is kept, and the certificate is checked."""
    address, authority = door
    with prometheus(tmp_path, configuration(manifests.monitor("stopping-distance"), address, authority)) as asked:
        (request,) = scraped(asked, 'brakeline_requests_total{endpoint="infer",status="200"}')
        del request["__name__"], request["status"]
        assert request == {
            "job": "stopping-distance",
            "namespace": NAMESPACE,
            "pod": "stopping-distance-predictor-0",
            "container": "kserve-container",
            "service": SERVICE,
            "instance": address,
            "deployed_version": "7",
            "endpoint": "infer",
        }
        assert asked.numbers('up{job="stopping-distance"}') == [1.0]
        (model,) = scraped(asked, "brakeline_model_info")
        assert (model["version"], model["role"]) == ("1", "primary")


def test_without_the_monitors_relabelling_the_endpoint_would_be_lost(door: tuple[str, Path], tmp_path: Path) -> None:
    """The operator's own label takes the name, and no rule would find a request."""
    address, authority = door
    plain = {**manifests.monitor("stopping-distance"), "relabelings": []}
    with prometheus(tmp_path, configuration(plain, address, authority)) as asked:
        assert {each["endpoint"] for each in scraped(asked, "brakeline_requests_total")} == {"metrics"}
        assert asked.query('brakeline_requests_total{endpoint="infer"}') == []


def test_another_name_in_the_certificate_is_not_trusted(door: tuple[str, Path], tmp_path: Path) -> None:
    """A server that shows another Service's certificate is down, whoever signed it."""
    address, authority = door
    made = configuration(manifests.monitor("stopping-distance"), address, authority)
    made["scrape_configs"][0]["tls_config"]["server_name"] = f"another.{NAMESPACE}.svc"
    with prometheus(tmp_path, made) as asked:
        scraped(asked, 'up{job="stopping-distance"} == 0')
        assert asked.query("brakeline_model_info") == []
