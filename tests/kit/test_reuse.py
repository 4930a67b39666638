"""`--reuse`: outputs that stand for the very same call are left standing, and in any doubt the work is done."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from stepkit.reuse import CODE

from tests.conftest import Done, command

TOY = Path(__file__).with_name("toy_step.py")
IMAGE = "brakeline/toy:" + "0123456789abcdef" * 2


@dataclass
class Bench:
    """A folder with inputs, and a call that a test may change before it is made again."""

    folder: Path
    verb: str = "count"
    image: str = IMAGE
    parts: tuple[str, ...] = ("a", "b")
    settings: list[str] = field(default_factory=list)

    @property
    def out(self) -> Path:
        return self.folder / "out"

    @property
    def record(self) -> Path:
        return self.out / ".total.made.json"

    def call(self, *more: str) -> Done:
        parts = [word for part in self.parts for word in ("--parts", str(self.folder / part))]
        outputs = ("--total", str(self.out / "total"), "--pages", str(self.out / "pages"))
        return self.run(self.verb, "--source", str(self.folder / "source"), *parts, *outputs, *self.settings, *more)

    def run(self, *words: str) -> Done:
        return command("python", TOY, *words, environment={CODE: self.image})

    def stamps(self) -> dict[Path, int]:
        """When each file below the outputs' folder was last written [ns]."""
        return {file: file.stat().st_mtime_ns for file in self.out.rglob("*")}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    for name, content in (("source", "12345"), ("a", "1"), ("b", "22")):
        (tmp_path / name).write_text(content)
    return Bench(tmp_path)


def differs(done: Done) -> str:
    """What the diary says of reuse, in its one line."""
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    (said,) = [line for line in lines if line["event"] == "reuse"]
    assert said["level"] == "info"
    return str(said["differs"])


def told(done: Done) -> dict[str, Any]:
    """The line of result, save how long it took and whether anything was done."""
    assert done.code == 0, done.stderr
    # As text, since NaN equals nothing.
    return {key: json.dumps(value) for key, value in done.result.items() if key not in {"seconds", "status"}}


def test_the_same_call_again_is_unchanged(bench: Bench) -> None:
    """Nothing is written, and the result is that of the first run: artifacts, parameters and facts."""
    first = bench.call("--reuse")
    before = bench.stamps()
    second = bench.call("--reuse")
    assert (first.result["status"], second.result["status"]) == ("done", "unchanged")
    assert told(first) == told(second)
    assert bench.stamps() == before
    assert differs(first) == "record: there is none"
    assert differs(second) == "nothing"


def test_a_run_without_the_flag_works_and_is_recorded(bench: Bench) -> None:
    """Who does not ask for reuse gets work, whatever stands there; a later call may rely on it."""
    assert bench.call().result["status"] == "done"
    before = bench.stamps()
    again = bench.call()
    assert again.result["status"] == "done"
    assert bench.stamps()[bench.out / "total"] > before[bench.out / "total"]
    assert '"reuse"' not in again.stderr
    assert bench.call("--reuse").result["status"] == "unchanged"


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-2])


def _change_record(bench: Bench, key: str, value: object) -> None:
    bench.record.write_text(json.dumps(json.loads(bench.record.read_text()) | {key: value}))


def _flip(bench: Bench, old: str, new: str) -> None:
    text = bench.record.read_text()
    assert old in text
    bench.record.write_text(text.replace(old, new))


NO_RECORD = "record: unreadable"
CHANGES: dict[str, tuple[str, Callable[[Bench], object]]] = {
    "a parameter": ("parameter seed", lambda at: at.settings.extend(("--seed", "1"))),
    "a byte of an input": ("input source", lambda at: (at.folder / "source").write_text("12346")),
    "an input's bytes, not their number": ("input parts", lambda at: (at.folder / "b").write_text("23")),
    "the order of a list": ("input parts", lambda at: setattr(at, "parts", ("b", "a"))),
    "the length of a list": ("input parts", lambda at: setattr(at, "parts", ("a",))),
    "the verb": ("verb", lambda at: setattr(at, "verb", "recount")),
    "the code": ("code", lambda at: setattr(at, "image", IMAGE[:-1])),
    "an altered output": ("output total", lambda at: (at.out / "total").write_text("6 0")),
    "a truncated output": ("output total", lambda at: _cut(at.out / "total")),
    "a missing output": ("output total", lambda at: (at.out / "total").unlink()),
    "a folder that tells no origin": (
        "lineage of output pages",
        lambda at: (at.out / "pages" / ".lineage.json").unlink(),
    ),
    "an altered file in a folder": ("output pages", lambda at: (at.out / "pages" / "1.txt").write_text("3")),
    "a missing file in a folder": ("output pages", lambda at: (at.out / "pages" / "1.txt").unlink()),
    "another file in a folder": ("output pages", lambda at: (at.out / "pages" / "2.txt").touch()),
    "no record": ("record: there is none", lambda at: at.record.unlink()),
    "an empty record": (NO_RECORD, lambda at: at.record.write_text("")),
    "a truncated record": (NO_RECORD, lambda at: _cut(at.record)),
    "a record that is no object": (NO_RECORD, lambda at: at.record.write_text("[]")),
    "a record that is no text": (NO_RECORD, lambda at: at.record.write_bytes(b"\xff\xfe")),
    "a record without bottom": (NO_RECORD, lambda at: at.record.write_text("[" * 100_000)),
    "a record of another schema": (NO_RECORD, lambda at: _change_record(at, "schema_version", 2)),
    "a record in parts": (NO_RECORD, lambda at: _change_record(at, "call", {})),
    "a flipped value in a record": (NO_RECORD, lambda at: _flip(at, '"passed": true', '"passed": false')),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_differs_is_worked_anew(bench: Bench, change: str) -> None:
    """The diary names what differed, the outputs are those of the new call, and that call is then unchanged."""
    bench.call()
    what, make = CHANGES[change]
    make(bench)
    redone = bench.call("--reuse")
    assert redone.result["status"] == "done", redone.stderr
    assert differs(redone) == what
    seed = "1" if bench.settings else "0"
    assert (bench.out / "total").read_text() == f"5 {seed}"
    assert len(list((bench.out / "pages").glob("*.txt"))) == len(bench.parts)
    assert bench.call("--reuse").result["status"] == "unchanged"


def test_outputs_elsewhere_are_not_these(bench: Bench) -> None:
    """A record counts for the places that it names: one of two outputs put elsewhere is another call."""
    bench.call()
    redone = bench.call("--pages", str(bench.folder / "elsewhere"), "--reuse")
    assert differs(redone) == "output pages"
    assert (bench.folder / "elsewhere" / "1.txt").exists()


@pytest.mark.parametrize("image", ["", "brakeline/toy:stable", "brakeline/toy"])
def test_unknown_code_is_never_reused(bench: Bench, image: str) -> None:
    """Without an image named by content nothing is recorded, and what others recorded does not count."""
    bench.image = image
    done = bench.call("--reuse")
    assert differs(done).startswith("unknown: the code, BRAKELINE_IMAGE is ")
    assert not list(bench.folder.rglob(".*.made.json"))
    bench.image = IMAGE
    bench.call()
    bench.image = image
    assert bench.call("--reuse").result["status"] == "done"


def test_what_looks_at_the_world_is_never_skipped(bench: Bench) -> None:
    """A verb of the world does its work each time, and leaves no record."""
    words = ("look", "--seen", str(bench.out / "seen"), "--reuse")
    done = [bench.run(*words), bench.run(*words)]
    assert [each.result["status"] for each in done] == ["done", "done"]
    assert "world" in differs(done[1])
    assert not list(bench.folder.rglob(".*.made.json"))


def test_a_verb_without_outputs_is_never_skipped(bench: Bench) -> None:
    """There is nothing that could stand."""
    done = [bench.run("tell", "--reuse"), bench.run("tell", "--reuse")]
    assert [each.result["status"] for each in done] == ["done", "done"]
    assert "no output" in differs(done[1])


def test_an_output_parameter_is_written_again(bench: Bench) -> None:
    """Its file is no artifact: gone or altered, or asked for only now, it is written from the record."""
    bench.call()
    for content in ("", "false"):
        (bench.out / "passed").write_text(content)
        done = bench.call("--passed", str(bench.out / "passed"), "--reuse")
        assert done.result["status"] == "unchanged"
        assert (bench.out / "passed").read_text() == "true"


def test_the_executor_output_is_written_again(bench: Bench) -> None:
    """An unchanged task reports to the pipeline what it reported first."""
    file = bench.folder / "run" / "executor_output.json"
    message = {"outputs": {"outputFile": str(file)}}
    bench.call("--executor-input", json.dumps(message))
    first = file.read_bytes()
    file.write_text("stale")
    assert bench.call("--executor-input", json.dumps(message), "--reuse").result["status"] == "unchanged"
    assert file.read_bytes() == first


def test_the_pipelines_own_sha256_is_checked_first(bench: Bench) -> None:
    """An input that is not what the pipeline recorded is refused (65), though the outputs stand for its bytes."""
    bench.call()
    listed = {"artifacts": [{"uri": str(bench.folder / "source"), "metadata": {"sha256": "0" * 64}}]}
    message = {"inputs": {"artifacts": {"source": listed}}}
    done = bench.call("--executor-input", json.dumps(message), "--reuse")
    assert done.code == 65
    assert done.error["event"] == "ArtifactAltered"


def test_what_a_verb_is_handed_of_the_pipeline_counts(bench: Bench) -> None:
    """A verb that reads the executor input itself is worked anew when that says something else."""
    words = ("hand", "--handed", str(bench.out / "handed"), "--reuse", "--executor-input")
    done = [bench.run(*words, json.dumps({"task": task})) for task in ("1", "1", "2")]
    assert [each.result["status"] for each in done] == ["done", "unchanged", "done"]
    assert differs(done[2]) == "parameter given"


def test_a_failed_call_records_nothing(bench: Bench) -> None:
    """It fails again when asked again; what an earlier call made, and its record, stand as they were."""
    for _ in range(2):
        assert bench.call("--label", "fail", "--reuse").code == 75
    assert not list(bench.out.iterdir())
    bench.call()
    assert bench.call("--label", "fail", "--reuse").code == 75
    assert bench.call("--reuse").result["status"] == "unchanged"


def test_an_unreadable_input_is_bad_data(bench: Bench) -> None:
    """Hashing an input meets the errors of reading before the step does: 65, with the path."""
    # Its first page is never mapped: opening succeeds and reading gives EIO, for root too.
    done = bench.call("--source", "/proc/self/mem")
    assert done.code == 65
    assert done.error["path"] == "/proc/self/mem"


def test_the_flag_is_of_the_contract_not_of_the_verb(bench: Bench) -> None:
    """`--describe` does not list it, `--help` does."""
    assert "reuse" not in bench.run("--describe").stdout
    assert "--reuse" in bench.run("count", "--help").stdout
