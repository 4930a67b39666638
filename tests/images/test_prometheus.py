"""The Prometheus of compose, as OpenShift would run a pod: what it takes, what it refuses, and how it ends."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from docker.errors import ContainerError

from tests import engine
from tests.images.store import HARDENED, PYTHON, reference
from tests.images.test_stores import GRACE_S, LISTENING
from tests.telemetry import manifests
from tests.telemetry.prometheus import Prometheus

pytestmark = pytest.mark.slow
RULES, PATIENCE_S = manifests.ROOM / "rules.yaml", 60


@dataclass
class Running:
    """One on a volume of its own."""

    container: Any
    volume: str

    def wait(self) -> Prometheus:
        """Until compose's healthcheck is content."""
        end = time.monotonic() + PATIENCE_S
        while self.container.exec_run([PYTHON, "-m", "brakeline_stores.prometheus", "ask"]).exit_code:
            assert time.monotonic() < end, self.container.logs(tail=20).decode()
            time.sleep(0.2)
        self.container.reload()
        return Prometheus(f"http://127.0.0.1:{self.container.ports['9090/tcp'][0]['HostPort']}")


@contextmanager
def running(**changed: Any) -> Iterator[Running]:
    """A container that is not started yet, hardened; it and its volume are removed at the end."""
    client, image = engine.client(), reference("prometheus")
    volume = client.volumes.create()
    mounted = {volume.name: {"bind": "/state"}, str(RULES): {"bind": "/rules.yaml", "mode": "ro"}}
    settings = {**HARDENED, "mem_limit": "512m", "volumes": mounted, **changed}
    container = client.containers.create(image, ports={"9090/tcp": ("127.0.0.1", None)}, **settings)
    try:
        yield Running(container, volume.name)
    finally:
        container.remove(force=True)
        volume.remove()


@pytest.fixture(scope="module")
def prometheus() -> Iterator[Running]:
    """One that is ready."""
    with running() as made:
        made.container.start()
        made.wait()
        yield made


def refused(rules: Path | None, **environment: str) -> str:
    """What one says that does not start."""
    mounted = {str(rules): {"bind": "/rules.yaml", "mode": "ro"}} if rules else {}
    settings = {**HARDENED, "tmpfs": {"/tmp": "", "/state": "mode=775"}, "environment": environment}
    with pytest.raises(ContainerError) as error:
        engine.client().containers.run(
            reference("prometheus"), volumes=mounted, network_mode="none", remove=True, **settings
        )
    return str(error.value)


def test_it_judges_by_the_manifests_rules_unless_told_otherwise(prometheus: Running) -> None:
    """Every rule of the file that is mounted, with the times that a cluster has."""
    judged = {rule["name"]: rule for rule in prometheus.wait().rules()}
    ours = {rule.name: rule for rule in manifests.rules() if rule.file == RULES.name}
    assert judged.keys() == ours.keys()
    assert all(judged[name]["duration"] == rule.for_s for name, rule in ours.items() if rule.is_alert)


def test_one_port_is_open(prometheus: Running) -> None:
    """Nothing listens but what is published."""
    assert json.loads(prometheus.container.exec_run([PYTHON, "-c", LISTENING]).output) == [9090]


def test_it_stops_in_time_and_starts_on_its_data() -> None:
    """SIGTERM ends it with 0 well within what compose grants; its volume is taken up again, after a kill as well."""
    with running() as made:
        made.container.start()
        made.wait()
        for end in (lambda: made.container.stop(timeout=30), made.container.kill):
            begun = time.monotonic()
            end()
            assert time.monotonic() - begun < GRACE_S
            made.container.start()
            made.wait()
        made.container.stop(timeout=30)
        assert made.container.wait()["StatusCode"] == 0


def test_a_volume_has_one_owner(prometheus: Running) -> None:
    """A second one on the same volume does not start."""
    mounted = {prometheus.volume: {"bind": "/state"}, str(RULES): {"bind": "/rules.yaml", "mode": "ro"}}
    with pytest.raises(ContainerError, match="another store is running on this volume"):
        engine.client().containers.run(
            reference("prometheus"), volumes=mounted, network_mode="none", remove=True, **HARDENED
        )


def test_what_it_cannot_judge_by_is_refused(tmp_path: Path) -> None:
    """No rules, another file, or a factor that is none: it says which, what it found, and what is allowed."""
    tmp_path.chmod(0o755)
    other = tmp_path / "other.yaml"
    other.write_text("kind: ConfigMap\n")
    assert "mount manifests/base/monitoring/rules.yaml there" in refused(None)
    assert "found no PrometheusRule" in refused(other)
    for told in ("0", "fast", "1000"):
        assert f"BRAKELINE_RULES_FASTER: found {told}, allowed" in refused(RULES, BRAKELINE_RULES_FASTER=told)
