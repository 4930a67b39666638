"""Prometheus on a volume, with the rules of the manifests' PrometheusRule, which is mounted, and this image's settings.

BRAKELINE_RULES_FASTER divides every time in both, for a test of what takes hours; 1 unless it is set.
"""

import http.client
import os
import sys
from pathlib import Path

import yaml

from . import rules, volume

PORT = 9090
_PROGRAM = "/usr/bin/prometheus"
_MANIFEST = Path("/rules.yaml")
_SETTINGS = Path("/opt/brakeline/prometheus.yml")
_RULES, _MADE = Path("/tmp/rules.yml"), Path("/tmp/prometheus.yml")  # noqa: S108  the container's own
_DATA = volume.VOLUME / "prometheus"
_KEPT_FOR, _KEPT_AT_MOST = "15d", "2GB"
# How long a series that is not read any more counts as there, Prometheus' own default.
_LOOKBACK = "5m"


def start() -> None:
    """Become Prometheus, which keeps the claim: it would let another one write to its data (found in 2.53)."""
    os.set_inheritable(volume.claim(), True)
    volume.own(_DATA).mkdir(exist_ok=True)
    faster = _faster()
    try:
        _RULES.write_text(yaml.safe_dump(rules.rules(_MANIFEST.read_text(encoding="utf-8"), faster)), encoding="utf-8")
    except (OSError, ValueError, yaml.YAMLError) as error:
        sys.exit(f"{_MANIFEST}: {error}; mount manifests/base/monitoring/rules.yaml there")
    settings = yaml.safe_load(_SETTINGS.read_text(encoding="utf-8"))
    times = settings["global"]
    settings["global"] = {name: rules.shorter(time, faster) for name, time in times.items()}
    _MADE.write_text(yaml.safe_dump(settings), encoding="utf-8")
    options = [
        f"--config.file={_MADE}", f"--storage.tsdb.path={_DATA}", f"--storage.tsdb.retention.time={_KEPT_FOR}",
        f"--storage.tsdb.retention.size={_KEPT_AT_MOST}", f"--web.listen-address=0.0.0.0:{PORT}",
        f"--query.lookback-delta={rules.shorter(_LOOKBACK, faster)}",
    ]  # fmt: skip
    os.execv(_PROGRAM, [_PROGRAM, *options])


def ask() -> None:
    """End with 0 if it is ready: its data is read, its rules are judged."""
    asked = http.client.HTTPConnection("127.0.0.1", PORT, timeout=2)
    try:
        asked.request("GET", "/-/ready")
        status = asked.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        sys.exit(f"Prometheus does not answer: {error}")
    if status != http.HTTPStatus.OK:
        sys.exit(f"Prometheus answers {status}")


def _faster() -> float:
    told = os.environ.get("BRAKELINE_RULES_FASTER") or "1"
    try:
        faster = float(told)
    except ValueError:
        faster = 0.0
    if not 1 <= faster <= 100:
        sys.exit(f"BRAKELINE_RULES_FASTER: found {told}, allowed a number from 1 to 100")
    return faster


if __name__ == "__main__":
    {"start": start, "ask": ask}[sys.argv[1]]()
