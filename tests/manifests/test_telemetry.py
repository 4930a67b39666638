"""Monitoring as an installation gets it: read over TLS, evaluated where the data is, linked to a runbook."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.manifests import trees
from tests.manifests.objects import fields
from tests.manifests.trees import MANIFESTS, Tree
from tests.telemetry import manifests

CA = {"configMap": {"name": "openshift-service-ca.crt", "key": "service-ca.crt"}}
LEAF = {"openshift.io/prometheus-rule-evaluation-scope": "leaf-prometheus"}
# What user-workload monitoring refuses, as it would read files of its own pod.
FILES = {"bearerTokenFile", "caFile", "certFile", "keyFile", "credentialsFile"}


def monitors(tree: Tree) -> list[tuple[str, dict[str, Any]]]:
    return [(one.name, endpoint) for one in tree.of("ServiceMonitor") for endpoint in one.spec["endpoints"]]


def test_monitors_ask_over_tls_by_names_alone(installation: Tree) -> None:
    """https, the service CA by its ConfigMap, the Service's own name; no file, no switched-off check, no token."""
    assert monitors(installation)
    for one in installation.of("ServiceMonitor"):
        for path, value in fields(one.content):
            assert path[-1] not in FILES | {"insecureSkipVerify", "bearerTokenSecret"}, (path, value)
        for endpoint in one.spec["endpoints"]:
            assert endpoint["scheme"] == "https"
            assert endpoint["tlsConfig"]["ca"] == CA
            assert endpoint["tlsConfig"]["serverName"].endswith(f".{one.namespace}.svc")
            assert endpoint["path"] == "/metrics" if "path" in endpoint else True


def test_the_servers_monitor_names_the_service_that_it_selects(installation: Tree) -> None:
    """The certificate's name is the Service's, the port is one of its ports, and the service CA certifies it."""
    (monitor,) = [one for one in installation.of("ServiceMonitor") if one.name == "stopping-distance"]
    (endpoint,) = monitor.spec["endpoints"]
    wanted = monitor.spec["selector"]["matchLabels"].items()
    (service,) = [one for one in installation.of("Service") if wanted <= one.labels.items()]
    assert endpoint["tlsConfig"]["serverName"] == f"{service.name}.{service.namespace}.svc"
    assert endpoint["port"] in {port["name"] for port in service.spec["ports"]}
    assert "service.beta.openshift.io/serving-cert-secret-name" in service.annotations


def test_the_pipelines_monitor_names_the_dspas_service(installation: Tree) -> None:
    """The Service that the operator makes for this very DSPA, over TLS, as pod-to-pod TLS is on."""
    (dspa,) = installation.of("DataSciencePipelinesApplication")
    (monitor,) = [one for one in installation.of("ServiceMonitor") if one.name == "brakeline-pipelines"]
    (endpoint,) = monitor.spec["endpoints"]
    assert dspa.spec["podToPodTLS"] is True
    assert endpoint["tlsConfig"]["serverName"] == f"ds-pipeline-{dspa.name}.{dspa.namespace}.svc"
    assert monitor.spec["selector"]["matchLabels"]["app"] == f"ds-pipeline-{dspa.name}"


def test_rules_are_evaluated_where_their_data_is(installation: Tree) -> None:
    """What asks the platform's metrics is left to Thanos Ruler; the rest stays with the Prometheus that has them."""
    platform = {"kubelet_volume_stats_available_bytes", "kube_resourcequota"}
    for one in installation.of("PrometheusRule"):
        asks = any(name in json.dumps(one.spec) for name in platform)
        assert (LEAF.items() <= one.labels.items()) is not asks, one.name


def test_every_alert_links_to_what_the_installation_says(installation: Tree) -> None:
    """The runbook's place is the installation's; each alert's section stays behind it."""
    values = next(one for one in trees.read((MANIFESTS / "installation" / "values.yaml").read_text()))["data"]
    told = [field for one in installation.of("PrometheusRule") for field in fields(one.content)]
    links = [value for path, value in told if path[-1] == "runbook_url"]
    assert sorted(links) == sorted(f"{values['runbook']}#{name.lower()}" for name in manifests.alerts())


def test_a_place_for_the_runbook_reaches_every_alert(tmp_path: Path) -> None:
    """Set to an address, it stands before every section's name, and nothing else changes."""
    room, place = shutil.copytree(MANIFESTS, tmp_path / "manifests"), "https://git.example.com/a/b.md"
    file = room / "installation" / "values.yaml"
    file.write_text(file.read_text().replace("runbook: docs/runbook.md", f"runbook: {place}"))
    plain, placed = (_rules(folder / "overlays" / "rhoai-3.x") for folder in (MANIFESTS, room))
    assert placed == plain.replace("docs/runbook.md#", f"{place}#")
    assert placed.count(f"{place}#") == len(manifests.alerts())


def _rules(folder: Path) -> str:
    return json.dumps([one.content for one in trees.rendered(folder) if one.kind == "PrometheusRule"])


def test_the_dashboard_is_one_object_that_both_ways_find(installation: Tree) -> None:
    """The ConfigMap holds the file byte by byte under the sidecar's label, and grafana-operator is told of the same."""
    held = installation.one("ConfigMap", "brakeline-dashboard")
    assert held.content["data"] == {"brakeline.json": (manifests.ROOM / "dashboard.json").read_text()}
    assert held.labels["grafana_dashboard"] == "1"
    reference = installation.one("GrafanaDashboard", "brakeline").spec["configMapRef"]
    assert reference == {"name": held.name, "key": "brakeline.json"}


def test_the_data_source_asks_for_one_namespace_with_least_rights(installation: Tree) -> None:
    """The querier's port for a namespace, by GET, its certificate checked, the token from a Secret by name."""
    source = installation.one("GrafanaDatasource", "brakeline-thanos")
    told = source.spec["datasource"]
    assert told["url"] == "https://thanos-querier.openshift-monitoring.svc:9092"
    assert told["jsonData"]["customQueryParameters"] == f"namespace={source.namespace}"
    assert (told["jsonData"]["httpMethod"], told["jsonData"]["tlsAuthWithCACert"]) == ("GET", True)
    assert "tlsSkipVerify" not in told["jsonData"]
    for entry in source.spec["valuesFrom"]:
        (named,) = entry["valueFrom"].values()
        at = told
        for part in entry["targetPath"].split("."):
            at = at[part]
        assert f"${{{named['key']}}}" in str(at)
    (rule,) = installation.one("Role", "brakeline-grafana").content["rules"]
    assert rule == {"apiGroups": ["metrics.k8s.io"], "resources": ["pods"], "verbs": ["get"]}


@pytest.mark.parametrize("name", ["stopping-distance", "brakeline-pipelines"])
def test_a_scrape_ends_before_the_next_begins(name: str) -> None:
    """Every 30 s, as the rules are evaluated, with less time to answer."""
    endpoint = manifests.monitor(name)
    assert (endpoint["interval"], endpoint["scrapeTimeout"]) == ("30s", "10s")
