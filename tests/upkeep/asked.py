"""One call of doctor: its checks by name, held to what every call promises."""

import json
from pathlib import Path
from typing import Any

from brakeline.cli import app
from typer.testing import CliRunner

from tests.orchestrator import object_store
from tests.upkeep.services import TOKEN

NAMES = (
    *("container engine", "images", "state folder", "certificates", "token", "pipelines API", "rights: pipelines"),
    *("rights: deploy", "model registry", "bucket", "clock"),
)


def doctor(state: Path, *words: str) -> tuple[int, dict[str, dict[str, Any]]]:
    done = CliRunner().invoke(app, ["doctor", "--state", str(state), "--json", "--timeout-s", "0.5", *words])
    told = json.loads(done.stdout)
    checks = {check["name"]: check for check in told["checks"]}
    assert tuple(checks) == NAMES
    assert told["failed"] == sum(check["status"] == "failed" for check in checks.values())
    assert all(check["found"] and (check["todo"] or check["status"] != "failed") for check in checks.values())
    secrets = (TOKEN, object_store.SECRET_KEY, object_store.ACCESS_KEY)
    assert not [secret for secret in secrets if secret in done.output]
    return done.exit_code, checks


def failed(checks: dict[str, dict[str, Any]]) -> list[str]:
    return [name for name, check in checks.items() if check["status"] == "failed"]
