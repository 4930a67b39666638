"""What the process runner adds to the same steps called one after the other by hand, and what its cache saves.

The limit is the steps' own time: the same commands, typed one after the other into a shell, with nothing that watches
them. The second run has nothing to do but look.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _report import Figure, options, report

# Rows, of the holdout, and with faults: two thirds of those, which is the pipeline's own share.
FULL, QUICK = ("20000", "10000", "6666"), ("3000", "3000", "2000")
Sizes = tuple[str, str, str]
BIN = Path(sys.executable).parent
CSV = """# unit: wheel_speed_mps = m/s, stopping_distance_m = m
wheel_speed_mps,vehicle_class,stopping_distance_m
27.78,1,36.5
"""


def main() -> None:
    """Interleave rounds of the pipeline, of the cached pipeline, and of the same commands by hand."""
    parser = options(__doc__)
    parser.add_argument("--rounds", type=int, metavar="N", help="so many, interleaved (3 unless told; quick: 1)")
    chosen = parser.parse_args()
    sizes = QUICK if chosen.quick else FULL
    added, cached = [], []
    for _ in range(chosen.rounds or (1 if chosen.quick else 3)):
        with tempfile.TemporaryDirectory() as folder:
            by_hand = _by_hand(Path(folder) / "hand", sizes)
            first, again = (_by_runner(Path(folder) / "runner", sizes) for _ in range(2))
        added.append(first / by_hand)
        cached.append(again / first)
    report(
        "runner",
        [
            Figure("pipeline / same commands by hand", added, "ratio of wall time", "<= 1.3"),
            Figure("second run, nothing changed / first", cached, "ratio of wall time", "<= 0.5"),
        ],
        chosen=chosen,
    )


def _by_runner(state: Path, sizes: Sizes) -> float:
    start = time.perf_counter()
    words: list[str | Path] = ["run", "--server", "http://127.0.0.1:1", "--state", state]
    words += ["--rows", sizes[0], "--holdout-rows", sizes[1], "--runner", "process", "--trials", "1", "--shards", "1"]
    words += ["--no-deploy", "--json"]
    done = subprocess.run([BIN / "brakeline", *words], capture_output=True, text=True, check=False)
    status = json.loads(done.stdout)["status"]
    if status not in ("succeeded", "refused"):
        raise SystemExit(done.stderr)
    return time.perf_counter() - start


def _by_hand(at: Path, sizes: Sizes) -> float:
    at.mkdir(parents=True)
    rows, holdout_rows, faulty_rows = sizes
    (at / "recorded.csv").write_text(CSV, encoding="utf-8")
    start = time.perf_counter()
    for line in (
        f"synthesize generate --part part --rows {rows} --holdout-rows {holdout_rows} --faulty-rows {faulty_rows}",
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
