"""Lineage: every folder tells the calls that it comes from, whatever is amiss with what came before."""

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
from stepkit import artifacts, lineage
from stepkit.errors import NotAsMade, UnreadableArtifact
from stepkit.lineage import Made

from tests.conftest import Done, command

TOY = Path(__file__).with_name("toy_step.py")
IMAGE, REVISION = "brakeline/toy:" + "0123456789abcdef" * 2, "a" * 40
FIRST = Made("toy", "make", "1", "1", IMAGE, REVISION, {"shard": "0/2", "seed": 1}, {}, {"part": "0" * 64})


def count(out: Path, *parts: Path, seed: int = 0) -> Done:
    listed = [word for part in parts for word in ("--parts", str(part))]
    known = {lineage.IMAGE: IMAGE, lineage.REVISION: REVISION}
    outputs = ("--total", out / "total", "--pages", out / "pages", "--told", out / "told")
    done = command(
        "python", TOY, "tell-all", "--source", out.parent / "source", *listed, *outputs, "--seed", seed,
        environment=known,
    )  # fmt: skip
    assert done.code == 0, done.stderr
    return done


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "source").write_text("12345")
    return tmp_path / "source"


def told(folder: Path) -> list[Made]:
    return lineage.read(folder / lineage.FILE)


def test_a_folder_tells_the_call_that_made_it(source: Path, tmp_path: Path) -> None:
    """Step, verb, versions, image, revision, parameters, and the sha256 of every input and output."""
    done = count(tmp_path / "out", source, source)
    (made,) = told(tmp_path / "out" / "pages")
    content = artifacts.sha256_of(source)
    assert (made.step, made.verb, made.version, made.image, made.revision) == ("toy", "tell-all", "1", IMAGE, REVISION)
    assert made.parameters == {"seed": 0, "label": ""}
    assert made.inputs == {"source": [content], "parts": [content, content]}
    assert made.outputs == {name: done.sha256(name) for name in ("total", "pages")}


def test_an_output_for_it_tells_the_same(source: Path, tmp_path: Path) -> None:
    """The verb that asks for one gets a file with the same calls; it is named in no call, since it holds them."""
    done = count(tmp_path / "out", source)
    assert lineage.read(tmp_path / "out" / "told") == told(tmp_path / "out" / "pages")
    assert done.sha256("told") == artifacts.sha256_of(tmp_path / "out" / "told")


def test_what_came_before_is_handed_on_once(source: Path, tmp_path: Path) -> None:
    """Two inputs with a common forerunner: three calls, each once, whichever way they come."""
    count(tmp_path / "a", source)
    pages = tmp_path / "a" / "pages"
    for name, seed in (("b", 1), ("c", 2)):
        count(tmp_path / name, pages, seed=seed)
    count(tmp_path / "d", *(tmp_path / name / "pages" for name in "cba"), seed=3)
    found = told(tmp_path / "d" / "pages")
    assert sorted(call.parameters["seed"] for call in found) == [0, 1, 2, 3]
    last = next(call for call in found if call.parameters["seed"] == 3)
    assert last.inputs["parts"] == [artifacts.sha256_of(tmp_path / name / "pages") for name in "cba"]


def test_its_size_and_time_are_no_part_of_the_artifact(source: Path, tmp_path: Path) -> None:
    """Other code, same bytes: the artifact's sha256 and size are the same."""
    done = count(tmp_path / "out", source)
    pages = tmp_path / "out" / "pages"
    metadata = done.result["artifacts"]["pages"]["metadata"]
    (pages / lineage.FILE).unlink()
    assert (artifacts.sha256_of(pages), artifacts.size_of(pages)) == (metadata["sha256"], metadata["bytes"])


def test_same_calls_same_bytes(source: Path, tmp_path: Path) -> None:
    """No clock, no path and no chance is in it."""
    for name in ("one", "two"):
        count(tmp_path / name, source)
    one, two = (tmp_path / name / "pages" / lineage.FILE for name in ("one", "two"))
    assert one.read_bytes() == two.read_bytes()


def as_text(calls: list[Made]) -> list[str]:
    return sorted(json.dumps(vars(call), sort_keys=True) for call in calls)


def shards(number: int) -> list[Made]:
    return [
        replace(FIRST, parameters={"shard": f"{one}/{number}", "seed": 1}, outputs={"part": f"{one:064x}"})
        for one in range(number)
    ]


def test_shards_are_told_compactly_and_come_back(tmp_path: Path) -> None:
    """A thousand calls of one kind tell what they share once; in any order the same bytes; nothing is lost."""
    calls = [replace(each, parameters={**each.parameters, "scenario": "x" * 5000}) for each in shards(1000)]
    lineage.write(tmp_path / "one", calls)
    lineage.write(tmp_path / "two", random.Random(0).sample([*calls, *calls], 2000))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert (tmp_path / "one").stat().st_size < 1000 * 200
    back = lineage.read(tmp_path / "one")
    assert as_text(back) == as_text(calls)


def test_calls_that_differ_in_what_they_share_come_back() -> None:
    """Other parameters, other inputs by name, true beside 1: each call is as it was."""
    calls = [
        FIRST,
        replace(FIRST, parameters={}, outputs={"part": "1" * 64}),
        replace(FIRST, parameters={"shard": "0/2", "seed": True}, outputs={"part": "2" * 64}),
        replace(FIRST, inputs={"a": ["3" * 64]}, outputs={"part": "3" * 64}),
        replace(FIRST, image="another"),
    ]
    back = [call for group in lineage.compact(calls) for call in lineage.expand(json.loads(json.dumps(group)))]
    assert as_text(back) == as_text(calls)


def test_only_what_leads_to_an_artifact_is_handed_on() -> None:
    """Calls that an artifact does not come from are left behind; a circle ends."""
    first, other = shards(2)
    second = replace(FIRST, verb="join", inputs={"parts": [first.outputs["part"]]}, outputs={"whole": "e" * 64})
    assert lineage.leading_to([first, other, second], ["e" * 64]) == [second, first]
    assert lineage.leading_to([first, other, second], ["f" * 64]) == []
    circle = replace(FIRST, inputs={"parts": ["0" * 64]})
    assert lineage.leading_to([circle], ["0" * 64]) == [circle]


BROKEN = ["", "{", "[]", "null", "3", "{}", '{"schema_version": 9, "calls": []}', '{"schema_version": 1}',
          '{"schema_version": 1, "calls": [3]}', '{"schema_version": 1, "calls": [{}]}',
          '{"schema_version": 1, "calls": {"a": 1}}', "[" * 100_000]  # fmt: skip


@pytest.mark.parametrize("text", BROKEN, ids=range(len(BROKEN)))
def test_what_is_no_lineage_is_a_gap_that_is_told(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No step fails of it: the diary names the file, and the calls before are not known."""
    (tmp_path / lineage.FILE).write_text(text)
    with pytest.raises(UnreadableArtifact):
        lineage.read(tmp_path / lineage.FILE)
    assert lineage.before({tmp_path: "0" * 64}) == []
    assert not lineage.stands(tmp_path, "0" * 64)
    assert str(tmp_path / lineage.FILE) in capsys.readouterr().err


def test_any_flipped_byte_is_seen(tmp_path: Path) -> None:
    """Whichever byte of the file has a bit flipped, it is no lineage any more."""
    file = tmp_path / lineage.FILE
    lineage.write(file, shards(2))
    whole = file.read_bytes()
    for place in range(len(whole)):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        with pytest.raises(UnreadableArtifact):
            lineage.read(file)
    file.write_bytes(whole)
    assert len(lineage.read(file)) == 2


def test_an_altered_folder_is_refused(source: Path, tmp_path: Path) -> None:
    """A folder that was changed after it was made: 65 with what to do; without what it told it is taken as it is."""
    count(tmp_path / "out", source)
    pages = tmp_path / "out" / "pages"
    (pages / "0.txt").write_text("6")
    with pytest.raises(NotAsMade, match="make it again, or remove that file") as refused:
        lineage.before({pages: artifacts.sha256_of(pages)})
    assert refused.value.exit_code == 65
    (pages / lineage.FILE).unlink()
    assert lineage.before({pages: artifacts.sha256_of(pages)}) == []
