"""Ten thousand trials: their journal, their ranking and what a shard carries of them grow with their number alone."""

import json
import resource
from collections.abc import Callable
from pathlib import Path

import pytest
from brakeline_train import journal
from brakeline_train.search import FIRST, parameter_list, slice_of
from brakeline_train.trials import TRIALS_FILE, Table, Trial, gather, write

from tests.conftest import command

TRIALS, SHARDS = 10_000, 128


def shards(folder: Path, trials: int, count: int) -> list[Path]:
    """Results of a search in shards, as the step writes them, with scores that tell the trials apart."""
    settings = parameter_list(trials, seed=3)
    found = []
    for index in range(count):
        mine = slice_of(settings, f"{index}/{count}")
        scored = [Trial(at, parameters, 20_000, [1.0 + ((at * 7919) % trials) / trials], [0.5], [0.05])
                  for at, parameters in mine]  # fmt: skip
        found.append(folder / f"{index:03d}")
        write(found[-1], Table(FIRST, 3, [at for at, _ in settings], scored))
    return found


def own_s(work: Callable[[], object]) -> float:
    before = resource.getrusage(resource.RUSAGE_SELF)
    work()
    after = resource.getrusage(resource.RUSAGE_SELF)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_ten_thousand_trials_are_ranked(tmp_path: Path) -> None:
    """By the real command, of as many shards as a cluster can collect: none is lost, and the best one is first."""
    listed = [word for shard in shards(tmp_path, TRIALS, SHARDS) for word in ("--scored", shard)]
    done = command("brakeline-train", "rank", *listed, "--ranking", tmp_path / "ranking")
    assert done.code == 0, done.stderr
    assert done.result["trials"] == TRIALS and done.result["best_trial"] == 0
    table = json.loads((tmp_path / "ranking" / TRIALS_FILE).read_text())
    assert [trial["index"] for trial in table["scored"]] == list(range(TRIALS))


def test_ranking_grows_with_trials_alone(tmp_path: Path) -> None:
    """Four times the trials in as many shards take some four times as long, and not sixteen."""
    few, many = shards(tmp_path / "few", TRIALS // 8, 32), shards(tmp_path / "many", TRIALS // 2, 32)
    fastest = [min(own_s(lambda: gather(parts)) for _ in range(3)) for parts in (few, many)]  # noqa: B023
    assert fastest[1] < 8 * fastest[0]


def test_a_journal_of_ten_thousand_is_read_at_once(tmp_path: Path) -> None:
    """A killed shard goes on behind all that it had scored."""
    dataset = tmp_path / "dataset"
    dataset.mkdir()
    (dataset / "part-0.parquet").write_bytes(b"rows")
    call = {"rung": FIRST, "seed": 0, "shard": "0/1"}
    with journal.kept(tmp_path / "results", dataset, **call) as began:
        began.add({"index": 0})
    (file,) = [one for one in tmp_path.iterdir() if one.is_file()]
    with file.open("ab") as stream:
        for index in range(1, TRIALS):
            stream.write(journal._line({"index": index, "scores": [0.1] * 3, "parameters": {"max_iter": index}}))
    with journal.kept(tmp_path / "results", dataset, **call) as again:
        assert [entry["index"] for entry in again.found] == list(range(TRIALS))


@pytest.mark.parametrize("trials", [8, TRIALS])
def test_every_shard_draws_the_same_list(trials: int) -> None:
    """Each trial is in one shard, whatever their number."""
    settings = parameter_list(trials, seed=3)
    drawn = [at for index in range(SHARDS) for at, _ in slice_of(settings, f"{index}/{SHARDS}")]
    assert sorted(drawn) == list(range(trials))
