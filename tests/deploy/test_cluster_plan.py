"""Plans and trials on a cluster: a diff that changes nothing, a canary where there is one, a plain no elsewhere."""

from __future__ import annotations

import json
from typing import Any

import pytest
from stepkit.errors import Refused, ServiceUnavailable

from tests.deploy.conftest import Place
from tests.deploy.kubernetes_api import PLURAL
from tests.deploy.releases import NAME

only = pytest.mark.parametrize


@only("product", ["rhoai-2.22"])
def test_a_plan_is_a_diff_and_changes_nothing(place: Place) -> None:
    """The cluster's own dry run, as a unified diff of YAML; computed where the account may not ask for one."""
    one, two = place.release("1"), place.release("2", 3.0)
    first = place.deploy("plan", *one.words())
    assert first.code == 0, first.stderr
    assert not place.api.objects
    assert (first.result["now"], first.result["then"], first.result["changes"]) == (None, "1", True)
    place.roll_out(one)
    before = place.live()
    asked = place.deploy("plan", *two.words()).result
    place.api.role[PLURAL].discard("patch")
    computed = place.deploy("plan", *two.words())
    assert '"plan_computed"' in computed.stderr
    for told in (asked, computed.result):
        assert f"-      storageUri: {one.uri}\n+      storageUri: {two.uri}\n" in told["diff"]
        assert "-    brakeline/version: '1'\n" in told["diff"]
        assert "+    brakeline/version: '2'\n" in told["diff"]
        assert "minReplicas" not in [line[1:].strip() for line in told["diff"].splitlines() if line[0] in "+-"]
    assert place.live() == before


@only("product", ["rhoai-2.22"])
def test_a_plan_of_what_serves_has_no_diff(place: Place) -> None:
    """Applied already, nothing would change, and the plan says so."""
    one = place.release("1")
    place.roll_out(one)
    told = place.deploy("plan", *one.words()).result
    assert (told["changes"], told["diff"]) == (False, "")


@only("product", ["rhoai-3.5"])
def test_a_canary_gets_a_share_and_is_proven_by_it(place: Place) -> None:
    """Some requests are answered by the canary, the golden one among them; the version beside it keeps serving."""
    one, two = place.release("1"), place.release("2", 3.0)
    with pytest.raises(Refused, match="a canary stands beside a proven version"):
        place.try_canary(two, 50)
    place.roll_out(one)
    done = place.apply(two, "--canary-percent", "50")
    assert done.code == 0, done.stderr
    assert (done.result["version"], done.result["canary"], done.result["percent"]) == ("1", "2", 50)
    (canary,) = place.live()["spec"]["canary"]
    assert (canary["trafficPercent"], canary["predictor"]["model"]["storageUri"]) == (50, two.uri)
    assert place.uri == one.uri
    assert place.deploy("status").result["canary"] == "2"
    back = place.roll_back()
    assert (back["version"], back["instead_of"]) == ("1", "2")
    assert "canary" not in place.live()["spec"]
    assert place.standing().canary is None
    place.try_canary(two, 10)
    place.roll_out(two)
    assert "canary" not in place.live()["spec"]
    assert (place.uri, place.standing().previous) == (two.uri, "1")


@only("product", ["rhoai-3.5"])
def test_a_canary_that_the_controller_ignores_is_removed(place: Place) -> None:
    """The schema has the field and nobody acts on it: 69 says so, and the service is as before."""
    one, two = place.release("1"), place.release("2", 3.0)
    place.roll_out(one)
    place.controller.ignores_canaries = True
    with pytest.raises(ServiceUnavailable, match="tells of no canary of this name"):
        place.try_canary(two, 50, patience_s=1)
    assert "canary" not in place.live()["spec"]
    assert place.standing().proven == "1"


@only("product", ["rhoai-2.22"])
def test_a_canary_is_refused_where_the_field_would_be_ignored(place: Place) -> None:
    """KServe before 0.20 has no canary in raw mode: 65 before anything changes, as a shadow on any cluster."""
    one, two = place.release("1"), place.release("2", 3.0)
    place.roll_out(one)
    before = place.live()
    for words, reason in ((("--canary-percent", "10"), "no spec.canary, which KServe 0.20 brought"),
                          (("--shadow",), "has no slot for one and would ignore it")):  # fmt: skip
        done = place.apply(two, *words)
        assert done.code == 65
        assert reason in done.error["message"]
    assert place.live() == before


def test_the_service_is_as_the_platform_wants_it(place: Place) -> None:
    """Raw mode, auth, visibility and the registry's ids where the dashboard looks for them; valid on every release."""
    made = place.release("7", registered_model_id="3", model_version_id="12", registry_name="registry")
    done = place.deploy("apply", *made.words(), "--endpoint", place.folder / "endpoint",
                        query="?runtime=ours&account=models-reader&exposed=false")  # fmt: skip
    assert done.code == 0, done.stderr
    live = place.live()
    labels, annotations = live["metadata"]["labels"], live["metadata"]["annotations"]
    lineage = {
        key: labels[f"modelregistry.opendatahub.io/{key}"]
        for key in ("registered-model-id", "model-version-id", "name")
    }
    assert lineage == {"registered-model-id": "3", "model-version-id": "12", "name": "registry"}
    assert "networking.kserve.io/visibility" not in labels
    assert annotations["serving.kserve.io/deploymentMode"] in ("RawDeployment", "Standard")
    assert annotations["security.opendatahub.io/enable-auth"] == "true"
    predictor = live["spec"]["predictor"]
    assert (predictor["model"]["runtime"], predictor["serviceAccountName"]) == ("ours", "models-reader")
    assert [entry["manager"] for entry in live["metadata"]["managedFields"]] == ["brakeline-deploy"]


@only("product", ["rhoai-2.22"])
def test_the_pipelines_own_uri_is_the_storage_uri(place: Place) -> None:
    """In a run on a cluster the model's URI comes with the task, where the registration has none that lasts."""
    made = place.release("1", uri="/somewhere/local")
    place.controller.models["s3://artifacts/run-1/model/"] = made.model  # a folder's, as KServe lists it
    listed: dict[str, Any] = {"uri": "s3://artifacts/run-1/model", "metadata": {}}
    message = {"inputs": {"artifacts": {"model": {"artifacts": [listed]}}}}
    done = place.apply(made, "--executor-input", json.dumps(message))
    assert done.code == 0, done.stderr
    assert place.uri == "s3://artifacts/run-1/model/"
    assert place.api.get(NAME)["metadata"]["annotations"]["brakeline/sha256"] == made.sha256
