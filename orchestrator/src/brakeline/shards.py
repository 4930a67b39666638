"""Into how many parts a run's loops are divided, and how many of them a cluster can collect again.

A cluster's launcher takes what a task is given as one argument (`--executor_input`, launcher_v2.go of Kubeflow
Pipelines), and Linux takes none of 128 KiB. An artifact of a shard is some 800 bytes in it, so that 160 fill it up. The
pipeline itself does not grow with them: the loops run over lists that are given to a run. `docs/scale.md`.
"""

from collections.abc import Mapping
from typing import Any

# With a fifth of the argument to spare, for longer names of buckets and endpoints.
MOST_ON_A_CLUSTER = 128
LOOPS = ("data_shards", "search_shards", "refine_shards")


def lists(shards: int, trials: int, finalists: int) -> dict[str, list[str]]:
    """What each loop runs over, by the pipeline's inputs: no more parts than there is to do.

    A part without a trial would be a pod that reads the dataset for nothing. Refined are finalists and the defaults.
    """
    found = (shards, min(shards, trials), min(shards, trials, finalists + 1))
    return {name: [f"{index}/{count}" for index in range(count)] for name, count in zip(LOOPS, found, strict=True)}


def too_many(values: Mapping[str, Any]) -> str:
    """Why a cluster cannot run a pipeline's inputs with so many shards; empty where it can."""
    for name in LOOPS:
        if (found := len(values.get(name) or ())) > MOST_ON_A_CLUSTER:
            return (
                f"{name}: found {found} shards, allowed on a cluster is at most {MOST_ON_A_CLUSTER}: what collects "
                f"them is told of all in one argument, which holds no more; give --shards {MOST_ON_A_CLUSTER} or less"
            )
    return ""
