"""What a cluster is told of each task: the one table, in the compiled pipeline, which local runners pass over."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from brakeline import images, platform, run
from kfp import components, dsl

from tests.conftest import HOUSE


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Pipeline spec and platform spec."""
    compiled = run.compile_pipeline(
        tmp_path_factory.mktemp("compiled") / "pipeline.yaml", images.for_processes(), "a-commit"
    )
    components.load_component_from_file(str(compiled))
    return list(yaml.safe_load_all(compiled.read_text()))


def told(documents: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The cluster's settings by task."""
    executors = documents[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    return {name.removeprefix("exec-"): settings for name, settings in executors.items()}


def test_every_task_of_the_table_reaches_the_cluster(documents: list[dict[str, Any]]) -> None:
    """Labels, nodes, time and secrets of each task are those of the table, those of the nested pipeline too."""
    found = told(documents)
    assert set(found) == set(platform.TABLE)
    for name, needs in platform.TABLE.items():
        assert found[name]["podMetadata"]["labels"] == {**platform.LABELS, platform.TASK_LABEL: name}
        assert found[name]["activeDeadlineSeconds"] == str(needs.timeout_s)
        assert found[name]["nodeSelector"]["labels"] == platform.NODES
        assert [item["effect"] for item in found[name]["tolerations"]] == ["NoExecute", "NoExecute"]
        secrets = [secret["secretName"] for secret in found[name].get("secretAsEnv", [])]
        assert secrets == [secret for secret, _ in needs.secrets]


def test_a_steps_pod_has_the_labels_of_all_that_is_ours(documents: list[dict[str, Any]]) -> None:
    """Those that the manifests give each object of theirs, and a pod's name and component."""
    base = yaml.safe_load((HOUSE / "manifests" / "base" / "kustomization.yaml").read_text())
    pairs = {key: value for labels in base["labels"] for key, value in labels["pairs"].items()}
    assert "app.kubernetes.io/part-of" in pairs
    for name, settings in told(documents).items():
        labels = settings["podMetadata"]["labels"]
        assert (pairs | {"app.kubernetes.io/name": "brakeline", platform.TASK_LABEL: name}).items() <= labels.items()


def test_resources_and_tries_are_the_tables(documents: list[dict[str, Any]]) -> None:
    """Requests and limits stand with each container, tries again with each task."""
    executors = documents[0]["deploymentSpec"]["executors"]
    for name, needs in platform.TABLE.items():
        resources = executors[f"exec-{name}"]["container"]["resources"]
        assert (resources["resourceCpuRequest"], resources["resourceCpuLimit"]) == needs.cpu
        assert (resources["resourceMemoryRequest"], resources["resourceMemoryLimit"]) == needs.memory
    tries: dict[str, int] = {}
    for component in (documents[0]["root"], *documents[0]["components"].values()):
        for task in component.get("dag", {}).get("tasks", {}).values():
            name = task["componentRef"]["name"].removeprefix("comp-")
            tries[name] = task.get("retryPolicy", {}).get("maxRetryCount", 0)
    assert {name: tries[name] for name in platform.TABLE} == {
        name: needs.tries_again for name, needs in platform.TABLE.items()
    }


def test_secrets_go_where_they_are_needed_and_by_name_alone(documents: list[dict[str, Any]]) -> None:
    """The store's credentials reach what talks to the store alone, and no value is compiled."""
    with_secrets = {name for name, settings in told(documents).items() if "secretAsEnv" in settings}
    assert with_secrets == {"champion", "register", "deploy"}
    assert all(platform.TABLE[name].network for name in with_secrets)
    for name in with_secrets:
        (secret,) = told(documents)[name]["secretAsEnv"]
        assert set(secret) == {"secretName", "keyToEnv", "optional"}
        assert [pair["envVar"] for pair in secret["keyToEnv"]] == list(platform.S3_ENVIRONMENT.values())
    environment = json.dumps([item.get("container", {}).get("env") for item in
                              documents[0]["deploymentSpec"]["executors"].values()])  # fmt: skip
    assert not re.search(r"AWS|TOKEN|SECRET|PASSWORD", environment)


def test_each_step_is_told_its_image_and_a_cluster_its_revision(
    documents: list[dict[str, Any]], tmp_path: Path
) -> None:
    """A revision stands in a cluster's pipeline alone: it would be in the local cache's keys."""
    for executor in documents[0]["deploymentSpec"]["executors"].values():
        if container := executor.get("container"):
            assert {item["name"]: item["value"] for item in container["env"]} == {
                "BRAKELINE_IMAGE": container["image"],
                "BRAKELINE_REVISION": "a-commit",
            }
    local = run.compile_pipeline(tmp_path / "pipeline.yaml", images.for_processes())
    assert "BRAKELINE_REVISION" not in local.read_text()


def test_the_platform_spec_is_the_published_one(documents: list[dict[str, Any]]) -> None:
    """Where the official extension is installed, its message takes every task's settings whole."""
    pb = pytest.importorskip("kfp.kubernetes.kubernetes_executor_config_pb2", reason="kfp-kubernetes is not installed")
    from google.protobuf import json_format

    for settings in told(documents).values():
        json_format.ParseDict(settings, pb.KubernetesExecutorConfig())


def test_a_task_that_the_table_does_not_know_is_an_error() -> None:
    """No task runs on settings that nobody wrote."""
    with pytest.raises(KeyError):
        platform.settle(dance=dsl.PipelineTask)
