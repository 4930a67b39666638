"""What the process runner adds to the same steps called one after the other by hand, and what its cache saves.

`--rounds N` (3 unless told) interleaves so many.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _report import Figure, report

ROWS, HOLDOUT_ROWS, FAULTY_ROWS = "20000", "10000", "6666"
BIN = Path(sys.executable).parent
CSV = """# unit: wheel_speed_mps = m/s, stopping_distance_m = m
wheel_speed_mps,vehicle_class,stopping_distance_m
27.78,1,36.5
"""


def main() -> None:
    """Interleave rounds of the pipeline, of the cached pipeline, and of the same commands by hand."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--rounds", type=int, default=3)
    chosen, sys.argv[1:] = parser.parse_known_args()
    added, cached = [], []
    for _ in range(chosen.rounds):
        with tempfile.TemporaryDirectory() as folder:
            by_hand = _by_hand(Path(folder) / "hand")
            first, again = (_by_runner(Path(folder) / "runner") for _ in range(2))
        added.append(first / by_hand)
        cached.append(again / first)
    report(
        "runner",
        [
            Figure("pipeline / same commands by hand", added, "ratio of wall time", "<= 1.3"),
            Figure("second run, nothing changed / first", cached, "ratio of wall time", "<= 0.5"),
        ],
    )


def _by_runner(state: Path) -> float:
    start = time.perf_counter()
    words: list[str | Path] = [
        "run",
        "--server",
        "http://127.0.0.1:1",
        "--state",
        state,
        "--rows",
        ROWS,
        "--holdout-rows",
        HOLDOUT_ROWS,
    ]
    words += ["--runner", "process", "--trials", "1", "--shards", "1", "--no-deploy", "--json"]
    done = subprocess.run([BIN / "brakeline", *words], capture_output=True, text=True, check=False)
    status = json.loads(done.stdout)["status"]
    if status not in ("succeeded", "refused"):
        raise SystemExit(done.stderr)
    return time.perf_counter() - start


def _by_hand(at: Path) -> float:
    at.mkdir(parents=True)
    (at / "recorded.csv").write_text(CSV, encoding="utf-8")
    start = time.perf_counter()
    for line in (
        f"synthesize generate --part part --rows {ROWS} --holdout-rows {HOLDOUT_ROWS} --faulty-rows {FAULTY_ROWS}",
        "synthesize assemble --parts part --recorded recorded.csv --dataset dataset --holdout holdout"
        " --faulty faulty --rejects rejects",
        "train search --dataset dataset --results scored --trials 1",
        "train rank --scored scored --ranking ranking",
        "train refine --dataset dataset --scored ranking --results results",
        "train fit --dataset dataset --results results --model model",
        "synthesize floor --holdout holdout --floor floor",
        "register champion --live live --registry sqlite:///registry.sqlite",
        "validate validate --model model --holdout holdout --faulty faulty --floor floor --champion live"
        " --verdict verdict --dossier dossier --metrics metrics --measurements measurements --lineage lineage",
        "register record --verdict verdict --recorded recorded --registry sqlite:///registry.sqlite",
    ):
        step, *rest = line.split()
        subprocess.run([BIN / f"brakeline-{step}", *rest], cwd=at, capture_output=True, check=True)
    return time.perf_counter() - start


main()
