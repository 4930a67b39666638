"""compose.s3.yaml as it is written: hardened, beside the store alone, no secret in it, options that there are."""

import re
from typing import Any

import pytest
import yaml

from tests.conftest import HOUSE, command

SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((HOUSE / "compose.s3.yaml").read_text())["services"]
BESIDE = yaml.safe_load((HOUSE / "compose.yaml").read_text())["services"]


@pytest.mark.parametrize("name", SERVICES)
def test_it_is_hardened_and_speaks_to_the_store_on_its_loopback(name: str) -> None:
    """As compose.yaml's services; the store is asked in its own network namespace, so nothing crosses a network."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges"]
    assert re.fullmatch(r"[1-9]\d*:0", service["user"])
    assert service["mem_limit"]
    assert service["cpus"]
    assert service["network_mode"] == "service:seaweedfs"
    assert not {"ports", "networks", "privileged", "entrypoint"} & service.keys()
    assert service["profiles"] == BESIDE["seaweedfs"]["profiles"]


def test_no_secret_is_in_it() -> None:
    """Credentials are a file of the store's volume, mounted to be read."""
    for service in SERVICES.values():
        environment = service["environment"]
        assert not {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"} & environment.keys()
        if environment:
            assert "s3:/s3:ro" in service["volumes"]
            assert environment["AWS_SHARED_CREDENTIALS_FILE"].startswith("/s3/")


def test_options_are_those_that_the_steps_have() -> None:
    """Each verb knows what it is given, and whatever is waited for is there."""
    for name, service in SERVICES.items():
        program, verb, *options = service["command"]
        if program in ("brakeline-register", "brakeline-deploy"):
            described = command(program, verb, "--describe").stdout
            known = set(re.findall(r'"(\w+)": \{"(?:kind|type)"', described))
            assert {word[2:].replace("-", "_") for word in options if word.startswith("--")} <= known, name
        assert service["depends_on"].keys() <= SERVICES.keys() | BESIDE.keys()
