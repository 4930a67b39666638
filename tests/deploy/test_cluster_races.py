"""Deployments that are killed, that meet each other or what others made: what was proven is what is gone back to."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time

import pytest
from brakeline_deploy.target import Overtaken
from stepkit.errors import ServiceUnavailable

from tests.conftest import BIN
from tests.deploy.conftest import Place
from tests.deploy.kubernetes_api import NAMESPACE
from tests.deploy.releases import NAME

pytestmark = pytest.mark.parametrize("product", ["rhoai-3.5"])


def until(place: Place, uri: str) -> None:
    """Wait until the object names a storage URI."""
    deadline = time.monotonic() + 20
    while place.uri != uri:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_deploy_killed_before_its_proof_is_no_place_to_go_back_to(place: Place) -> None:
    """SIGKILL between apply and proof: the next call knows the version as unproven and goes back past it."""
    one, two, three = place.release("1"), place.release("2", 3.0), place.release("3", 4.0)
    place.roll_out(one)
    place.controller.slow_s = 60.0
    words = [BIN / "brakeline-deploy", "apply", *two.words(), "--endpoint", place.folder / "endpoint",
             "--model-store", f"kserve://{NAMESPACE}/{NAME}"]  # fmt: skip
    environment = {**os.environ, "KUBECONFIG": str(place.kubeconfig)}
    child = subprocess.Popen([str(word) for word in words], env=environment, stderr=subprocess.DEVNULL)
    until(place, two.uri)
    child.send_signal(signal.SIGKILL)
    child.wait(10)
    standing = place.standing()
    assert (standing.version, standing.proven, standing.previous) == ("2", "1", "1")
    place.controller.failing[three.uri] = "no"
    with pytest.raises(ServiceUnavailable):
        place.roll_out(three, patience_s=1)
    assert place.uri == one.uri
    assert (place.standing().version, place.standing().proven) == ("1", "1")


def test_a_rollback_after_a_killed_deploy_restores_what_was_proven(place: Place) -> None:
    """The object names an unproven version: rollback leads to the proven one, not to the one before that."""
    one, two, three = place.release("1"), place.release("2", 3.0), place.release("3", 4.0)
    place.roll_out(one)
    place.roll_out(two)
    with place.target() as target, pytest.MonkeyPatch.context() as patched:
        patched.setattr(target, "prove", lambda _: os.abort)
        target.reach()
        target.hold()
        from brakeline_deploy import rollout

        with rollout.admitted(three.registered, three.verdict, three.model) as release:
            target.put(release)
    assert place.uri == three.uri
    with place.target() as target:
        assert target.roll_back("it was killed")["version"] == "2"
    assert place.uri == two.uri
    assert place.standing().previous == "1"


def test_a_deploy_that_is_overtaken_says_so_and_restores_nothing(place: Place) -> None:
    """Another deployment changes the service meanwhile: the first ends with 75, and the other's version stays."""
    one, two, three = place.release("1"), place.release("2", 3.0), place.release("3", 4.0)
    place.roll_out(one)
    place.controller.failing[two.uri] = "slow disk"
    ended: list[BaseException] = []

    def first() -> None:
        try:
            place.roll_out(two, patience_s=30)
        except Overtaken as error:
            ended.append(error)

    thread = threading.Thread(target=first)
    thread.start()
    until(place, two.uri)
    done = place.apply(three)
    thread.join(30)
    assert done.code == 0, done.stderr
    assert '"unproven_found"' in done.stderr
    assert "to version 3; what they did stands" in str(ended[0])
    assert place.uri == three.uri
    assert (place.standing().version, place.standing().previous) == ("3", "1")


def test_a_service_made_by_others_gets_its_own_values_back(place: Place) -> None:
    """A service that was there, and never proven by us, is as it was after a version failed on it."""
    one = place.release("1")
    theirs = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": NAME, "labels": {"team": "brakes", "opendatahub.io/dashboard": "false"}},
        "spec": {"predictor": {"minReplicas": 2, "model": {"modelFormat": {"name": "onnx"}, "storageUri": "s3://a/b"}}},
    }
    place.api.apply(NAME, theirs, "dashboard", force=False, dry_run=False)
    place.controller.failing[one.uri] = "no"
    with pytest.raises(ServiceUnavailable):
        place.roll_out(one, patience_s=1, take_over=True)
    live = place.live()
    assert live["spec"] == theirs["spec"]
    assert live["metadata"]["labels"] == theirs["metadata"]["labels"]  # type: ignore[index]
    assert not [key for key in live["metadata"].get("annotations", {}) if key.startswith("brakeline/")]


def test_the_same_version_again_changes_nothing_to_go_back_to(place: Place) -> None:
    """A retried task applies its version again: it serves, and the version before it is the same as ever."""
    one, two = place.release("1"), place.release("2", 3.0)
    for made in (one, two, two):
        assert place.roll_out(made)["values_proven"] == 4
    assert (place.standing().version, place.standing().previous) == ("2", "1")
