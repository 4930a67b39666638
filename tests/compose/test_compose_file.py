"""compose.yaml as it is written: hardened, pinned, and true to the steps' command lines."""

import re
from typing import Any

import pytest
import yaml
from brakeline import images

from tests.conftest import HOUSE, command

FILE = yaml.safe_load((HOUSE / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
STEPS = {
    name: service
    for name, service in SERVICES.items()
    if str(service.get("command", [""])[0]).removeprefix("brakeline-") in images.STEPS
}
NETWORKED = {"server", "deploy", "smoke", "seaweedfs", "mariadb", "prometheus"}
WAITING = "service_completed_successfully"


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_hardened_and_limited(name: str) -> None:
    """Read-only root, no capabilities, no new privileges, a user with group 0, limits on memory and CPU."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges"]
    assert re.fullmatch(r"[1-9]\d*:0", service["user"])
    assert service["mem_limit"]
    assert service["cpus"]
    assert "privileged" not in service
    assert "entrypoint" not in service


@pytest.mark.parametrize("name", SERVICES)
def test_only_what_needs_a_network_has_one(name: str) -> None:
    """Steps have none, deploy and the services one of their own; no port is open beyond this machine."""
    service = SERVICES[name]
    if name in NETWORKED:
        assert service["networks"]
    else:
        assert service["network_mode"] == "none"
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


@pytest.mark.parametrize("name", SERVICES)
def test_images_come_from_what_was_built(name: str) -> None:
    """Each image is a variable that build.py sets, with a way out where it has not."""
    # A profile's image must not keep the rest from starting, so there the way out stands in the image's place.
    sign = "-" if SERVICES[name].get("profiles") in (["store"], ["monitoring"]) else r"\?"
    assert re.fullmatch(rf"\$\{{BRAKELINE_IMAGE_[A-Z]+:{sign}[^}}]*build\.py[^}}]*\}}", SERVICES[name]["image"])


def test_every_verb_of_the_pipeline_is_in_the_chain() -> None:
    """The chain has the pipeline's tasks: each verb once, and options that the verb has."""
    seen = []
    for name, service in STEPS.items():
        program, verb, *options = service["command"]
        described = command(program, verb, "--describe").stdout
        known = set(re.findall(r'"(\w+)": \{"(?:kind|type)"', described)) | {"reuse"}
        given = {word[2:].replace("-", "_") for word in options if word.startswith("--")}
        assert given <= known, name
        seen.append(f"{program} {verb}")
    pipeline = ["synthesize generate", "synthesize assemble", "synthesize floor", "train search", "train rank",
                "train refine", "train fit", "register champion", "validate validate", "register record",
                "register add", "deploy apply", "register promote"]  # fmt: skip
    assert seen == [f"brakeline-{verb}" for verb in pipeline]


def test_register_and_deploy_wait_for_a_verdict() -> None:
    """Whatever follows in the chain waits until what is before it has ended well."""
    after = {name: [on for on, how in service.get("depends_on", {}).items() if how["condition"] == WAITING]
             for name, service in SERVICES.items()}  # fmt: skip
    assert after["fit"] == ["refine"]
    assert after["validate"] == ["fit", "floor", "champion"]
    assert after["record"] == ["validate"]
    assert after["register"] == ["record"]
    assert after["deploy"] == ["register"]
    assert after["promote"] == ["deploy"]


def test_it_runs_under_either_compose() -> None:
    """Nothing that docker-compose 1.29 or Compose v2 does not know."""
    assert not {"version", "name", "include"} & FILE.keys()
    for service in SERVICES.values():
        assert not {"develop", "pull_policy", "env_file", "build"} & service.keys()
        assert all(how.keys() == {"condition"} for how in service.get("depends_on", {}).values())
