"""What the pipeline's loops become on a cluster, in bytes, at some numbers of shards; estimated, not measured there."""

import json
import tempfile
from pathlib import Path
from typing import Any

import yaml
from brakeline import images, run, shards
from brakeline.handed import ARGUMENT_LIMIT_BYTES

from tests.scale.fan_out import ARGO_LIMIT_BYTES, ETCD_LIMIT_BYTES, PODS_OF_AN_ITERATION, FanOut

COUNTS = (4, shards.MOST_ON_A_CLUSTER, 1_000)
_PART = {
    "shard": "127/128", "seed": 2**32 - 1, "scenario": "motorway", "dataset_rows": 10**9, "holdout_rows": 10**9,
    "faulty_rows": 10**9, "bytes": 10**11,
}  # fmt: skip
_RESULTS = {"shard": "127/128", "trials": 10_000, "bytes": 10**9}
LOOPS = (("synthesize", "assemble", "part", _PART), ("search", "rank", "results", _RESULTS),
         ("refine", "fit", "results", _RESULTS))  # fmt: skip


def estimates() -> dict[str, Any]:
    """Sizes [bytes] by number of shards, and the limits that they are held to."""
    with tempfile.TemporaryDirectory() as folder:
        file = run.compile_pipeline(Path(folder) / "pipeline.yaml", images.for_processes())
        spec, ir_bytes = next(yaml.load_all(file.read_text(encoding="utf-8"), yaml.SafeLoader)), file.stat().st_size
    loops = [FanOut(spec, *loop) for loop in LOOPS]
    rows = []
    for count in COUNTS:
        statuses = [loop.status_bytes(count) for loop in loops]
        rows.append(
            {
                "shards": count,
                "ir": ir_bytes,
                "lists": len(json.dumps(shards.lists(count, 10_000, count - 1))),
                "argument": max(len(loop.executor_input(count)) for loop in loops),
                "status": sum(raw for raw, _ in statuses),
                "status_compressed": sum(packed for _, packed in statuses),
                "pods": PODS_OF_AN_ITERATION * count * len(LOOPS),
            }
        )
    limits = {"argument": ARGUMENT_LIMIT_BYTES, "status_compressed": ARGO_LIMIT_BYTES, "etcd": ETCD_LIMIT_BYTES}
    return {"rows": rows, "limits": limits, "most_shards": shards.MOST_ON_A_CLUSTER}
