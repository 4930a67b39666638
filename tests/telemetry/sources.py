"""Metrics of others that rules and dashboard may name, each with its labels and where that can be read."""

from __future__ import annotations

from dataclasses import dataclass

# What the Prometheus operator gives each target of a ServiceMonitor, before the monitor's own relabelling:
# generateServiceMonitorConfig in pkg/prometheus/promcfg.go of prometheus-operator/prometheus-operator. It relabels
# `endpoint` before the monitor's relabellings, so these can drop it. Prometheus itself adds `instance`.
OPERATORS = frozenset({"namespace", "service", "pod", "container", "job", "endpoint", "instance"})


@dataclass(frozen=True)
class Source:
    """Metrics of one program: which labels each has of its own, and where that is written."""

    where: str
    metrics: dict[str, frozenset[str]]
    job: str = ""  # what `job` is in rules; none where the labels are the platform's


PROMETHEUS = Source(
    "https://prometheus.io/docs/concepts/jobs_instances/ and …/docs/prometheus/latest/configuration/alerting_rules/",
    {"up": frozenset(), "ALERTS": frozenset({"alertname", "alertstate", "severity", "namespace"})},
)
# Gauges that a run's end adds 1 to. The operator sets no --collectMetricsFlag, whose default is true.
PIPELINES = Source(
    "red-hat-data-services/data-science-pipelines, branches rhoai-2.22 and rhoai-3.5: "
    "backend/src/apiserver/resource/resource_manager.go",
    {
        "resource_manager_workflow_runs_success": frozenset({"profile", "workflow"}),
        "resource_manager_workflow_runs_failed": frozenset({"profile", "workflow"}),
    },
    job="pipelines",
)
KUBELET = Source(
    "https://kubernetes.io/docs/reference/instrumentation/metrics/",
    {
        "kubelet_volume_stats_available_bytes": frozenset({"namespace", "persistentvolumeclaim"}),
        "kubelet_volume_stats_capacity_bytes": frozenset({"namespace", "persistentvolumeclaim"}),
    },
)
STATE = Source(
    "kubernetes/kube-state-metrics: docs/metrics/policy/resourcequota-metrics.md",
    {"kube_resourcequota": frozenset({"namespace", "resourcequota", "resource", "type"})},
)
SOURCES = (PROMETHEUS, PIPELINES, KUBELET, STATE)
