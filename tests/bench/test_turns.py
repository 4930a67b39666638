"""All benches in one go: whatever becomes of one, nothing is lost of the others, and nothing is told that is not so."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from tests.bench.conftest import PATIENCE_S, Room

WAITS = """
    import os, subprocess
    server = subprocess.Popen(["sleep", "600"])
    (Path(__file__).parent / "processes").write_text(f"{os.getpid()} {server.pid}")
    made = Path(tempfile.mkdtemp()) / "made"
    made.touch()
    (Path(__file__).parent / "where").write_text(str(made))
    while not (Path(__file__).parent / "go").exists():
        time.sleep(0.01)
    server.kill()
    server.wait()
"""


def gone(room: Room) -> bool:
    """Whether what waited, and what it started, have ended; a zombie has."""
    stats = [Path("/proc") / number / "stat" for number in (room.folder / "processes").read_text().split()]
    return all(not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z" for stat in stats)


def until(file: Path) -> None:
    """Wait for a file."""
    end = time.monotonic() + PATIENCE_S
    while not file.exists():
        assert time.monotonic() < end, f"{file} did not come"
        time.sleep(0.01)


def test_all_are_measured_and_written(room: Room) -> None:
    """Every bench of the folder has its figures in results.json and on the page; modules beside them are no benches."""
    room.bench("one", "")
    room.bench("two", "")
    (room.folder / "_beside.py").write_text("raise SystemExit('not a bench')")
    done = room.call()
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [
        str(room.folder / name) for name in ("results.json", "aims.svg", "RESULTS.md")
    ]  # fmt: skip
    assert [entry["figures"][0]["rounds"] for entry in room.results().values()] == [[1.0, 2.0]] * 2
    assert room.results()["one"]["measures"] == "What one measures."
    assert "## two\n\nWhat two measures. Beside nothing at all." in room.page()
    assert "[1/2] one" in done.stderr
    assert "[2/2] two done" in done.stderr


def test_one_that_fails_costs_no_other_its_figures(room: Room) -> None:
    """The exit status is 1; the page says what failed, without a path of this machine; the others are there."""
    room.bench("bad", "raise SystemExit(f'cannot read {Path.home()}/x and {tempfile.gettempdir()}/y')")
    room.bench("good", "")
    done = room.call()
    assert done.returncode == 1
    assert room.results()["good"]["status"] == "done"
    assert room.results()["bad"]["why"] == "exit status 1: cannot read ~/x and TMP/y"
    assert "- `bad` failed: exit status 1: cannot read ~/x" in room.page()


def test_one_that_lacks_something_is_skipped_with_its_reason(room: Room) -> None:
    """Skipped is no failure, and is told on the page; so is a part that could not be measured."""
    room.bench("lacking", "skip('no engine: install one')")
    room.bench("partly", "", 'report("partly", [], chosen=chosen, missing={"nginx": "not here"})')
    done = room.call()
    assert done.returncode == 0, done.stderr
    assert "- `lacking` skipped: no engine: install one" in room.page()
    assert "- `partly` without nginx: not here" in room.page()


def test_one_that_hangs_is_ended(room: Room) -> None:
    """After its minutes it has failed, its process is gone, and what it made in its temporary folder too."""
    room.bench("hangs", WAITS)
    room.bench("later", "")
    done = room.call("--limit-min", "0.03")
    assert done.returncode == 1
    assert room.results()["hangs"]["why"] == "took longer than 0.03 min, and was ended"
    assert room.results()["later"]["status"] == "done"
    assert gone(room)
    assert not Path((room.folder / "where").read_text()).exists()


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ("print('done')", "told no figures"),
        ("print('{}')", "not of bench 'odd'"),
        ("report('other', [], chosen=chosen)", "not of bench 'odd'"),
        ("report('odd', [Figure('a', [float('nan')], 's')], chosen=chosen)", "[nan] is no measurement"),
        ("report('odd', [Figure('a', [1.0], 's')] * 2, chosen=chosen)", "two figures are called 'a' [s]"),
        ("chosen.quick = True; report('odd', [], chosen=chosen)", "was to be full, and told that it was not"),
    ],
)
def test_what_breaks_the_contract_has_failed(room: Room, told: str, why: str) -> None:
    """No figures, another's, no number, two of one name, or of another size: none of it comes into the results."""
    room.bench("odd", "", told)
    assert room.call().returncode == 1
    assert why in room.results()["odd"]["why"]
    assert room.results()["odd"]["figures"] == []


def test_an_ended_run_goes_on_where_it_was(room: Room) -> None:
    """SIGTERM: the bench ends with it and leaves nothing; --resume runs what was not done, and only that."""
    room.bench("first", "")
    room.bench("second", WAITS)
    child = room.start()
    until(room.folder / "where")
    child.send_signal(signal.SIGTERM)
    assert child.wait(PATIENCE_S) == 130
    assert gone(room)
    assert not Path((room.folder / "where").read_text()).exists()
    assert not (room.folder / "results.json").exists()
    (room.folder / "go").touch()
    done = room.call("--resume")
    assert done.returncode == 0, done.stderr
    assert (room.runs("first"), room.runs("second")) == (1, 2)
    assert {entry["status"] for entry in room.results().values()} == {"done"}


def test_a_killed_run_goes_on_when_its_bench_has_ended(room: Room) -> None:
    """SIGKILL leaves a bench behind: as long as it runs nothing else is measured beside it."""
    room.bench("first", "")
    room.bench("second", WAITS)
    child = room.start()
    until(room.folder / "where")
    child.kill()
    child.wait(PATIENCE_S)
    refused = room.call("--resume")
    assert refused.returncode == 2
    assert "another bench is running here" in refused.stderr
    (room.folder / "go").touch()
    end = time.monotonic() + PATIENCE_S
    while (done := room.call("--resume")).returncode == 2:
        assert time.monotonic() < end, done.stderr
    assert done.returncode == 0, done.stderr
    assert (room.runs("first"), room.runs("second")) == (1, 2)
    assert not [entry for entry in (room.folder / "kept" / "full").iterdir() if entry.is_dir()]


def test_a_run_that_is_whole_is_not_measured_again_by_resume(room: Room) -> None:
    """And one that is begun anew measures all of it."""
    room.bench("one", "")
    for words, runs in (((), 1), (("--resume",), 1), ((), 2)):
        assert room.call(*words).returncode == 0
        assert room.runs("one") == runs


@pytest.mark.parametrize(("key", "value"), [("revision", "0123456789ab"), ("machine", {"cpu": "another", "cores": 64})])
def test_figures_of_other_code_or_another_machine_are_not_gone_on_with(room: Room, key: str, value: object) -> None:
    """--resume is refused and says why; nothing is run."""
    room.bench("one", "")
    assert room.call().returncode == 0
    file = room.folder / "kept" / "full" / "run.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {key: value}))
    refused = room.call("--resume")
    assert refused.returncode == 2
    assert "leave --resume out" in refused.stderr
    assert room.runs("one") == 1


def test_some_alone_leave_the_others_as_they_are(room: Room) -> None:
    """--only measures these; entries of the others stay to the byte; an unknown name is refused."""
    room.bench("one", "")
    room.bench("two", "")
    room.call()
    before = room.results()["two"]
    assert room.call("--only", "one").returncode == 0
    assert (room.runs("one"), room.runs("two")) == (2, 1)
    assert room.results()["two"] == before
    refused = room.call("--only", "three")
    assert refused.returncode == 2
    assert "no bench is called three; there are one, two" in refused.stderr


def test_quick_and_full_figures_do_not_mix(room: Room) -> None:
    """Quick ones have a folder of their own, say that they are, and are refused beside full ones."""
    room.bench("one", "")
    room.bench("two", "")
    assert room.call("--quick").returncode == 0
    assert room.results("quick")["one"]["quick"] is True
    assert "> **Quick**" in room.page("quick")
    refused = room.call("--only", "one", "--into", str(room.folder / "quick"))
    assert refused.returncode == 2
    assert "has quick figures, which do not mix" in refused.stderr
    assert room.runs("one") == 1


def test_figures_of_another_machine_are_no_neighbours(room: Room) -> None:
    """--only is refused where the figures that would stay are another machine's."""
    room.bench("one", "")
    room.bench("two", "")
    room.call()
    file = room.folder / "results.json"
    told = json.loads(file.read_text())
    told["machine"]["cores"] = 64
    file.write_text(json.dumps(told))
    refused = room.call("--only", "one")
    assert refused.returncode == 2
    assert "figures of another machine" in refused.stderr


def test_a_run_that_ends_halfway_leaves_the_results_of_before(room: Room) -> None:
    """Until all are done, results.json and the page are those of the last whole run."""
    room.bench("one", "")
    room.call()
    before = (room.folder / "results.json").read_bytes(), room.page()
    room.bench("one", WAITS)
    child = room.start()
    until(room.folder / "where")
    os.kill(child.pid, signal.SIGINT)
    assert child.wait(PATIENCE_S) == 130
    assert ((room.folder / "results.json").read_bytes(), room.page()) == before


def test_results_that_cannot_be_read_stop_only_who_needs_them(room: Room) -> None:
    """--only would leave the others' figures, and is refused before anything runs; all of them take their place."""
    room.bench("one", "")
    room.bench("two", "")
    (room.folder / "results.json").write_text("{")
    refused = room.call("--only", "one")
    assert refused.returncode == 2
    assert "cannot be read as JSON" in refused.stderr
    assert room.runs("one") == 0
    assert room.call().returncode == 0
    assert room.results().keys() == {"one", "two"}


def test_what_there_is_is_listed(room: Room) -> None:
    """--list names each bench with what it measures and how long it took, and runs none."""
    room.bench("one", "")
    assert room.call("--list").stdout.split("\n")[0].split(maxsplit=1) == ["one", "What one measures."]
    room.call()
    assert "s the last time" in room.call("--list").stdout
    assert room.runs("one") == 1
