"""What an image is named by, without an engine: everything that goes in, and nothing else."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from brakeline import images as locked
from brakeline_images import compose, context, debian, locks, plan, wheels
from brakeline_images.builder import _for_people
from brakeline_images.errors import BaseNotMade, LocksDisagree

from tests.conftest import HOUSE, command

BASE = "base@sha256:" + "0" * 64
DOCKERFILES = [
    *HOUSE.glob("steps/*/Dockerfile"),
    *HOUSE.glob("serving/**/Dockerfile"),
    HOUSE / "notebooks" / "Dockerfile",
    *plan.ROOM.rglob("*.Dockerfile"),
]


def references() -> dict[str, str]:
    """Every image's and rung's name as things are."""
    return plan.make(BASE).references


def changed(before: dict[str, str]) -> set[str]:
    """What is named otherwise now."""
    now = references()
    return {name for name in now if now[name] != before.get(name)}


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Pretend that the sources of some images are others."""

    def change(*names: str) -> None:
        real = locked.source_hash
        monkeypatch.setattr(plan, "source_hash", lambda name: "other" if name in names else real(name))

    return change


def test_the_same_files_give_the_same_names() -> None:
    """Names are by content: twenty hexadecimal digits."""
    before = references()
    assert before == references()
    assert all(re.fullmatch(r"brakeline/[a-z-]+:[0-9a-f]{20}", reference) for reference in before.values())


def test_a_change_of_a_step_renames_that_step_alone(source: Callable[..., None]) -> None:
    """Its rungs, its packages and the other images keep their names."""
    before = references()
    source("train")
    assert changed(before) == {"train"}


def test_another_base_renames_everything() -> None:
    """Nothing stands on what it was not built on."""
    before = references()
    now = plan.make("other@sha256:" + "1" * 64).references
    assert all(now[name] != before[name] for name in before)


def test_a_changed_lock_renames_what_stands_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new numpy renames all rungs from numeric up and what stands there; register and deploy do not care."""
    before, read = references(), locks.read
    monkeypatch.setattr(
        locks,
        "read",
        lambda lock: frozenset(
            locks.Pinned("numpy", "9.9", "numpy==9.9") if package.name == "numpy" else package for package in read(lock)
        ),
    )
    renamed = changed(before)
    assert {"numeric", "data", "learning", "synthesize", "train", "validate", "serving", "client"} <= renamed
    assert not {"foundation", "python", "commands", "register", "deploy"} & renamed


def test_only_names_one_image_and_what_it_stands_on() -> None:
    """Nothing of the learning rung is planned for register."""
    needed = {"foundation", "python", "commands", "register-packages", "register"}
    assert set(plan.make(BASE, ("register",)).nodes) == needed


def test_a_rung_holds_what_all_above_it_need() -> None:
    """No image gets a package that its lock does not name, and each gets all that it names."""
    made = plan.make(BASE, tuple(image.name for image in plan.IMAGES))
    for image in plan.IMAGES:
        assert made.packages_in(image.name) == locks.read(HOUSE / image.folder / "requirements.lock"), image.name


def test_the_workbench_is_built_where_it_is_asked_for_and_moves_no_rung() -> None:
    """Nobody who runs a pipeline pays for it, and what it needs renames nothing that the others stand on."""
    usual, asked = plan.make(BASE), plan.make(BASE, (*plan.USUAL, "workbench"))
    assert "workbench" not in usual.nodes
    assert usual.references.items() <= asked.references.items()
    assert asked.nodes["workbench-packages"].parent == "learning"
    assert asked.nodes["workbench"].source == locked.source_hash("workbench")


def test_a_workbench_knows_what_the_steps_beside_it_were_made_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the file that its image brings, which has the hash of each; without either nothing passes for the code."""
    (brought,) = [content for name, content in _for_people(plan.IMAGES[-1]) if name.endswith("sources.json")]
    (tmp_path / "sources.json").write_bytes(brought)
    here = {step: locked.source_hash(step) for step in locked.STEPS}
    monkeypatch.setattr(locked, "HOUSE", tmp_path)
    monkeypatch.setattr(locked, "SOURCES", tmp_path / "sources.json")
    assert {step: locked.source_hash(step) for step in locked.STEPS} == here
    with pytest.raises(locked.NotBuilt, match="no sources in"):
        locked.source_hash("workbench")
    (tmp_path / "sources.json").unlink()
    with pytest.raises(locked.NotBuilt, match=r"sources\.json does not tell what train was made of"):
        locked.source_hash("train")


def test_what_an_image_shares_are_the_notebooks_of_the_house() -> None:
    """Each of them, and no other; so a new one is not forgotten."""
    shared = {Path(name).name for name in locked.SHARED}
    assert {file.name for file in (HOUSE / "notebooks").glob("*.ipynb")} == shared - {"recorded_stops.csv"}
    assert all((HOUSE / name).is_file() for name in locked.SHARED)


def test_a_lock_is_read_for_the_images_python(tmp_path: Path) -> None:
    """Markers are judged for Python 3.13 on Linux; hashes are kept."""
    lock = tmp_path / "requirements.lock"
    lock.write_text(
        "# made by a tool\na==1 ; sys_platform == 'win32' \\\n    --hash=sha256:00\n"
        "b==2 ; python_full_version < '3.12' \\\n    --hash=sha256:11\n"
        "b==3 ; python_full_version >= '3.12' \\\n    --hash=sha256:22 \\\n    --hash=sha256:33\n"
    )
    (package,) = locks.read(lock)
    assert (package.name, package.version) == ("b", "3")
    assert "--hash=sha256:33" in package.lines


def test_locks_that_disagree_are_refused() -> None:
    """One rung cannot hold two versions of a package."""
    with pytest.raises(LocksDisagree, match="a is locked to"):
        locks.shared([frozenset({locks.Pinned("a", version, "")}) for version in "12"])


def test_equal_files_are_an_equal_context(tmp_path: Path) -> None:
    """Whatever their order, times and modes."""
    packed = []
    for mode, order, time in ((0o600, 1, 1), (0o755, -1, 10**9)):
        folder = tmp_path / str(mode)
        folder.mkdir()
        for name in ("a", "b"):
            (folder / name).write_text(name)
            (folder / name).chmod(mode)
            os.utime(folder / name, (time, time))
        with context.pack(b"FROM x", context.tree(folder, "opt")[::order]) as stream:
            packed.append(stream.read())
    assert packed[0] == packed[1]


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda file: str(file.relative_to(HOUSE)))
def test_dockerfiles_need_no_shell_and_no_network(dockerfile: Path) -> None:
    """COPY and exec-form RUN only; FROM by argument, so that every parent is named by content; not root at the end."""
    lines = re.sub(r"\\\n", " ", dockerfile.read_text()).splitlines()
    words = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
    assert {instruction for instruction, _ in words} <= {
        "ARG", "FROM", "USER", "COPY", "RUN", "ENV", "WORKDIR", "ENTRYPOINT", "CMD", "EXPOSE",
    }  # fmt: skip
    for instruction, rest in words:
        if instruction in {"RUN", "CMD", "ENTRYPOINT"}:
            assert isinstance(json.loads(rest), list)
        if instruction == "FROM":
            assert re.fullmatch(r"\$\{[A-Z]+\}", rest)
        if instruction == "ENTRYPOINT" and "stores" not in dockerfile.parts:
            assert json.loads(rest) == []
    assert [rest for instruction, rest in words if instruction == "USER"][-1] == "1001:0"


def test_our_own_code_is_installed_as_a_wheel_is() -> None:
    """Packages, their metadata and a console script with the image's interpreter."""
    files = dict(wheels.own([HOUSE / "steps/kit", HOUSE / "steps/train"], "/opt/python"))
    assert f"{wheels.SITE}/brakeline_train/cli.py" in files
    assert f"{wheels.SITE}/stepkit/app.py" in files
    assert files["bin/brakeline-train"].startswith(b"#!/opt/python\n")
    assert any(name.endswith(".dist-info/METADATA") for name in files)


ONE_LINE = (
    "deb [arch=amd64 signed-by=/k.gpg] http://mirror.test/debian {0} main contrib\ndeb http://x.test/apt other main\n"
)
DEB822 = "Types: deb\nURIs: https://mirror.test/debian\nSuites: {0} {0}-updates\nComponents: main\nSigned-By: /k.gpg\n"


@pytest.mark.parametrize(("name", "text"), [("sources.list", ONE_LINE), ("sources.list.d/debian.sources", DEB822)])
def test_the_machines_own_mirror_is_used(name: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Either of apt's formats; the suite is replaced, foreign sources are left out, the keyring is kept."""
    monkeypatch.setattr(debian, "_codename", lambda: "bookworm")
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text.format("bookworm"))
    found = debian.sources(tmp_path)
    assert "mirror.test/debian" in found
    assert "Suites: trixie" in found
    assert "Signed-By: /k.gpg" in found
    assert "x.test" not in found


def test_a_machine_without_a_debian_mirror_is_told_so(tmp_path: Path) -> None:
    """The message names the place that was searched and the way around."""
    with pytest.raises(BaseNotMade, match="--base IMAGE"):
        debian.sources(tmp_path)


def test_composes_variables_leave_other_lines_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user's own lines and other images' stay; ours are replaced."""
    monkeypatch.setattr(compose, "ENV", tmp_path / ".env")
    (tmp_path / ".env").write_text("MINE=1\nBRAKELINE_IMAGE_MARIADB=m:1\nBRAKELINE_IMAGE_TRAIN=t:1\n")
    compose.name_images({"train": "t:2"}, "0123abc")
    assert (tmp_path / ".env").read_text().split() == [
        "MINE=1", "BRAKELINE_IMAGE_MARIADB=m:1", "BRAKELINE_IMAGE_TRAIN=t:2",
        "BRAKELINE_REVISION=0123abc",
    ]  # fmt: skip


def test_an_unknown_image_is_a_usage_error() -> None:
    """The message lists what there is."""
    done = command("brakeline-images", "--only", "trian")
    assert done.code == 2
    assert "train" in done.stderr


def test_without_an_engine_the_way_to_one_is_told() -> None:
    """69, and how to get an engine or do without."""
    done = command("brakeline-images", environment={"DOCKER_HOST": "unix:///nonexistent.sock"})
    assert done.code == 69
    assert "apt-get install docker.io" in done.stderr
    assert "build.py run" in done.stderr


def test_check_tells_a_stale_lock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Images of other sources are stale, whatever their names; nothing built is stale too."""
    monkeypatch.setattr(locked, "LOCK", tmp_path / "images.lock.json")
    assert set(locked.stale()) == set(locked.CONTENT) - set(locked.OPTIONAL)
    assert locked.stale([locked.WORKBENCH]) == [locked.WORKBENCH]
    built = {name: locked.Built("r", "i", locked.source_hash(name)) for name in locked.CONTENT}
    locked.write({}, built)
    assert locked.stale() == []
    locked.write({}, {**built, "train": locked.Built("r", "i", "older")})
    assert locked.stale() == ["train"]
    with pytest.raises(locked.NotBuilt, match=r"train .*older than their sources.*build\.py"):
        locked.for_containers()
