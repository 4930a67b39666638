"""The closed loop as the benchmark of the gate measures it: policies side by side on the same runs, and its time."""

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from _report import Figure
from brakeline_validate.candidate import Candidate
from brakeline_validate.case import Case
from brakeline_validate.loop import closed_loop, outcome
from brakeline_validate.loop.closed_loop import SCENARIOS, Driven
from brakeline_validate.loop.policy import Policy, TimeToCollision, TwoStages

from tests.conftest import BIN, Chain

SEED, ROUNDS, BUDGET_S = 1, 3, 90.0
RUNS = 240  # of each scenario, which is the step's default
POLICIES: tuple[Callable[[int], Policy], ...] = (
    TwoStages,
    lambda n: TwoStages(n, bound_is_median=True),
    TimeToCollision,
)


def figures(chain: Chain, rounds: int, each: int) -> list[Figure]:
    """What each policy hits and brakes for in `each` runs of a scenario; how long driving and the whole gate take."""
    scenarios = [replace(scenario, runs=each) for scenario in SCENARIOS]
    model = Candidate.load(chain.model)
    told, took = list[Figure](), list[float]()
    for policy in POLICIES:
        start = time.perf_counter()
        driven = closed_loop.drive_all(model, SEED, policy, scenarios)
        took.append(time.perf_counter() - start)
        told += _of_policy(driven, judged=policy is TwoStages)
    runs = sum(scenario.runs for scenario in scenarios)
    whole = [_whole_gate_s(chain, each) for _ in range(rounds)]
    again = [_again(chain, each) for _ in range(rounds)]
    return [
        *told,
        Figure("closed-loop runs a second, three policies", [runs / seconds for seconds in took], "runs/s"),
        Figure("whole gate / budget", [seconds / BUDGET_S for seconds in whole], "share of 90 s", "<= 1"),
        Figure("gate again, nothing changed / first", again, "ratio of wall time"),
    ]


def _of_policy(driven: Driven, *, judged: bool) -> list[Figure]:
    hits = outcome.total(driven.outcomes, "beyond", positive=True)
    nuisance = outcome.total(driven.outcomes, "nuisance", positive=False)
    named = (("hits beyond the allowed", hits, "<= 0.015"), ("brakes for nothing", nuisance, "<= 0.02"))
    found = list[Figure]()
    if judged:
        found += [Figure(f"closed-loop runs judged for {name}", [float(rate.runs)], "runs") for name, rate, _ in named]
    for name, rate, aim in named:
        found.append(Figure(f"{driven.policy}: {name}", [rate.value], "share of runs"))
        upper = f"{driven.policy}: {name}, upper end of 95 %"
        found.append(Figure(upper, [rate.upper], "share of runs", aim if judged else None))
    return found


def _again(chain: Chain, runs: int) -> float:
    """The step with --reuse, called twice: the second time its outputs stand. The code is known by some digest."""
    with tempfile.TemporaryDirectory() as name:
        words: list[str | Path] = [BIN / "brakeline-validate", "validate", "--reuse", "--runs", str(runs)]
        for given in ("model", "holdout", "faulty", "floor", "champion"):
            words += [f"--{given}", getattr(chain, given)]
        for made in ("verdict", "dossier", "metrics", "measurements", "lineage"):
            words += [f"--{made}", Path(name) / made]
        took = []
        for wanted in ("done", "unchanged"):
            start = time.perf_counter()
            environment = {**os.environ, "BRAKELINE_IMAGE": f"brakeline/validate@sha256:{'0' * 64}"}
            done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
            took.append(time.perf_counter() - start)
            if (status := json.loads(done.stdout)["status"]) != wanted:
                raise SystemExit(f"the gate was to be {wanted} and was {status}: {done.stderr}")
    return took[1] / took[0]


def _whole_gate_s(chain: Chain, runs: int) -> float:
    """Seconds from the artifacts to the findings."""
    start = time.perf_counter()
    Case.read(chain.model, chain.holdout, chain.faulty, chain.floor, chain.champion, runs=runs).examine()
    return time.perf_counter() - start
