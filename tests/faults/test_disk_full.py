"""A disk that is full while something is written: nothing half-written stays, and with room the same call ends well."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.conftest import Done, command
from tests.deploy.test_deploy import serving
from tests.faults import disk
from tests.faults.calls import CALLS, IMAGE, begin, left_by
from tests.faults.counting import Tally

# What writes little and is quickly done stands for the others in the default suite.
QUICK = (("synthesize generate", "part"), ("synthesize assemble", "rejects"), ("register record", "recorded"))
# Seconds each: their outputs meet one full disk each.
DEAR = {"train fit", "validate validate"}
JOURNALS = {".results.resume"}


def rooms(name: str, path: Path) -> list[int]:
    """Pages that are too few for an artifact: none, half of what it takes, and all but one."""
    whole = disk.pages(path)
    return [whole // 2] if name in DEAR else sorted({0, whole // 2, max(whole - 1, 0)})


def fill_up(name: str, outputs: Sequence[str], chain: Path, folder: Path, tally: Tally, *more: str) -> None:
    """Make a call with one of its outputs on a disk that has too little room for it, one after the other.

    In the end the same call finds room for all of them there.
    """
    verb, out = CALLS[name], folder / "out"
    begin(verb, chain, out)
    words = [*verb.words(chain, out), *more]
    assert command(*words, environment=IMAGE).code == 0
    with disk.mounted(folder / "small") as small:
        places = {out / output: small.folder / output for output in verb.outputs}
        wanted = {key: value for key, value in left_by(out).items() if key.split("/")[0] in verb.outputs}
        tried = 0
        for output in outputs:
            for room in rooms(name, out / output):
                small.leave(room)
                tally.tried()
                tried += 1
                moved = {str(out / output): str(small.folder / output)}
                done = command(*[moved.get(word, word) for word in words], environment=IMAGE)
                require_told(done, small.folder / output)
                assert small.files() <= JOURNALS, f"{output}, {room} pages of room"
        small.clear()
        everywhere = {str(there): str(here) for there, here in places.items()}
        again = command(*[everywhere.get(word, word) for word in words], environment=IMAGE)
        assert again.code == 0, again.stderr
        found = left_by(small.folder, registry=out)
        tally.lost(len(wanted.keys() - found.keys()))
        assert found == wanted
        tally.survived(tried)


def require_told(done: Done, place: Path) -> None:
    """The status that says that it may pass, the file by its own name, and what to do."""
    assert done.code == 75, done.stderr
    message = done.error["message"]
    # A step that keeps what it goes on from names that, beside the output.
    assert str(place) in message or str(place.with_name(f".{place.name}.resume")) in message, message
    assert "No space left" in message and "make room" in message, message
    assert ".partial-" not in message


@pytest.mark.parametrize(("name", "output"), QUICK)
def test_a_full_disk_is_told_and_leaves_nothing(
    name: str, output: str, chain: Path, tmp_path: Path, tally: Tally
) -> None:
    """For three outputs of three steps, as for all of them in the long suite."""
    fill_up(name, [output], chain, tmp_path, tally)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in CALLS if name != "deploy apply"])
def test_each_output_meets_a_full_disk(name: str, chain: Path, tmp_path: Path, tally: Tally) -> None:
    """At its first, a middle or its last page: 75 with its name, nothing left; with room the bytes of any other."""
    fill_up(name, CALLS[name].outputs, chain, tmp_path, tally)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A server that follows the store of the call."""
    begin(CALLS["deploy apply"], tmp_path, tmp_path / "out")
    with serving(tmp_path / "out" / "store") as url:
        yield url


@pytest.mark.slow
def test_an_endpoint_meets_a_full_disk(server: str, chain: Path, tmp_path: Path, tally: Tally) -> None:
    """The version serves and is proven; the same call with room tells where."""
    fill_up("deploy apply", ["endpoint"], chain, tmp_path, tally, "--server", server)
