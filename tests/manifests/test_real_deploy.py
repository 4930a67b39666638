"""The deploy step at a real API server: field managers, dry runs, versions, authorization; real servers as pods."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from brakeline_deploy.kube import Conflict, Denied
from stepkit.errors import Refused, ServiceUnavailable

from tests.deploy.conftest import POD_TOKEN, Place
from tests.deploy.controller import Controller, at_work
from tests.deploy.releases import NAME
from tests.manifests import operators, trees
from tests.manifests.cluster import APPLY, Cluster
from tests.manifests.elsewhere import OURS

pytestmark = pytest.mark.slow

SERVICES = f"/apis/serving.kserve.io/v1beta1/namespaces/{OURS}/inferenceservices"
ACCOUNTS = (operators.RUNNER, "brakeline-deploy")
VALUES: dict[str, Any] = {
    "apiVersion": "serving.kserve.io/v1beta1",
    "kind": "InferenceService",
    "metadata": {"name": NAME},
    "spec": {"predictor": {"model": {"modelFormat": {"name": "onnx"}}}},
}


@dataclass
class Services:
    """The InferenceServices of a real API server, as administrator and controllers have them."""

    cluster: Cluster

    def find(self, name: str) -> dict[str, Any] | None:
        """One by its name, or None."""
        answer = self.cluster.ask("GET", f"{SERVICES}/{name}")
        return dict(answer.json()) if answer.is_success else None

    def get(self, name: str) -> dict[str, Any]:
        """One that is there."""
        return self.cluster.made("GET", f"{SERVICES}/{name}")

    def tell(self, name: str, status: dict[str, Any]) -> None:
        """What the controller writes into the status, if that is news; whatever it was before is gone."""
        found = self.find(name)
        if found is not None and found.get("status") != status:
            answer = self.cluster.ask("PUT", f"{SERVICES}/{name}/status", found | {"status": status})
            # Written in between by others, or gone by now: the controller looks again.
            assert answer.status_code in (200, 404, 409), answer.text

    def apply(self, name: str, wanted: dict[str, Any], manager: str, *, force: bool = False) -> dict[str, Any]:
        """Another field manager's apply."""
        query = {"fieldManager": manager, "fieldValidation": "Strict", "force": str(force).lower()}
        return self.cluster.made("PATCH", f"{SERVICES}/{name}", wanted, kind=APPLY, **query)

    def clear(self) -> None:
        """Delete all."""
        self.cluster.made("DELETE", SERVICES)
        operators.until(lambda: not self.cluster.made("GET", SERVICES)["items"])

    def managers(self) -> dict[str, dict[str, Any]]:
        """Who manages which fields of the specification's predictor, without the status's writer."""
        entries = self.get(NAME)["metadata"]["managedFields"]
        return {
            entry["manager"]: entry["fieldsV1"].get("f:spec", {}).get("f:predictor", {})
            for entry in entries
            if entry.get("subresource") != "status"
        }


@pytest.fixture(params=ACCOUNTS)
def account(request: pytest.FixtureRequest) -> str:
    """Each account that deploys, with its own token."""
    return str(request.param)


@pytest.fixture
def place(installed: Cluster, overlay: str, account: str, tmp_path: Path) -> Iterator[Place]:
    """The cluster as the step meets it, with nothing served yet; afterwards the overlay's service is there again."""
    services = Services(installed)
    services.clear()
    (tmp_path / "token").write_text(POD_TOKEN)
    with ExitStack() as stack:
        controller = stack.enter_context(at_work(Controller(services, NAME, tmp_path, {}, tmp_path / "token")))
        kubeconfig = installed.kubeconfig(installed.token_of(OURS, account), OURS)
        yield Place(services, controller, tmp_path, kubeconfig)
    services.clear()
    done = operators.applied(installed, f"overlays/{overlay}")
    assert done.code == 0, done.stderr


only = pytest.mark.parametrize
DEPLOYER = only("account", ["brakeline-deploy"])


def test_a_version_is_applied_proven_and_rolled_back(place: Place) -> None:
    """With each account's own token: apply, the next, roll back; only the fields that the step states are its own."""
    one, two = place.release("1", 2.0), place.release("2", 3.0)
    for made, before in ((one, None), (two, "1")):
        done = place.apply(made)
        assert done.code == 0, done.stderr
        assert (done.result["values_proven"], done.result["before"], place.uri) == (4, before, made.uri)
    back = place.deploy("rollback", "--why", "it brakes late")
    assert back.code == 0, back.stderr
    assert (back.result["version"], back.result["instead_of"], place.uri) == ("1", "2", one.uri)
    assert list(place.api.managers()) == ["brakeline-deploy"]


@DEPLOYER
def test_a_plan_is_the_servers_own_dry_run(place: Place) -> None:
    """The diff is of what the server would store, defaults among it, and the object keeps its version."""
    one, two = place.release("1"), place.release("2", 3.0)
    first = place.deploy("plan", *one.words())
    assert (first.code, first.result["changes"]) == (0, True), first.stderr
    assert place.api.find(NAME) is None
    place.roll_out(one)
    before = place.live()["metadata"]["resourceVersion"]
    told = place.deploy("plan", *two.words()).result
    assert f"-      storageUri: {one.uri}\n+      storageUri: {two.uri}\n" in told["diff"]
    assert place.deploy("plan", *one.words()).result["changes"] is False
    assert place.live()["metadata"]["resourceVersion"] == before


@DEPLOYER
def test_fields_of_others_conflict_and_are_taken_over_on_demand(place: Place) -> None:
    """A real server's conflict: manager and field are named, nothing is changed; `--take-over` makes it ours."""
    one, two = place.release("1"), place.release("2", 3.0)
    place.roll_out(one)
    theirs = json.loads(json.dumps(VALUES))
    theirs["spec"]["predictor"]["model"]["storageUri"] = "s3://theirs/model"
    place.api.apply(NAME, theirs, "kubectl-edit", force=True)
    with pytest.raises(Conflict, match=r"kubectl-edit.*--take-over") as raised:
        place.roll_out(two)
    assert ".spec.predictor.model.storageUri" in str(raised.value.facts["conflicts"])
    assert place.uri == "s3://theirs/model"
    assert place.roll_out(two, take_over=True)["values_proven"] == 4
    assert "f:storageUri" not in place.api.managers().get("kubectl-edit", {}).get("f:model", {})


@DEPLOYER
def test_what_never_comes_up_is_gone_back_from_with_the_pods_reasons(place: Place) -> None:
    """The version before serves again, and the error has the words of a pod that is really listed."""
    one, two = place.release("1"), place.release("2", 3.0)
    place.roll_out(one)
    place.controller.failing[two.uri] = "the model does not load"
    with (
        a_pod_that_waits(place.api.cluster),
        pytest.raises(ServiceUnavailable, match="ImagePullBackOff: no such image"),
    ):
        place.roll_out(two, patience_s=1)
    assert place.uri == one.uri
    assert (place.standing().version, place.standing().proven) == ("1", "1")


@DEPLOYER
def test_a_first_version_that_fails_leaves_nothing(place: Place) -> None:
    """The very object that was made is deleted, by its uid."""
    one = place.release("1")
    place.controller.failing[one.uri] = "out of disk"
    with pytest.raises(ServiceUnavailable, match="out of disk"):
        place.roll_out(one, patience_s=1)
    assert place.api.find(NAME) is None


@only("account", [operators.RUNNER])
def test_a_right_that_is_missing_is_named(place: Place, installed: Cluster, overlay: str) -> None:
    """Without `patch` the server's own words are told, with who may not do what where."""
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{OURS}/roles/{operators.RUNNER}"
    role = installed.made("GET", path)
    for rule in role["rules"]:
        if rule["resources"] == ["inferenceservices"]:
            rule["verbs"] = ["create", "get", "list", "delete"]
    installed.made("PUT", path, role)
    try:
        one = place.release("1")
        operators.until(lambda: refusal(lambda: place.roll_out(one)))
        with pytest.raises(Denied, match=rf"{operators.RUNNER}.* cannot patch resource .*{OURS}"):
            place.roll_out(one)
    finally:
        operators.reconcile(installed, overlay)


def refusal(call: Callable[[], Any]) -> bool:
    """Whether a call is denied."""
    try:
        call()
    except Denied:
        return True
    return False


@DEPLOYER
def test_a_canary_is_tried_where_the_schema_has_one(place: Place, overlay: str) -> None:
    """3.5's schema takes it, and a share of requests proves it; 2.22's refuses it, by the server's own dry run."""
    one, two = place.release("1"), place.release("2", 3.0)
    place.roll_out(one)
    if overlay == "rhoai-2.22":
        with pytest.raises(Refused, match=r"no spec\.canary"):
            place.try_canary(two, 50)
        return
    place.try_canary(two, 50)
    (canary,) = place.live()["spec"]["canary"]
    assert (canary["trafficPercent"], place.uri) == (50, one.uri)
    assert place.roll_back()["instead_of"] == "2"
    assert "canary" not in place.live()["spec"]


@DEPLOYER
def test_manifests_and_deployments_share_the_service(place: Place, overlay: str) -> None:
    """Deployed over what the manifests made, without a conflict; applied again, these leave the version alone."""
    tree = trees.tree(f"overlays/{overlay}")
    of_ours = [one.content for one in tree.of("InferenceService")] or [VALUES]
    for content in of_ours:
        place.api.apply(NAME, content, "manifests")
    one = place.release("1")
    done = place.apply(one)
    assert done.code == 0, done.stderr
    assert set(place.api.managers()) == {"manifests", "brakeline-deploy"}
    for content in of_ours:
        place.api.apply(NAME, content, "manifests")
    assert place.uri == one.uri
    assert place.deploy("status").result["proven"] == "1"


class a_pod_that_waits:  # noqa: N801  reads as a sentence
    """A pod of the service, for the time of a block, whose image is not there."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster, self._path = cluster, f"/api/v1/namespaces/{OURS}/pods"

    def __enter__(self) -> None:
        container = {"name": "kserve-container", "image": "registry.invalid/none"}
        labels = {"serving.kserve.io/inferenceservice": NAME}
        content = {"metadata": {"name": "waits", "labels": labels}, "spec": {"containers": [container]}}
        made = self._cluster.made("POST", self._path, content)
        waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
        told = {
            "name": "kserve-container",
            "state": waiting,
            "image": "",
            "imageID": "",
            "ready": False,
            "restartCount": 0,
        }
        self._cluster.made("PUT", f"{self._path}/waits/status", made | {"status": {"containerStatuses": [told]}})

    def __exit__(self, *_: object) -> None:
        self._cluster.made("DELETE", f"{self._path}/waits")
