"""What the gate refuses: every sabotage of the catalogue, random mutants by their size, and hopefully no honest model.

The limits are all sabotages refused, each by the gate meant for it, and no honest model. The policy that brakes by the
model's bound drives beside two others on the same runs: one that brakes by its median, one by time to collision.
"""

import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import _driving
import numpy as np
import onnx
from _report import Figure, options, report
from brakeline_validate import physical
from brakeline_validate.candidate import UPPER, Candidate
from brakeline_validate.examine import Holdout

from tests.conftest import BIN, HOUSE, Chain, make_chain
from tests.validate.sabotages import attempt, matrix, mutants
from tests.validate.sabotages.catalogue import SABOTAGES
from tests.validate.sabotages.mutants import KINDS, SHARES, Mutant

PAGE = HOUSE / "docs" / "gate.md"
SCENARIOS, ROWS = ("default", "winter", "motorway", "city"), (120_000, 200_000, 400_000, 160_000, 300_000)
GOOD_ROWS, QUICK_ROWS, QUICK_EACH, QUICK_RUNS = 120_000, 18_000, 16, 12
FIRST_SEED, HOLDOUT_ROWS, FAULTY_ROWS = 11, 60_000, 40_000
# What a mutant does is told by the mean change of the bound on so many rows.
ASKED_ROWS, PARITY_LIMIT = 5_000, 1e-4


@dataclass(frozen=True)
class Damage:
    """A mutant, the mean relative change of its bound, whether parity saw it, and which other gates did."""

    mutant: Mutant
    change: float
    by_parity: bool
    by_behaviour: frozenset[str]


def main() -> None:
    """Make what is missing, judge it all, and tell."""
    parser = options(__doc__)
    parser.add_argument("--honest", type=int, metavar="N", help="so many honest models (20 unless told; quick: 1)")
    parser.add_argument("--mutants", type=int, metavar="N", help="so many of each kind and share (5; quick: 1)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the models made for it")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/gate.md")
    chosen = parser.parse_args()
    quick = chosen.quick
    if chosen.write and quick:
        parser.error("--write is of all sabotages, mutants and models: leave --quick out")
    many_mutants = chosen.mutants if chosen.mutants is not None else 1 if quick else 5
    many_honest = chosen.honest if chosen.honest is not None else 1 if quick else 20
    with tempfile.TemporaryDirectory() as name:
        at = chosen.keep or Path(name)
        chain = _chain(at / "good", *((QUICK_ROWS, QUICK_RUNS) if quick else (GOOD_ROWS, _driving.RUNS)))
        cheap = [sabotage for sabotage in SABOTAGES if not sabotage.is_slow]
        killed = list(matrix.outcomes(chain, cheap[::QUICK_EACH] if quick else SABOTAGES))
        damaged = [_judge_mutant(chain, mutant) for mutant in list(mutants.every(many_mutants))[:: 3 if quick else 1]]
        honest = {label: _judge_honest(at, *label) for label in _labels(many_honest)}
        driven = _driving.figures(chain, *((1, QUICK_RUNS) if quick else (_driving.ROUNDS, _driving.RUNS)))
    if chosen.write:
        _write({"sabotages": matrix.table(killed), "mutants": _curve(damaged), "honest": _honest_table(honest)})
    told = _of_sabotages(killed) + _of_mutants(damaged) + _of_honest(honest)
    report("gate", told + driven, chosen=chosen)


def _of_sabotages(killed: list[matrix.Outcome]) -> list[Figure]:
    as_meant = [float(outcome.is_killed_as_meant) for outcome in killed]
    refused = [float(bool(outcome.failed)) for outcome in killed]
    return [
        Figure("sabotages", [float(len(killed))], "sabotages"),
        Figure("sabotages refused / all", [float(np.mean(refused))], "share", ">= 1"),
        Figure("sabotages refused by the gate meant for them / all", [float(np.mean(as_meant))], "share", ">= 1"),
    ]


def _of_mutants(damaged: list[Damage]) -> list[Figure]:
    figures = []
    for kind, share, found in _grouped(damaged):
        beside = f"mutants of {kind} refused / all, {share:.2%} changed"
        figures.append(Figure(f"{beside}, probes kept", [_mean(each.by_parity for each in found)], "share"))
        figures.append(Figure(f"{beside}, probes too", [_mean(bool(each.by_behaviour) for each in found)], "share"))
    return figures


def _of_honest(honest: dict[tuple[str, int, int], list[str]]) -> list[Figure]:
    figures = []
    for scenario in SCENARIOS:
        refused = [bool(failed) for (name, _, _), failed in honest.items() if name == scenario]
        if refused:
            figures.append(Figure(f"honest models refused / all, {scenario}", [_mean(refused)], "share", "<= 0"))
    if honest:
        figures.append(Figure("honest models refused / all", [_mean(map(bool, honest.values()))], "share", "<= 0"))
    return figures


def _judge_mutant(chain: Chain, mutant: Mutant) -> Damage:
    asked = Holdout.read(chain.holdout).inputs[:ASKED_ROWS]
    before = Candidate.load(chain.model).ask(asked)[UPPER]
    with tempfile.TemporaryDirectory() as name:
        model = attempt.copy(chain, Path(name))
        graph = onnx.load(model / "model.onnx")
        mutant.damage(graph)
        attempt.save(graph, model, keeps_probes=True)
        by_parity = not physical.parity(Candidate.load(model)) <= PARITY_LIMIT
        attempt.save(graph, model)
        change = float(np.mean(np.abs(Candidate.load(model).ask(asked)[UPPER] / before - 1.0)))
        failed = attempt.failed(attempt.judge(chain, attempt.Attempt(model)))
    return Damage(mutant, change, by_parity, frozenset(failed))


def _judge_honest(at: Path, scenario: str, seed: int, rows: int) -> list[str]:
    """Gates that refuse an honest model; made by the real steps unless it was kept."""
    chain = Chain(at / "honest" / f"{scenario}-{seed}-{rows}")
    if not (chain.model / "model.onnx").exists():
        chain.folder.mkdir(parents=True, exist_ok=True)
        recorded = HOUSE / "tests" / "data" / "recorded_stops.csv"
        sizes = f"--rows {rows} --holdout-rows {HOLDOUT_ROWS} --faulty-rows {FAULTY_ROWS}"
        sets = "--dataset dataset --holdout holdout --faulty faulty --rejects rejects"
        _step(chain, f"synthesize generate --part part {sizes} --scenario {scenario} --seed {seed}")
        _step(chain, f"synthesize assemble --parts part {sets} --recorded {recorded}")
        _step(chain, "synthesize floor --holdout holdout --floor floor --rows 3000")
        _step(chain, f"train search --dataset dataset --results results --trials 1 --seed {seed}")
        _step(chain, f"train fit --dataset dataset --results results --model model --seed {seed}")
    found = attempt.judge(chain, attempt.Attempt(chain.model))
    refused_by = attempt.failed(found)
    return [f"{judged.gate.name} {judged.value:.3g}" for judged in found.judged if judged.gate.name in refused_by]


def _chain(folder: Path, rows: int, runs: int) -> Chain:
    """The chain that is sabotaged; at its full size it is that of the tests, the same bytes."""
    if not (folder / "verdict").exists():
        folder.mkdir(parents=True)
        make_chain(folder, rows, rows // 3, runs=runs)
    return Chain(folder)


def _labels(count: int) -> list[tuple[str, int, int]]:
    every = [(name, FIRST_SEED + at, rows) for at, rows in enumerate(ROWS) for name in SCENARIOS]
    return every[:count]


def _step(chain: Chain, line: str) -> None:
    step, *words = line.split()
    done = subprocess.run(
        [BIN / f"brakeline-{step}", *words], cwd=chain.folder, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)


def _grouped(damaged: list[Damage]) -> list[tuple[str, float, list[Damage]]]:
    found = [
        (kind, share, [each for each in damaged if (each.mutant.kind, each.mutant.share) == (kind, share)])
        for kind in KINDS
        for share in SHARES
    ]
    return [entry for entry in found if entry[2]]


def _curve(damaged: list[Damage]) -> str:
    lines = [
        "| damage to | share | mean change of the bound | by parity | by behaviour | most often by |",
        6 * "|---" + "|",
    ]
    for kind, share, found in _grouped(damaged):
        change = 100 * _mean(each.change for each in found)
        seen, behaved = sum(each.by_parity for each in found), sum(bool(each.by_behaviour) for each in found)
        named = Counter(gate for each in found for gate in each.by_behaviour).most_common(2)
        first = "; ".join(sorted(gate for gate, _ in named)) or "none"
        of = f"{seen} of {len(found)} | {behaved} of {len(found)}"
        lines.append(f"| {kind} | {share:.2%} | {change:.2g} % | {of} | {first} |")
    return "\n".join(lines) + "\n"


def _honest_table(honest: dict[tuple[str, int, int], list[str]]) -> str:
    lines = ["| scenario | seed | rows | refused by |", 4 * "|---" + "|"]
    for (scenario, seed, rows), failed in sorted(honest.items()):
        lines.append(f"| {scenario} | {seed} | {rows:,} | {'; '.join(failed) or 'none'} |")
    return "\n".join(lines) + "\n"


def _write(tables: dict[str, str]) -> None:
    page = PAGE.read_text(encoding="utf-8")
    for name, table in tables.items():
        before, start, rest = page.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition("<!-- end -->")
        page = before + start + table + end + after
    PAGE.write_text(page, encoding="utf-8")


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


main()
