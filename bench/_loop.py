"""The process runner over a loop of toy steps: `python _loop.py FOLDER SHARDS TOLD`; its own cost goes into TOLD."""

import json
import os
import resource
import sys
import time
from pathlib import Path

HOUSE = Path(__file__).resolve().parents[1]
sys.path.append(str(HOUSE))

from brakeline import narrator, record  # noqa: E402
from brakeline.local import LocalRunner  # noqa: E402
from brakeline.process import Processes  # noqa: E402

from tests.orchestrator import toy  # noqa: E402


def main(folder: Path, shards: int, told: Path) -> None:
    """Run it; what the steps themselves took does not count."""
    folder.mkdir()
    toy.install(folder)
    os.environ["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"
    pipeline = toy.compiled(toy.looped, folder)
    kept = record.RunRecord("loop", "process", folder / "runs" / "loop", {})
    runner = LocalRunner(kept, narrator.ForMachines(), None, Processes())
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    runner.run(pipeline, {"word": "yes", "shards": [f"{index}/{shards}" for index in range(shards)]})
    kept.end(record.SUCCEEDED)
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    wall_s, record_mb = time.perf_counter() - began, (kept.folder / "run.json").stat().st_size / 1e6
    cost = {"cpu_s": cpu_s, "wall_s": wall_s, "peak_mb": after.ru_maxrss / 1000, "written_mb": record_mb}
    told.write_text(json.dumps(cost), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
