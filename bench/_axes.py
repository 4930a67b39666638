"""The real steps over rows, trials, shards and requests: `python _axes.py [quick]`, each series as a line of JSON.

A process of its own that loads nothing large: a command's peak memory counts that of the process that started it.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from _costs import Cost, Series, call, measured, run

HERE = Path(__file__).parent
RECORDED = HERE.parent / "tests" / "data" / "recorded_stops.csv"
SETS = ("dataset", "holdout", "faulty", "rejects")
ASSEMBLE = (
    "synthesize assemble --dataset dataset --holdout holdout --faulty faulty --rejects rejects"
    f" --recorded {RECORDED}"
)  # fmt: skip


@dataclass(frozen=True)
class Sizes:
    """Four sizes of each thing, how many rounds, and the rows where something else is varied."""

    rows: tuple[int, ...] = (1_000_000, 2_000_000, 4_000_000, 8_000_000)
    fitted: tuple[int, ...] = (200_000, 400_000, 800_000, 1_600_000)
    looked_at: tuple[int, ...] = (500, 1_000, 2_000, 4_000)
    holdout: tuple[int, ...] = (30_000, 60_000, 120_000, 240_000)
    trials: tuple[int, ...] = (4, 8, 16, 32)
    ranked: tuple[int, ...] = (1_250, 2_500, 5_000, 10_000)
    finalists: tuple[int, ...] = (1, 2, 4, 6)
    parts: tuple[int, ...] = (32, 128, 512, 1_000)
    collected: tuple[int, ...] = (100, 200, 400, 800)
    rounds: int = 2
    few_rows: int = 200_000
    chain_rows: int = 120_000  # of the model that is judged, registered and served
    runs: int = 240  # of each scenario of the closed loop
    seconds: int = 3  # that a server is asked
    is_read: bool = True  # whether a search is held to the rows that it reads


# What takes long at any size is left out: a fit, a close look at finalists, a verdict.
QUICK = Sizes(
    rows=(50_000, 100_000, 200_000, 400_000), fitted=(), looked_at=(20, 40, 80, 160), holdout=(), trials=(1, 2, 3, 4),
    ranked=(100, 200, 400, 800), finalists=(), parts=(4, 8, 16, 32), collected=(5, 10, 20, 40), rounds=1,
    few_rows=5_000, chain_rows=4_000, runs=2, seconds=1, is_read=False,
)  # fmt: skip


def all_series(sizes: Sizes) -> Iterator[Series]:
    """Each series as it is done."""
    with tempfile.TemporaryDirectory() as name:
        at = Path(name)
        _chain(at / "chain", sizes)
        yield from _rows(at, sizes)
        yield from _trials(at, sizes)
        yield from _fitted(at, sizes)
        yield from _holdouts(at, sizes)
        yield from _parts(at, sizes)
        yield _collected(at, sizes)
        yield from _released(at, sizes)
        yield from _requests(at / "chain", sizes)


def _rows(at: Path, sizes: Sizes) -> Iterator[Series]:
    """Generate and assemble, and what a search reads before its first trial, over rows of the dataset."""
    made, joined, read = (Series(name, "rows", 1_000_000) for name in ("generate", "assemble", "search, one trial"))
    for _ in range(sizes.rounds):
        for rows in sizes.rows:
            _clear(at)
            made.add(rows, _generate(at, rows))
            joined.add(rows, call(f"{ASSEMBLE} --parts part", at, SETS))
            if sizes.is_read:
                read.add(rows, call("train search --dataset dataset --results scored --trials 1", at, ("scored",)))
    yield from (made, joined, *([read] if sizes.is_read else []))


def _trials(at: Path, sizes: Sizes) -> Iterator[Series]:
    """Search over trials, rank over the trials of all shards, refine over finalists."""
    _dataset(at, sizes.few_rows)
    search = Series("search", "trials")

    def tried(trials: int) -> Cost:
        return call(f"train search --dataset dataset --results scored --trials {trials}", at, ("scored",))

    yield measured(search, sizes.trials, sizes.rounds, tried)

    def ranked(trials: int) -> Cost:
        _scored(at / "scored", at / "many", trials)
        return call("train rank --scored many --ranking ranking", at, ("ranking",))

    yield measured(Series("rank", "trials", 1_000), sizes.ranked, sizes.rounds, ranked)
    if not sizes.finalists:
        return
    call("train rank --scored scored --ranking ranking", at)

    def refined(finalists: int) -> Cost:
        words = f"--dataset dataset --scored ranking --results results --finalists {finalists}"
        return call(f"train refine {words}", at, ("results",))

    yield measured(Series("refine", "finalists"), sizes.finalists, sizes.rounds, refined)


def _fitted(at: Path, sizes: Sizes) -> Iterator[Series]:
    """Fit over rows of the dataset, with the settings that need no search: the defaults."""

    def fitted(rows: int) -> Cost:
        _dataset(at, rows)
        shutil.copytree(at / "chain" / "scored", at / "scored")
        return call("train fit --dataset dataset --results scored --model model", at, ("model",))

    if sizes.fitted:
        yield measured(Series("fit", "rows", 1_000_000), sizes.fitted, sizes.rounds, fitted)


def _holdouts(at: Path, sizes: Sizes) -> Iterator[Series]:
    """Floor over the rows that it looks at, validate over rows of the holdout."""
    chain = at / "chain"

    def looked_at(rows: int) -> Cost:
        return call(f"synthesize floor --holdout holdout --floor floor --rows {rows}", chain, ("floor",))

    yield measured(Series("floor", "rows looked at", 1_000), sizes.looked_at, sizes.rounds, looked_at)

    def judged(rows: int) -> Cost:
        _clear(at, "other")
        other = at / "other"
        other.mkdir()
        _generate(other, 1_000, rows)
        call(f"{ASSEMBLE} --parts part", other)
        call("synthesize floor --holdout holdout --floor floor --rows 500", other)
        for name in ("model", "live"):
            (other / name).symlink_to(chain / name)
        return call(_validate(sizes), other, ("verdict", "dossier", "measurements", "lineage"))

    if sizes.holdout:
        yield measured(Series("validate", "rows of the holdout", 1_000), sizes.holdout, 1, judged)


def _parts(at: Path, sizes: Sizes) -> Iterator[Series]:
    """Assemble over shards of one and the same dataset, and the lineage that it writes of them."""
    joined = Series("assemble", "shards", 1)
    for _ in range(sizes.rounds):
        for parts in sizes.parts:
            _clear(at)
            run([sys.executable, str(HERE / "_parts.py"), str(at / "parts"), str(parts), str(sizes.few_rows)], at)
            words = " ".join(f"--parts parts/{index:04d}" for index in range(parts))
            cost = call(f"{ASSEMBLE} {words}", at)
            lineage_mb = (at / "dataset" / ".lineage.json").stat().st_size / 1e6
            joined.add(parts, Cost(cost.cpu_s, cost.wall_s, cost.peak_mb, lineage_mb))
    yield joined


def _collected(at: Path, sizes: Sizes) -> Series:
    """The runner's own time over a loop's iterations, with a step that does nothing."""

    def collected(shards: int) -> Cost:
        _clear(at)
        told = at / "told.json"
        run([sys.executable, str(HERE / "_loop.py"), str(at / "loop"), str(shards), str(told)], at)
        return Cost(**json.loads(told.read_text()))

    return measured(Series("the process runner's own", "shards"), sizes.collected, sizes.rounds, collected)


def _released(at: Path, sizes: Sizes) -> Iterator[Series]:
    """Register over versions that the registry has already; the same model again, with another name each time."""
    chain = at / "chain"
    if not json.loads((chain / "verdict").read_text())["passed"]:
        return  # too small a model, as in a quick run
    added, listed = Series("register add", "versions in the registry", 10), 0
    registry = f"--registry sqlite:///{chain}/registry.sqlite"
    papers = "--model model --passed-verdict verdict --dossier dossier --lineage lineage --registered registered"
    for versions in (10, 20, 40, 80):
        while listed < versions:
            cost = call(f"register add {papers} {registry} --name model-{listed}", chain)
            listed += 1
        added.add(versions, cost)
    yield added


def _requests(chain: Path, sizes: Sizes) -> Iterator[Series]:
    """The server, if there is something to ask it with."""
    if shutil.which("wrk") is None:
        return
    command = [sys.executable, str(HERE / "_requests.py"), str(chain), str(sizes.seconds), str(sizes.rounds)]
    told = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    yield from (Series.read(json.loads(line)) for line in told.stdout.splitlines())


def _generate(at: Path, rows: int, holdout_rows: int = 2_000) -> Cost:
    words = f"--part part --rows {rows} --holdout-rows {holdout_rows} --faulty-rows {holdout_rows}"
    return call(f"synthesize generate {words}", at, ("part",))


def _dataset(at: Path, rows: int) -> None:
    _clear(at)
    _generate(at, rows)
    call(f"{ASSEMBLE} --parts part", at)


def _chain(at: Path, sizes: Sizes) -> None:
    """A model and all that it is judged and released by."""
    at.mkdir()
    _generate(at, sizes.chain_rows, max(sizes.looked_at) * 10)
    for line in (
        f"{ASSEMBLE} --parts part",
        "synthesize floor --holdout holdout --floor floor --rows 500",
        "train search --dataset dataset --results scored --trials 1",
        "train fit --dataset dataset --results scored --model model",
        f"register champion --live live --registry sqlite:///{at}/none.sqlite",
        _validate(sizes),
    ):
        call(line, at)


def _validate(sizes: Sizes) -> str:
    return (
        "validate validate --model model --holdout holdout --faulty faulty --floor floor --champion live"
        " --verdict verdict --dossier dossier --metrics metrics --measurements measurements --lineage lineage"
        f" --runs {sizes.runs}"
    )


def _scored(one: Path, many: Path, trials: int) -> None:
    """A shard's results with so many trials, as if all had been scored: those that are there, over and over."""
    table = json.loads((one / "trials.json").read_text())
    scored = [{**table["scored"][at % len(table["scored"])], "index": at} for at in range(trials)]
    many.mkdir(exist_ok=True)
    told = {**table, "wanted": list(range(trials)), "scored": scored}
    (many / "trials.json").write_text(json.dumps(told), encoding="utf-8")


def _clear(at: Path, *names: str) -> None:
    """Remove what a size before left, but for the chain."""
    for entry in list(at.iterdir()):
        if entry.name in names or (not names and entry.name != "chain"):
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


if __name__ == "__main__":
    for made in all_series(QUICK if "quick" in sys.argv[1:] else Sizes()):
        print(json.dumps(made.facts()), flush=True)
