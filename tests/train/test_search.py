"""The search: every trial scored once however it is divided, the best of few rows looked at closely, nothing lost."""

import itertools
import json
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from brakeline_synthesize.contract import CONTRACT
from brakeline_train import journal, quantiles, rows, search, trials
from brakeline_train.journal import Journal
from brakeline_train.trials import Rung, Table, Trial
from stepkit import artifacts, tables
from stepkit.errors import StepError

from tests.conftest import BIN, Done, command

# Small enough for a test, with differences enough for an order.
QUICK, CLOSE = Rung("search", 500, 1), Rung("refine", 1_000, 3)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 drives of 40 rows, a textbook stop each and some noise."""
    rng = np.random.default_rng(0)
    drive = np.repeat(np.arange(60), 40)
    inputs = {one.name: rng.uniform(one.low, one.high, drive.size).astype(np.float32) for one in CONTRACT.features}
    inputs[CONTRACT.by_role("vehicle_class").name] = rng.integers(0, 5, drive.size).astype(np.float32)
    inputs[CONTRACT.by_role("speed").name] = rng.uniform(5, 40, drive.size).astype(np.float32)
    speed, friction = (inputs[CONTRACT.by_role(role).name] for role in ("speed", "friction"))
    way = (speed**2 / (2 * 9.81 * (0.1 + friction)) * np.exp(rng.normal(0, 0.1, drive.size))).astype(np.float32)
    folder = tmp_path_factory.mktemp("search") / "dataset"
    folder.mkdir()
    frame = pl.DataFrame({**inputs, CONTRACT.target.name: way, CONTRACT.group: drive})
    tables.write_part(folder / "000.parquet", frame, CONTRACT)
    return folder


@pytest.fixture(scope="module")
def known(dataset: Path) -> rows.Rows:
    return rows.read(dataset)[0]


class Nothing(Journal):
    """A journal that holds nothing and keeps nothing."""

    def __init__(self) -> None:
        self.found = []

    def add(self, entry: dict[str, Any]) -> None:
        """Forget."""


def in_shards(
    known: rows.Rows, rung: Rung, settings: list[search.Setting], count: int, folder: Path, earlier: Table | None = None
) -> list[Path]:
    """Score settings in so many shards; returns their results."""
    files = []
    for index in range(count):
        mine = search.slice_of(settings, f"{index}/{count}")
        found = search.score(known, CONTRACT, rung, mine, 0, Nothing())
        files.append(folder / f"{rung.name}-{index}-of-{count}")
        trials.write(files[-1], Table(rung, 0, [number for number, _ in settings], found, earlier))
    return files


def test_the_best_of_many_shards_is_the_best_of_one(known: rows.Rows, tmp_path: Path) -> None:
    """On both rungs, however the trials are divided and in whatever order they come: same trials, scores and winner."""
    settings = [(index, {**drawn, "max_iter": 12 + index}) for index, drawn in search.parameter_list(6, 0)]
    quick = trials.gather(in_shards(known, QUICK, settings, 1, tmp_path))
    close = trials.gather(in_shards(known, CLOSE, search.settings_of(quick.finalists(2)), 1, tmp_path, earlier=quick))
    assert [trial.index for trial in quick.scored] == list(range(6))
    assert close.scored[0].parameters == quantiles.DEFAULTS | {"max_iter": 12}
    assert all(len(trial.scores) == 3 for trial in close.scored)
    for count in (2, 5):
        for order in (1, -1):
            first = trials.gather(in_shards(known, QUICK, settings, count, tmp_path)[::order])
            finals = search.settings_of(first.finalists(2))
            second = trials.gather(in_shards(known, CLOSE, finals, count, tmp_path, earlier=first)[::order])
            assert (first, second) == (quick, close)
            assert trials.report(second) == trials.report(close)


def test_the_defaults_are_always_among_the_trials() -> None:
    """A search can only improve on them, and the same seed gives the same list."""
    assert search.parameter_list(5, 3)[0] == (0, quantiles.DEFAULTS)
    assert search.parameter_list(5, 3) == search.parameter_list(5, 3) != search.parameter_list(5, 4)
    assert search.parameter_list(3, 3) == search.parameter_list(5, 3)[:3]


def trial(index: int, *scores: float) -> Trial:
    return Trial(index, {"max_iter": index}, 10, list(scores), list(scores), list(scores))


@pytest.mark.parametrize(("count", "chosen"), [(1, [0, 2]), (2, [0, 2, 3]), (3, [0, 1, 2, 3]), (9, [0, 1, 2, 3, 4])])
def test_the_best_go_on_and_always_the_defaults(count: int, chosen: list[int]) -> None:
    """Of equal scores the first goes on; the defaults go on though they are the worst."""
    scores = (0.9, 0.4, 0.1, 0.2, 0.4)
    table = Table(QUICK, 0, list(range(5)), [trial(index, score) for index, score in enumerate(scores)])
    assert [one.index for one in table.finalists(count)] == chosen
    finalists = search.settings_of(table.finalists(count))
    assert search.second_rung(finalists, 2_000) == search.SECOND
    assert [search.second_rung(finalists, rows).rows for rows in (600_000, 4_000_000)] == [200_000, 300_000]


def test_drives_held_for_calibration_take_no_part(known: rows.Rows) -> None:
    """What the bound is calibrated on chose nothing; and the divisions differ, each with no drive on two sides."""
    calibration = set(rows.divide_by_drive(known, 0).held.drive)
    held = []
    for fold in search.divisions(known, CLOSE, 0):
        assert not calibration & {*fold.fit.drive, *fold.held.drive}
        assert not {*fold.fit.drive} & {*fold.held.drive}
        assert fold.fit.drive.size + fold.held.drive.size == pytest.approx(CLOSE.rows, abs=40)
        held.append(frozenset(fold.held.drive))
    assert len(set(held)) == CLOSE.divisions


def test_the_gain_is_paired_over_divisions() -> None:
    """Worked by hand: 0.5, 0.6, 0.7 against 0.4, 0.4, 0.6 is a gain of 0.4/3 with a spread of 0.1/√3."""
    quick = Table(QUICK, 0, [0, 1, 2], [trial(0, 0.5), trial(1, 0.4), trial(2, 0.9)])
    close = Table(CLOSE, 0, [0, 1], [trial(0, 0.5, 0.6, 0.7), trial(1, 0.4, 0.4, 0.6)], quick)
    told = trials.report(close)
    summary = told["summary"]
    assert (summary["best"]["index"], summary["defaults"]["index"]) == (1, 0)
    assert summary["gain"] == pytest.approx(0.4 / 3)
    assert summary["gain_sd"] == pytest.approx(0.1 / 3**0.5)
    assert summary["defaults"]["sd"] == pytest.approx(0.1)
    first, second = ([(one["rank"], one["index"], one["chosen"]) for one in rung["trials"]] for rung in told["rungs"])
    assert first == [(1, 1, True), (2, 0, True), (3, 2, False)]
    assert second == [(1, 1, True), (2, 0, False)]


WHOLE = Table(QUICK, 0, [0, 1], [trial(0, 0.5), trial(1, 0.4)])


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ([Table(QUICK, 0, [0, 1], [trial(0, 0.5)])], r"each of \[0, 1\] once"),
        ([WHOLE, WHOLE], r"each of \[0, 1\] once"),
        ([Table(QUICK, 0, [0, 1], [trial(0, 0.5)]), Table(QUICK, 1, [0, 1], [trial(1, 0.5)])], "one search"),
        ([Table(QUICK, 0, [0, 1], [trial(0, 0.5)]), Table(QUICK, 0, [0, 2], [trial(2, 0.5)])], "one search"),
        ([Table(QUICK, 0, [0, 1], [trial(0, 0.5)], WHOLE), Table(QUICK, 0, [0, 1], [trial(1, 0.5)])], "one search"),
        ([Table(CLOSE, 0, [0], [trial(0, 0.5)])], "3 scores"),
    ],
    ids=["a missing trial", "a doubled trial", "another seed", "another list", "another first rung", "too few scores"],
)  # fmt: skip
def test_shards_that_do_not_fit_together_are_refused(parts: list[Table], told: str, tmp_path: Path) -> None:
    """Nothing goes on with half of the trials, or with those of two searches."""
    files = [tmp_path / str(number) for number in range(len(parts))]
    for file, part in zip(files, parts, strict=True):
        trials.write(file, part)
    with pytest.raises(StepError, match=told) as refused:
        trials.gather(files)
    assert refused.value.exit_code == 65


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"rung": 3}', "scores"])
def test_what_is_no_record_of_trials_is_refused(text: str, tmp_path: Path) -> None:
    """Any other file is bad data, never a bug."""
    artifacts.write_text(tmp_path / "results" / trials.TRIALS_FILE, text)
    with pytest.raises(StepError) as refused:
        trials.gather([tmp_path / "results"])
    assert refused.value.exit_code == 65


@pytest.mark.parametrize("field", ["scores", "index", "parameters", "rows"])
@pytest.mark.parametrize("value", [None, "x", [None], [float("nan")], {}, ["x"]])
def test_a_trial_that_is_none_is_refused(field: str, value: object, tmp_path: Path) -> None:
    """Scores that are no numbers, and fields of another kind, are bad data."""
    if field == "parameters" and value == {}:
        return
    trials.write(tmp_path / "results", WHOLE)
    content = json.loads((file := tmp_path / "results" / trials.TRIALS_FILE).read_text())
    content["scored"][1][field] = value
    file.write_text(json.dumps(content))
    with pytest.raises(StepError) as refused:
        trials.gather([tmp_path / "results"])
    assert refused.value.exit_code == 65


def kept_in(folder: Path, **call: Any) -> tuple[Path, list[dict[str, Any]]]:
    """What the journal of a call holds, and where it lies."""
    data = folder / "data"
    data.write_text("rows")
    with journal.kept(folder / ".results.partial-1", data, **call) as done:
        return folder / ".results.resume", list(done.found)


def test_a_journal_survives_whatever_tears_it(tmp_path: Path) -> None:
    """Cut at any byte, or with any byte flipped, it holds the whole entries before that and takes new ones."""
    (tmp_path / "data").write_text("rows")
    entries = [{"index": 0, "score": 0.1}, {"index": 1, "score": 1 / 3}]
    with journal.kept(tmp_path / ".results.partial-1", tmp_path / "data", seed=1) as done:
        for entry in entries:
            done.add(entry)
    file, found = kept_in(tmp_path, seed=1)
    assert found == entries
    whole = file.read_bytes()
    ends = [0, *itertools.accumulate(len(line) for line in whole.splitlines(keepends=True))]
    for cut in range(0, len(whole), 7):
        before = sum(end <= cut for end in ends) - 2
        for damaged in (whole[:cut], whole[:cut] + bytes([whole[cut] ^ 1]) + whole[cut + 1 :]):
            file.write_bytes(damaged)
            assert kept_in(tmp_path, seed=1)[1] == entries[: max(before, 0)]
            with journal.kept(tmp_path / ".results.partial-2", tmp_path / "data", seed=1) as done:
                done.add({"index": 9})
            assert kept_in(tmp_path, seed=1)[1] == [*entries[: max(before, 0)], {"index": 9}]


def test_a_journal_of_another_call_is_replaced(tmp_path: Path) -> None:
    """Another seed, shard or dataset: nothing is taken over, and what was kept is gone."""
    (tmp_path / "data").write_text("rows")
    with journal.kept(tmp_path / ".results.partial-1", tmp_path / "data", seed=1, shard="0/2") as done:
        done.add({"index": 0})
    assert kept_in(tmp_path, seed=1, shard="0/2")[1] == [{"index": 0}]
    assert kept_in(tmp_path, seed=1, shard="1/2")[1] == []
    assert kept_in(tmp_path, seed=1, shard="0/2")[1] == []


@pytest.fixture(scope="module")
def whole(dataset: Path) -> Path:
    """Both rungs and the model from one shard each, undisturbed."""
    out = dataset.parent / "whole"
    for verb in ("search", "refine"):
        done = command(*words(verb, dataset, out))
        assert done.code == 0, done.stderr
    return out


def words(verb: str, dataset: Path, out: Path, scored: Path | None = None) -> list[str]:
    if verb == "search":
        settings = ["--results", str(out / "scored"), "--trials", "3"]
    else:
        settings = ["--results", str(out / "results"), "--scored", str((scored or out) / "scored")]
    return ["brakeline-train", verb, "--dataset", str(dataset), *settings, "--seed", "3"]


@pytest.mark.parametrize("verb", ["search", "refine"])
def test_a_killed_call_goes_on_where_it_was(verb: str, dataset: Path, whole: Path, tmp_path: Path) -> None:
    """SIGKILL after the first trial; the same call again scores the rest, and its bytes are those of an undisturbed."""
    made = "scored" if verb == "search" else "results"
    call, kept = words(verb, dataset, tmp_path, whole), tmp_path / f".{made}.resume"
    child = subprocess.Popen([BIN / call[0], *call[1:]], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not kept.exists() or kept.read_bytes().count(b"\n") < 2:
        assert child.poll() is None, "ended before it could be killed"
        time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert not (tmp_path / made).exists()
    done = command(*call)
    assert done.code == 0, done.stderr
    (resumed,) = [said for said in diary(done) if said["event"] == "resumed"]
    assert resumed["trials"] >= 1
    assert artifacts.sha256_of(tmp_path / made) == artifacts.sha256_of(whole / made)
    assert list(tmp_path.iterdir()) == [tmp_path / made]


def diary(done: Done) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_fit_takes_the_best_and_keeps_the_table(dataset: Path, whole: Path, tmp_path: Path) -> None:
    """The model's folder holds both rungs; the model itself tells the winner's settings."""
    done = command("brakeline-train", "fit", "--dataset", dataset, "--results", whole / "results",
                   "--model", tmp_path / "model", "--seed", "3")  # fmt: skip
    assert done.code == 0, done.stderr
    told = json.loads((tmp_path / "model" / trials.TRIALS_FILE).read_text())
    table = trials.gather([whole / "results"])
    assert told == trials.report(table)
    assert [(rung["name"], len(rung["trials"])) for rung in told["rungs"]] == [
        ("search", 3),
        ("refine", len(table.wanted)),
    ]
    assert done.result["best_trial"] == told["summary"]["best"]["index"]
    assert told["summary"]["gain"] >= 0.0


def test_another_dataset_or_code_starts_anew(dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal's key covers the rows and the code."""
    data = tmp_path / "data"
    shutil.copytree(dataset, data)

    def found() -> int:
        with journal.kept(tmp_path / ".results.partial-1", data, seed=0) as done:
            before = len(done.found)
            done.add({"index": before})
        return before

    assert [found(), found()] == [0, 1]
    artifacts.write_text(data / "more.parquet", "other rows")
    assert [found(), found()] == [0, 1]
    monkeypatch.setenv("BRAKELINE_IMAGE", f"brakeline/train:{'0' * 20}")
    assert found() == 0
