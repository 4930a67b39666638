"""A service that manifests made and go on to own: each manager's fields survive the other's applies."""

from __future__ import annotations

import copy
import itertools
from datetime import UTC, datetime
from typing import Any

import pytest
from brakeline_deploy.kube import Conflict
from brakeline_deploy.target import cluster_place
from stepkit.errors import ServiceUnavailable

from tests.deploy.conftest import Place
from tests.deploy.controller import template
from tests.deploy.kubernetes_api import NAMESPACE
from tests.deploy.ownership import leaves
from tests.deploy.releases import NAME
from tests.manifests import trees
from tests.manifests.trees import OVERLAYS

OURS = "brakeline-deploy"
MODE, AUTH = "serving.kserve.io/deploymentMode", "security.opendatahub.io/enable-auth"
only = pytest.mark.parametrize


def in_git(product: str, **predictor: Any) -> dict[str, Any]:
    """The service as the release's overlay has it, with some of its sizes changed."""
    (overlay,) = [name for name, release in OVERLAYS.items() if release == product]
    content = copy.deepcopy(trees.tree(f"overlays/{overlay}").one("InferenceService", NAME).content)
    content["spec"]["predictor"] |= predictor
    return content


def sync(place: Place, content: dict[str, Any], manager: str = "manifests") -> dict[str, Any]:
    """What `kubectl apply --server-side`, or Argo CD, does: it never forces."""
    return dict(place.api.apply(NAME, content, manager, force=False, dry_run=False))


def owned(place: Place, manager: str) -> set[tuple[str, ...]]:
    """The fields that a manager owns."""
    return set(place.api.objects[NAME].managers.get(manager, set()))


def rollouts(place: Place) -> int:
    """How often the pods were replaced, their first ones included."""
    made = [template(content) for content in place.api.history]
    return 1 + sum(one != other for one, other in itertools.pairwise(made))


def as_it_was(place: Place, before: dict[str, Any]) -> bool:
    """Whether what others set is all there is again."""
    live = place.live()
    told = [[one["spec"], *(one["metadata"].get(key) for key in ("labels", "annotations"))] for one in (live, before)]
    assert told[0] == told[1]
    return [entry["manager"] for entry in live["metadata"]["managedFields"]] == ["manifests"]


@only(("product", "manager"), [("rhoai-2.22", "manifests"), ("rhoai-3.5", "argocd-controller")])
def test_manifests_and_deployments_share_a_service(place: Place, product: str, manager: str) -> None:
    """Deploy, size, deploy, roll back, size: no apply of either conflicts, none takes what is the other's."""
    sync(place, in_git(product), manager)
    one, two = place.release("1"), place.release("2", 3.0)
    assert place.roll_out(one)["before"] is None
    of_git = {path for path in leaves(in_git(product)) if path[0] != "metadata" or path[1] in ("labels", "annotations")}
    assert owned(place, manager) == of_git
    assert not owned(place, OURS) & of_git
    assert ("spec", "predictor", "model", "storageUri") in owned(place, OURS)
    grown = in_git(product, minReplicas=4, maxReplicas=6, scaleTarget=80)
    grown["spec"]["predictor"]["deploymentStrategy"] = {"type": "Recreate"}
    sync(place, grown, manager)
    assert place.uri == one.uri
    place.roll_out(two)
    predictor = place.live()["spec"]["predictor"]
    assert (predictor["minReplicas"], predictor["deploymentStrategy"]) == (4, {"type": "Recreate"})
    assert place.roll_back()["version"] == "1"
    predictor = place.live()["spec"]["predictor"]
    assert (predictor["minReplicas"], predictor["maxReplicas"], place.uri) == (4, 6, one.uri)
    sync(place, in_git(product), manager)
    assert place.live()["spec"]["predictor"]["minReplicas"] == 1
    assert (place.uri, place.standing().version) == (one.uri, "1")


@only("product", ["rhoai-3.5"])
def test_a_canary_stands_beside_a_service_of_git(place: Place, product: str) -> None:
    """The canary is ours, the sizes are Git's; its pods are told of its own version; promoted, all is as before."""
    sync(place, in_git(product, minReplicas=2))
    one, two = place.release("1"), place.release("2", 3.0)
    place.roll_out(one)
    before = rollouts(place)
    place.try_canary(two, 50)
    live = place.live()
    (canary,) = live["spec"]["canary"]
    assert canary["predictor"]["annotations"]["brakeline/version"] == "2"
    assert canary["predictor"]["annotations"]["brakeline/since"]
    assert live["metadata"]["annotations"]["brakeline/version"] == "1"
    assert not [key for key in ("maxReplicas", "scaleTarget", "scaleMetric") if key in canary["predictor"]]
    sync(place, in_git(product, minReplicas=3))
    assert place.live()["spec"]["canary"] == [canary]
    assert rollouts(place) == before, "the canary replaced no pod of the version beside it"
    place.roll_out(two)
    assert "canary" not in place.live()["spec"]
    assert place.live()["spec"]["predictor"]["minReplicas"] == 3


def test_a_first_version_that_fails_gives_the_service_back(place: Place, product: str) -> None:
    """What manifests made is as they made it, to the last annotation, and is theirs alone again."""
    before = sync(place, in_git(product))
    one = place.release("1")
    place.controller.failing[one.uri] = "the model does not load"
    with pytest.raises(ServiceUnavailable, match="the model does not load"):
        place.roll_out(one, patience_s=1)
    assert as_it_was(place, before)
    place.controller.failing.clear()
    assert place.roll_out(one)["values_proven"] == 4


@only("product", ["rhoai-3.5"])
def test_a_service_of_git_is_not_deleted_after_a_deployment_that_was_killed(place: Place, product: str) -> None:
    """A first version that nobody proved, and another that fails: the object stays, and holds nothing of either."""
    before = sync(place, in_git(product))
    killed, failing = place.release("1"), place.release("2", 3.0)
    with place.target() as target:
        from brakeline_deploy import rollout

        target.reach()
        target.hold()
        with rollout.admitted(killed.registered, killed.verdict, killed.model) as release:
            target.put(release)
    assert place.uri == killed.uri
    place.controller.failing[failing.uri] = "no"
    with pytest.raises(ServiceUnavailable):
        place.roll_out(failing, patience_s=1)
    assert as_it_was(place, before)
    assert not [line for line in place.api.asked if line.startswith("DELETE")]


def test_what_git_says_otherwise_is_a_conflict_that_is_told(place: Place, product: str) -> None:
    """Git says that no token is wanted, the deployment says that one is: 65 before anything changes, or by force."""
    content = in_git(product)
    content["metadata"]["annotations"][AUTH] = "false"
    sync(place, content)
    one = place.release("1")
    with pytest.raises(Conflict, match="manifests") as raised:
        place.roll_out(one)
    assert raised.value.facts["conflicts"] == [f'.metadata.annotations.{AUTH}: conflict with "manifests"']
    assert "storageUri" not in place.live()["spec"]["predictor"]["model"]
    place.roll_out(one, take_over=True)
    assert place.live()["metadata"]["annotations"][AUTH] == "true"


@only("product", ["rhoai-3.5"])
def test_the_webhooks_other_word_is_no_conflict(place: Place, product: str) -> None:
    """Git says RawDeployment, the cluster keeps Standard: neither manager conflicts with the other over it."""
    content = in_git(product)
    content["metadata"]["annotations"][MODE] = "RawDeployment"
    sync(place, content)
    place.roll_out(place.release("1"))
    sync(place, content)
    place.roll_out(place.release("2", 3.0))
    assert place.live()["metadata"]["annotations"][MODE] == "Standard"
    assert ("metadata", "annotations", MODE) not in owned(place, OURS)


@only("product", ["rhoai-2.22"])
def test_what_git_said_since_holds_for_a_version_gone_back_to(place: Place, product: str) -> None:
    """Another runtime, and no Route any more: going back changes the version alone."""
    content = in_git(product)
    sync(place, content)
    one, two = place.release("1"), place.release("2", 3.0)
    place.roll_out(one)
    place.roll_out(two)
    content["spec"]["predictor"]["model"]["runtime"] = "another-runtime"
    content["metadata"]["labels"]["networking.kserve.io/visibility"] = "cluster-local"
    sync(place, content)
    assert place.roll_back()["version"] == "1"
    live = place.live()
    assert (live["spec"]["predictor"]["model"]["runtime"], place.uri) == ("another-runtime", one.uri)
    assert live["metadata"]["labels"]["networking.kserve.io/visibility"] == "cluster-local"


@only("product", ["rhoai-2.22"])
def test_pods_are_replaced_once_for_each_version(place: Place, product: str) -> None:
    """What is noted of a version while it serves, and the same version again, replace no pod."""
    sync(place, in_git(product))
    one, two = place.release("1"), place.release("2", 3.0)
    for made, expected in ((one, 2), (one, 2), (two, 3)):
        place.roll_out(made)
        assert rollouts(place) == expected
    place.roll_back()
    assert rollouts(place) == 4
    told = template(place.live())
    assert f'"brakeline/sha256": "{one.sha256}"' in told
    assert "it brakes late" not in told


@only("product", ["rhoai-2.22"])
def test_a_version_is_as_old_as_when_it_first_came(place: Place) -> None:
    """`brakeline/since` is the time of its first deployment, also after it was gone back to or applied again."""
    one, two = place.release("1"), place.release("2", 3.0)
    began = datetime.now(UTC).replace(microsecond=0)

    def since() -> datetime:
        return datetime.fromisoformat(place.live()["metadata"]["annotations"]["brakeline/since"])

    place.roll_out(one)
    first = since()
    assert began <= first <= datetime.now(UTC)
    place.roll_out(two)
    assert since() >= first
    place.roll_back()
    assert since() == first
    place.roll_out(one)
    assert since() == first


@only("product", ["rhoai-2.22"])
def test_the_address_may_name_a_connection(place: Place) -> None:
    """Of a service that no manifests made: the key of the dashboard's connection, by which KServe reads the model."""
    one = place.release("1", uri="s3://models/1")  # registered without its end
    place.controller.models["s3://models/1/"] = one.model
    done = place.deploy(
        "apply", *one.words(), "--endpoint", place.folder / "endpoint", query="?connection=brakeline-s3"
    )
    assert done.code == 0, done.stderr
    model = place.live()["spec"]["predictor"]["model"]
    assert (model["storage"], model["storageUri"]) == ({"key": "brakeline-s3"}, "s3://models/1/")
    assert cluster_place(f"kserve://{NAMESPACE}/{NAME}?connection=c", NAME) == cluster_place(
        f"kserve://{NAMESPACE}?connection=c", NAME
    )
