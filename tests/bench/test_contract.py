"""Every bench of bench/ keeps to what bench/README.md asks of one, so that all can be run by one command."""

import re
import subprocess

import _folder
import _servers
import pytest
from _report import EX_UNAVAILABLE

from tests.bench.conftest import Room
from tests.conftest import HOUSE, command

BENCHES = _folder.benches(HOUSE / "bench")
README = (HOUSE / "bench" / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("bench", BENCHES, ids=lambda bench: bench.name)
def test_a_bench_says_what_it_measures_and_takes_what_all_take(bench: _folder.Bench) -> None:
    """Its docstring has a first line and a paragraph on peer or limit; --quick and --json are in its help."""
    assert bench.measures.endswith(".")
    assert bench.beside.endswith(".")
    assert "`--" not in bench.beside, "the second paragraph is about peer or limit, not about options"
    told = command("python", HOUSE / "build.py", "bench", bench.name, "--help")
    assert told.code == 0, told.stderr
    assert {"--quick", "--json"} <= set(re.findall(r"--[a-z]+", told.stdout))


def test_a_bench_by_its_name_is_run_alone() -> None:
    """`bench NAME` runs that one as a table for people; an unknown one is refused with those that there are."""
    refused = command("python", HOUSE / "build.py", "bench", "nothing")
    assert refused.code == 2
    for bench in BENCHES:
        assert bench.name in refused.stderr


@pytest.mark.parametrize(
    ("name", "environment", "told"),
    [
        ("images", {"DOCKER_HOST": "unix:///nowhere/docker.sock"}, "docker"),
        ("serving", {"PATH": "/nowhere"}, "apt-get install wrk"),
    ],
)
def test_what_a_machine_lacks_skips_a_bench_and_says_so(name: str, environment: dict[str, str], told: str) -> None:
    """Status 69, no figures, and a last line that says what is lacking."""
    done = command("python", HOUSE / "bench" / f"{name}.py", "--quick", "--json", environment=environment)
    assert done.code == EX_UNAVAILABLE, done.stderr
    assert done.stdout == ""
    assert told in done.stderr.splitlines()[-1].lower()


def test_peers_that_cannot_be_installed_are_missing_by_name(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a package index each peer says why it is not there, and the rest can be measured."""
    monkeypatch.setattr(_servers, "ENVIRONMENTS", room.folder / "environments")
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(room.folder / "cache"))
    found, missing = _servers.peers(room.folder / "model.onnx", room.folder)
    assert found == []
    assert missing.keys() == {"MLServer", "KServe", "FastAPI"}
    assert all("is a package index reachable?" in why for why in missing.values())


def test_the_whole_command_tells_its_options() -> None:
    """Those of bench/README.md are in the help."""
    told = command("python", HOUSE / "build.py", "bench", "--help")
    assert told.code == 0, told.stderr
    for line in re.findall(r"python build\.py bench (--[^`]*)`", README):
        assert set(re.findall(r"--[a-z-]+", line)) <= set(re.findall(r"--[a-z-]+", told.stdout)), line


def test_code_that_changed_is_other_code(room: Room) -> None:
    """The revision names the commit, and is another as soon as a file differs; what benches write does not count."""

    def git(*words: str) -> None:
        who = ("-c", "user.name=a", "-c", "user.email=a@b")
        subprocess.run(["git", *who, *words], cwd=room.folder, check=True, capture_output=True)

    (room.folder / "bench").mkdir()
    (room.folder / "code.py").write_text("1")
    git("init")
    git("add", "code.py")
    git("commit", "-m", "one")
    clean = _folder.revision(room.folder)
    assert re.fullmatch("[0-9a-f]{12}", clean)
    for name in ("RESULTS.md", "results.json", "aims.svg"):
        (room.folder / "bench" / name).write_text("written")
    assert _folder.revision(room.folder) == clean
    (room.folder / "code.py").write_text("2")
    changed = _folder.revision(room.folder)
    (room.folder / "new.py").write_text("3")
    more = _folder.revision(room.folder)
    assert len({clean, changed, more}) == 3
    assert all(each.startswith(f"{clean} with changes ") for each in (changed, more))
