"""`brakeline doctor`: each prerequisite is found to hold, to fail or to be skipped, with what to do and no secret."""

import base64
import json
import time
from pathlib import Path

import pytest
from brakeline.cli import app
from typer.testing import CliRunner

from tests.orchestrator.object_store import ACCESS_KEY, SECRET_KEY, ObjectStore
from tests.orchestrator.test_recordings import certified
from tests.upkeep import services as stand_in
from tests.upkeep.asked import NAMES, doctor, failed
from tests.upkeep.conftest import named
from tests.upkeep.services import TOKEN, Services

pytestmark = pytest.mark.usefixtures("bare_environment")


def test_where_all_is_well_it_ends_with_0(
    services: Services, s3: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every service is asked for real: rights by review, the bucket by an object that is gone afterwards."""
    monkeypatch.delenv("DOCKER_HOST")
    code, checks = doctor(tmp_path / "state")
    assert (code, failed(checks)) == (0, [])
    assert checks["rights: deploy"]["status"] == checks["bucket"]["status"] == checks["clock"]["status"] == "ok"
    assert "v2beta1 (2.16.1), 2 pipelines" in checks["pipelines API"]["found"]
    asked = {(one["namespace"], one["resource"], one.get("subresource", ""), one["verb"]) for one in services.reviews}
    assert ("distance-prediction", "datasciencepipelinesapplications", "api", "create") in asked
    assert {verb for _, resource, _, verb in asked if resource == "inferenceservices"} == {
        "create",
        "get",
        "patch",
        "delete",
    }
    assert [one for one in s3.requests if one.startswith("PUT /bucket/brakeline/.doctor-")]
    assert s3.objects == {}
    assert not (tmp_path / "state").exists()


def test_the_bucket_is_asked_as_a_file_of_credentials_says(
    s3: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a mounted secret is; where there is neither file nor variable it says which to set."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    found = doctor(tmp_path / "state")[1]["bucket"]
    assert (found["status"], "AWS_SHARED_CREDENTIALS_FILE" in found["found"]) == ("failed", True)
    keys = f"aws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n"
    (tmp_path / "credentials").write_text(f"[default]\n{keys}")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    assert doctor(tmp_path / "state")[1]["bucket"]["status"] == "ok"


def test_where_nothing_is_named_little_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A laptop without cluster or Docker is fine: what is skipped says why, and what would change that."""
    monkeypatch.delenv("DOCKER_HOST")
    code, checks = doctor(tmp_path)
    assert code == 0
    for name in ("container engine", "token", "pipelines API", "rights: pipelines", "rights: deploy", "bucket"):
        assert checks[name]["status"] == "skipped"
        assert checks[name]["todo"]


@pytest.mark.parametrize(
    ("where", "fault", "names", "told"),
    [
        ("healthz", 401, ["pipelines API"], "oc login"),
        ("healthz", "login", ["pipelines API"], "oc login"),
        ("healthz", "page", ["pipelines API"], "oc login"),
        ("healthz", 404, ["pipelines API"], "DSP v2"),
        ("/pipelines", 403, ["pipelines API"], "administrator"),
        ("healthz", "slow", ["pipelines API"], "is the DSPA's API server up"),
        ("healthz", "reset", ["pipelines API"], "is the DSPA's API server up"),
        ("model_registry", 404, ["model registry"], "v1alpha3"),
        ("model_registry", 500, ["model registry"], "log"),
        ("model_registry", "login", ["model registry"], "token"),
        ("model_registry", "reset", ["model registry"], "is the registry up"),
        ("selfsubject", 401, ["rights: pipelines", "rights: deploy"], "oc login"),
        ("selfsubject", "reset", ["rights: pipelines", "rights: deploy"], "is the cluster up"),
        ("selfsubject", "slow", ["rights: pipelines", "rights: deploy"], "is the cluster up"),
        ("selfsubject", "page", ["rights: pipelines", "rights: deploy"], "is the cluster up"),
    ],
)  # fmt: skip
def test_a_service_that_fails_is_named_and_alone(
    where: str,
    fault: int | str,
    names: list[str],
    told: str,
    services: Services,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """69; the others are looked at all the same, and what to do fits the failure."""
    monkeypatch.delenv("DOCKER_HOST")
    services.faults[where] = fault
    code, checks = doctor(tmp_path)
    assert code == 69
    assert failed(checks) == names
    for name in names:
        assert told in checks[name]["todo"]


def test_each_right_that_is_missing_is_named(services: Services, tmp_path: Path) -> None:
    """The administrator is told what to grant."""
    services.allowed -= {("inferenceservices", "", "patch"), ("datasciencepipelinesapplications", "api", "create")}
    _, checks = doctor(tmp_path, "--namespace", "another")
    told = "may not patch on inferenceservices.serving.kserve.io stopping-distance in another"
    assert told in checks["rights: deploy"]["found"]
    assert "may not create on datasciencepipelinesapplications/api" in checks["rights: pipelines"]["found"]
    assert {one["namespace"] for one in services.reviews} == {"another"}


def test_on_2_the_right_is_another_one(services: Services, tmp_path: Path) -> None:
    """What guards the pipelines API of 2.x asks for `get` of its Route, so that is what is looked at there."""
    services.product = ("v1",)
    services.allowed -= {("datasciencepipelinesapplications", "api", "create")}
    assert "get on routes.route.openshift.io ds-pipeline-dspa" in doctor(tmp_path)[1]["rights: pipelines"]["found"]
    services.allowed |= {("routes", "", "get")}
    assert doctor(tmp_path)[1]["rights: pipelines"]["status"] == "ok"
    services.product = ("v2", "v1")
    assert doctor(tmp_path)[1]["rights: pipelines"]["status"] == "failed"


def test_an_expired_token_is_told_before_it_is_refused(services: Services, tmp_path: Path) -> None:
    """A token that says when it ends is read for that, and never shown."""
    for end_s, status in ((time.time() - 60, "failed"), (time.time() + 3600, "ok")):
        claims = base64.urlsafe_b64encode(json.dumps({"exp": end_s}).encode()).decode().rstrip("=")
        (tmp_path / "token").write_text(f"header.{claims}.signature")
        _, checks = doctor(tmp_path)
        assert checks["token"]["status"] == status
        assert claims not in json.dumps(checks)


def test_a_missing_or_empty_token_is_told(services: Services, tmp_path: Path) -> None:
    """The variable and the file are named; what needs the token is skipped or fails with the same words."""
    (tmp_path / "token").write_text("\n")
    code, checks = doctor(tmp_path)
    assert (code, checks["token"]["status"], checks["pipelines API"]["status"]) == (69, "failed", "skipped")
    assert "BRAKELINE_KFP_TOKEN_FILE" in checks["token"]["found"]
    assert "BRAKELINE_REGISTRY_TOKEN_FILE" in checks["model registry"]["found"]
    (tmp_path / "token").unlink()
    assert str(tmp_path / "token") in doctor(tmp_path)[1]["token"]["found"]


def test_a_clock_that_is_off_is_told(services: Services, tmp_path: Path) -> None:
    """By which the services' Date headers say."""
    assert doctor(tmp_path)[1]["clock"]["status"] == "ok"
    services.skew_s = 1000
    assert "s behind that of 127.0.0.1" in doctor(tmp_path)[1]["clock"]["found"]
    services.skew_s = -1000
    assert "s ahead of that of 127.0.0.1" in doctor(tmp_path)[1]["clock"]["found"]


def test_certificates_are_trusted_when_they_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """https with a private authority fails until its bundle is named, and the message says so."""
    server, authority = certified(tmp_path)
    with stand_in.serving(server) as made:
        named(monkeypatch, tmp_path, made)
        _, checks = doctor(tmp_path)
        assert "certificate is not trusted" in checks["pipelines API"]["found"]
        assert "certificate is not trusted" in checks["model registry"]["found"]
        for name in ("KFP", "REGISTRY"):
            monkeypatch.setenv(f"BRAKELINE_{name}_CA", str(authority))
        _, checks = doctor(tmp_path)
    assert (
        checks["pipelines API"]["status"]
        == checks["model registry"]["status"]
        == checks["certificates"]["status"]
        == "ok"
    )
    assert "the next expires on" in checks["certificates"]["found"]


def test_for_people_it_is_a_table(services: Services, tmp_path: Path) -> None:
    """Without --json each line has a status, a name and what was found."""
    services.faults["healthz"] = 404
    done = CliRunner().invoke(app, ["doctor", "--state", str(tmp_path), "--timeout-s", "0.5"])
    assert done.exit_code == 69
    assert [name for name in NAMES if name not in done.stdout] == []
    assert "->" in done.stdout
    assert TOKEN not in done.output
