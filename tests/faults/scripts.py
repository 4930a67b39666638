"""What runs as a process of its own: under a clock that jumps, or with a cache that was spoilt."""

RUN = """
import sys
from pathlib import Path
from brakeline import narrator, record
from brakeline.local import LocalRunner
from brakeline.process import Processes
at = Path(sys.argv[1])
run_id = record.new_run_id(at / "runs")
kept = record.RunRecord(run_id, "process", at / "runs" / run_id, {})
LocalRunner(kept, narrator.ForMachines(), None, Processes()).run(at / "toy.yaml", {"word": "yes"})
kept.end(record.SUCCEEDED)
print(run_id)
"""

REGISTRY = """
import sys
from pathlib import Path
from brakeline_register.registry import State, open_registry
from tests.register.registries import NAME, entry
kept, offset = open_registry(f"sqlite:///{sys.argv[1]}"), Path(sys.argv[2])
def at(hours):
    offset.write_text(f"{hours:+d}h")
at(5)
kept.add(NAME, entry("a"))
at(-5)
kept.add(NAME, entry("b"))
at(3)
kept.set_state(NAME, "1", State.LIVE, by="ann", why="first")
at(-9)
kept.set_state(NAME, "2", State.LIVE, by="ann", why="second")
"""

TURN = """
import sys
from brakeline_deploy import s3_store
from stepkit.errors import TryAgain
s3_store.LEASE_S, s3_store.RENEW_S = 1.0, 0.2
try:
    with s3_store.RemoteStore("s3://bucket/models", sys.argv[1]).turn():
        print("mine")
except TryAgain:
    print("another's")
"""

CACHED = """
import sys
from pathlib import Path
from brakeline import narrator, record
from brakeline.local import LocalRunner, StepFailed
from brakeline.process import Processes
at = Path(sys.argv[1])
run_id = record.new_run_id(at / "runs")
kept = record.RunRecord(run_id, "process", at / "runs" / run_id, {})
try:
    LocalRunner(kept, narrator.ForMachines(), at / "cache", Processes()).run(at / "toy.yaml", {"word": "yes"})
    kept.end(record.SUCCEEDED)
except StepFailed as failed:
    kept.end(record.FAILED, str(failed))
print(kept.folder / "run.json")
"""
