"""What goes wrong with a cluster: it is told, asked again where that helps, and the version before serves again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from brakeline_deploy.kube import Conflict, Denied
from stepkit.errors import Refused, ServiceUnavailable, StepError, UsageError

from tests.deploy.conftest import Place
from tests.deploy.kubernetes_api import NAMESPACE, PLURAL, Fault
from tests.deploy.releases import NAME

pytestmark = pytest.mark.parametrize("product", ["rhoai-3.5"])
# Of the API's answers: an error, a throttle, nothing, half of it, and a proxy's page in its place.
KINDS = ("500", "429", "reset", "lost", "html")


def pod(reason: str, message: str, **last: Any) -> dict[str, Any]:
    """A pod of the service whose container waits."""
    status = {"name": "kserve-container", "state": {"waiting": {"reason": reason, "message": message}}, **last}
    labels = {"serving.kserve.io/inferenceservice": NAME}
    return {"metadata": {"name": f"{NAME}-predictor-7", "labels": labels}, "status": {"containerStatuses": [status]}}


@pytest.mark.parametrize("method", ["GET", "APPLY"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_passing_fault_changes_nothing_for_the_caller(place: Place, kind: str, method: str) -> None:
    """The call is made again; a change whose answer was lost is known again as one's own, and made once."""
    place.roll_out(place.release("1"))
    place.api.faults.append(Fault(method, kind, 2 if kind == "500" else 1))
    two = place.release("2", 3.0)
    assert place.roll_out(two)["before"] == "1"
    assert place.uri == two.uri
    assert [fault.times for fault in place.api.faults] == [0]
    assert (place.standing().version, place.standing().previous) == ("2", "1")


def test_a_change_whose_every_answer_was_lost_is_taken_back(
    place: Place, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """69 after six tries, though it was made: what was proven serves again, and nothing is said to be of others."""
    monkeypatch.setattr("brakeline_deploy.kube._LONGEST_PAUSE_S", 0.05)
    one = place.release("1")
    place.roll_out(one)
    place.api.faults.append(Fault("APPLY", "lost", 6))
    with pytest.raises(ServiceUnavailable):
        place.roll_out(place.release("2", 3.0))
    assert place.uri == one.uri
    assert (place.standing().version, place.standing().proven) == ("1", "1")
    told = capfd.readouterr().err
    assert '"rolled_back"' in told
    assert "not_rolled_back" not in told
    place.api.faults.append(Fault("APPLY", "500", 6))
    with pytest.raises(ServiceUnavailable):
        place.roll_out(place.release("3", 4.0))
    assert "rolled_back" not in capfd.readouterr().err, "what was not made is not taken back"


def test_an_api_that_stays_down_ends_with_69(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """After some tries it is unavailable, with its own words, and nothing was changed."""
    monkeypatch.setattr("brakeline_deploy.kube._LONGEST_PAUSE_S", 0.05)
    place.api.faults.append(Fault("GET", "500", 99))
    with pytest.raises(ServiceUnavailable, match="request timed out"):
        place.roll_out(place.release("1"))
    assert not place.api.objects


@pytest.mark.parametrize("verb", ["get", "patch", "create"])
def test_a_right_that_is_missing_is_named(place: Place, verb: str) -> None:
    """403 is told as the API tells it, with who may not do what where, and nothing is changed."""
    place.api.role[PLURAL].discard(verb)
    with pytest.raises(Denied, match=f"pipeline-runner-dspa.*cannot {verb}.*{NAMESPACE}"):
        place.roll_out(place.release("1"))
    assert not place.api.objects


def test_fields_of_others_are_told_and_left_alone(place: Place) -> None:
    """Another field manager's storage URI is a conflict, before anything changes; taken over only on demand."""
    place.roll_out(place.release("1"))
    theirs = {"spec": {"predictor": {"model": {"storageUri": "s3://theirs/model"}}}}
    place.api.edit(NAME, "kubectl-edit", theirs)
    two = place.release("2", 3.0)
    with pytest.raises(Conflict, match=r"kubectl-edit.*--take-over") as raised:
        place.roll_out(two)
    assert raised.value.exit_code == 65
    assert raised.value.facts["conflicts"] == ['.spec.predictor.model.storageUri: conflict with "kubectl-edit"']
    assert place.uri == "s3://theirs/model"
    assert place.roll_out(two, take_over=True)["values_proven"] == 4
    assert place.uri == two.uri


@pytest.mark.parametrize("reason", ["ImagePullBackOff", "CrashLoopBackOff"])
def test_what_never_comes_up_is_gone_back_from_with_the_pods_reasons(place: Place, reason: str) -> None:
    """69, with the condition's and the pod's own words; the version before serves again, and is still proven."""
    one, two = place.release("1"), place.release("2", 3.0)
    place.roll_out(one)
    place.controller.failing[two.uri] = "the model does not load"
    place.api.role["pods"] = {"list"}
    ended = {"lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}
    place.api.pods = [pod(reason, "back-off", **ended)]
    with pytest.raises(ServiceUnavailable, match=f"kserve-container: {reason}: back-off, it ended with 137: OOMKilled"):
        place.roll_out(two, patience_s=1)
    assert place.uri == one.uri
    assert (place.standing().version, place.standing().proven) == ("1", "1")


def test_pods_that_may_not_be_listed_are_said_to_be_hidden(place: Place) -> None:
    """Without the right to list pods the error says so, instead of nothing."""
    one = place.release("1")
    place.controller.failing[one.uri] = "out of disk"
    with pytest.raises(ServiceUnavailable, match=r"Ready: False: .*out of disk.*pods cannot be seen.*cannot list"):
        place.roll_out(one, patience_s=1)
    assert not place.api.objects, "a first version that failed leaves nothing behind"


def test_slow_pods_are_waited_for_with_progress(place: Place, capfd: pytest.CaptureFixture[str]) -> None:
    """While nothing is ready the diary says what the service says of itself; then it is proven."""
    place.controller.slow_s = 1.5
    assert place.roll_out(place.release("1"))["values_proven"] == 4
    events = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    told = [event["state"] for event in events if event["event"] == "waiting"]
    assert any("MinimumReplicasUnavailable: starting" in state for state in told)


def test_another_model_behind_the_address_is_no_proof(place: Place) -> None:
    """The service is ready and answers, with another graph: the sha256 tells, and the version before is back."""
    one, two = place.release("1"), place.release("2", 3.0)
    place.roll_out(one)
    place.controller.models[two.uri] = one.model
    with pytest.raises(ServiceUnavailable, match=f"answers with another graph, {one.sha256[:12]}"):
        place.roll_out(two, patience_s=3)
    assert place.uri == one.uri


def test_wrong_answers_are_no_proof(place: Place) -> None:
    """The right graph whose golden request is answered otherwise than recorded: 65, and the version before is back."""
    one, two = place.release("1"), place.release("2", 3.0)
    place.roll_out(one)
    golden = json.loads((two.model / "golden.json").read_text())
    golden["outputs"]["way_m"][0] += 1.0
    (two.model / "golden.json").write_text(json.dumps(golden))
    with pytest.raises(Refused, match=r"way_m, row 0: found 30\.0, allowed 31\.0"):
        place.roll_out(two)
    assert place.uri == one.uri


def test_the_endpoints_token_is_needed_and_never_told(place: Place) -> None:
    """Without the token the guard's refusal is the reason; with it all is well; it is in no word of either."""
    one = place.release("1")
    words = [*one.words(), "--endpoint", place.folder / "endpoint", "--token-file", place.folder / "wrong"]
    (place.folder / "wrong").write_text("not-the-token")
    refused = place.deploy("apply", *words, seconds=3)
    assert refused.code == 69
    assert "answered 401: it wants a token that it accepts, see --token-file" in refused.error["message"]
    token = (place.folder / "token").read_text()
    assert "not-the-token" not in refused.stdout + refused.stderr
    assert token not in refused.stdout + refused.stderr
    done = place.apply(one)
    assert done.code == 0, done.stderr
    assert token not in done.stdout + done.stderr


def test_what_the_cluster_cannot_read_is_refused_before_it_is_asked(place: Place) -> None:
    """A model on this disk is no storage URI; neither is a model without a passed verdict any."""
    made = place.release("1", uri=str(place.folder))
    with pytest.raises(UsageError, match="--storage-uri: found"):
        place.roll_out(made)
    with pytest.raises(StepError, match="did not pass"):
        place.roll_out(place.release("2", passed=False))
    assert not place.api.objects
    assert not [line for line in place.api.asked if line.startswith("PATCH")]
