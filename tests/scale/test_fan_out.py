"""A thousand shards on a cluster: what grows with them, what does not, and what refuses them."""

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from brakeline import images, platform, run, shards
from brakeline.access import UnusableAccess
from brakeline.cluster_inputs import Wish, parameters
from brakeline.handed import ARGUMENT_LIMIT_BYTES

from tests.conftest import command
from tests.scale.fan_out import ARGO_LIMIT_BYTES, FanOut

# Loops, who collects them, and by which output.
LOOPS = {"synthesize": ("assemble", "part"), "search": ("rank", "results"), "refine": ("fit", "results")}
# A pipeline version is kept by the API server up to 32 MiB (MaxFileLength, backend/src/apiserver/common/const.go), and
# what becomes a workflow of it has to stay below etcd's limit with all of its status.
IR_ROOM_BYTES = 200_000
SMALL = Wish(
    store="s3://bucket/brakeline", registry="https://models.test.invalid", model_store="kserve://distance-prediction",
    recorded="s3://bucket/stops.csv",
)  # fmt: skip


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run.compile_pipeline(tmp_path_factory.mktemp("compiled") / "pipeline.yaml", images.for_processes())


@pytest.fixture(scope="module")
def spec(compiled: Path) -> dict[str, Any]:
    return dict(next(yaml.load_all(compiled.read_text(), yaml.CSafeLoader)))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What steps really tell of one artifact of a shard, with the longest numbers that they may hold."""
    part = tmp_path_factory.mktemp("shard") / "part"
    done = command("brakeline-synthesize", "generate", "--part", part, "--rows", "64", "--holdout-rows", "64",
                   "--faulty-rows", "64", "--scenario", "motorway")  # fmt: skip
    told = done.result["artifacts"]["part"]["metadata"]
    long = {"shard": "127/128", "seed": 2**32 - 1, "bytes": 10**11}
    rows = dict.fromkeys((name for name in told if name.endswith("_rows")), 10**9)
    results = {"shard": "127/128", "trials": 10_000, "sha256": told["sha256"], "bytes": 10**9}
    return {"part": {**told, **long, **rows}, "results": results}


def given(wish: Wish, spec: dict[str, Any]) -> dict[str, Any]:
    return parameters(wish, spec["root"]["inputDefinitions"]["parameters"])


def test_the_pipeline_does_not_grow_with_its_shards(compiled: Path, spec: dict[str, Any]) -> None:
    """Loops run over lists that a run is given: one small version serves four and the most allowed."""
    assert compiled.stat().st_size < IR_ROOM_BYTES
    loops = {name: task for name, task in spec["root"]["dag"]["tasks"].items() if name.startswith("for-loop")}
    items = [task["parameterIterator"]["items"] for task in loops.values()]
    assert items == [{"inputParameter": f"pipelinechannel--{name}"} for name in shards.LOOPS]
    for task, name in zip(loops.values(), shards.LOOPS, strict=True):
        source = task["inputs"]["parameters"][f"pipelinechannel--{name}"]
        assert source == {"componentInputParameter": name}
    few, many = (given(replace(SMALL, shards=count, trials=10_000), spec) for count in (4, shards.MOST_ON_A_CLUSTER))
    assert [len(few[name]) for name in shards.LOOPS] == [4, 4, 4]
    assert [len(many[name]) for name in shards.LOOPS] == [128, 128, 4]


def test_what_runs_at_once_is_limited(spec: dict[str, Any]) -> None:
    """Each loop tells the cluster how many iterations it works on at once; it is no input of a run."""
    policies = [task.get("iteratorPolicy") for task in spec["root"]["dag"]["tasks"].values()
                if "parameterIterator" in task]  # fmt: skip
    assert policies == 3 * [{"parallelismLimit": platform.AT_ONCE}]


def test_a_thousand_shards_list_is_handed_to_a_run(spec: dict[str, Any]) -> None:
    """As text, a run's inputs with a thousand shards in each loop fit the argument that a driver takes them by."""
    lists = shards.lists(1_000, 10_000, 999)
    assert [len(parts) for parts in lists.values()] == 3 * [1_000]
    assert len(json.dumps({"parameterValues": lists})) < ARGUMENT_LIMIT_BYTES // 2


@pytest.mark.parametrize("looped", LOOPS)
def test_a_cluster_can_collect_as_many_shards_as_are_allowed(
    looped: str, spec: dict[str, Any], made: dict[str, dict[str, Any]]
) -> None:
    """What collects them is handed one argument below the limit, with room to spare; a thousand would not go in."""
    collector, output = LOOPS[looped]
    loop = FanOut(spec, looped, collector, output, made[output])
    assert len(loop.executor_input(shards.MOST_ON_A_CLUSTER)) < 0.9 * ARGUMENT_LIMIT_BYTES
    assert len(loop.executor_input(1_000)) > ARGUMENT_LIMIT_BYTES


def test_the_argument_of_a_thousand_is_refused_by_the_system(
    spec: dict[str, Any], made: dict[str, dict[str, Any]]
) -> None:
    """It is no guess: a program cannot be started with it."""
    loop = FanOut(spec, "synthesize", "assemble", "part", made["part"])
    subprocess.run(["/bin/true", "--executor_input", loop.executor_input(shards.MOST_ON_A_CLUSTER)], check=True)
    with pytest.raises(OSError, match="Argument list too long"):
        subprocess.run(["/bin/true", "--executor_input", loop.executor_input(1_000)], check=True)


def test_argos_status_of_all_loops_stays_below_its_limit(
    spec: dict[str, Any], made: dict[str, dict[str, Any]]
) -> None:
    """Compressed, as estimated: the operators of OpenShift AI configure no database to offload it to."""
    loops = [FanOut(spec, looped, collector, output, made[output]) for looped, (collector, output) in LOOPS.items()]
    assert sum(loop.status_bytes(shards.MOST_ON_A_CLUSTER)[1] for loop in loops) < ARGO_LIMIT_BYTES / 2
    assert sum(loop.status_bytes(1_000)[1] for loop in loops) > ARGO_LIMIT_BYTES


@pytest.mark.parametrize(
    ("wish", "found"),
    [
        (replace(SMALL, shards=1_000, trials=1), "data_shards: found 1000 shards, allowed on a cluster is at most 128"),
        (replace(SMALL, shards=129), "data_shards: found 129"),
        (replace(SMALL, others=(f"search_shards={json.dumps([f'{at}/200' for at in range(200)])}",)),
         "search_shards: found 200"),
    ],
)  # fmt: skip
def test_more_shards_than_a_cluster_can_collect_are_refused(wish: Wish, found: str, spec: dict[str, Any]) -> None:
    """Before anything is sent, naming what was found, what is allowed and what to give instead."""
    with pytest.raises(UnusableAccess, match=found) as refused:
        given(wish, spec)
    assert refused.value.exit_code == 2 and "--shards 128 or less" in str(refused.value)


def test_no_pod_is_started_without_a_trial(spec: dict[str, Any]) -> None:
    """Search has no more shards than trials, refine no more than finalists with the defaults."""
    found = given(replace(SMALL, shards=100, trials=8, others=("finalists=5",)), spec)
    assert [len(found[name]) for name in shards.LOOPS] == [100, 8, 6]
    assert found["refine_shards"] == [f"{at}/6" for at in range(6)]
    local = run.arguments(run.Request(Path("/s"), "", shards=1_000, trials=8), Path("/s"), Path("/s/none.csv"))
    assert [len(local[name]) for name in shards.LOOPS] == [1_000, 8, 4]


def test_a_local_runs_finalists_are_the_pipelines(spec: dict[str, Any]) -> None:
    """The number that a local run divides refine by is the default of the pipeline's input."""
    assert spec["root"]["inputDefinitions"]["parameters"]["finalists"]["defaultValue"] == run.FINALISTS
