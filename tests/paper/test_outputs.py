"""What the pages say that our commands print is what they print: run against the stand-ins, times and ids aside."""

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from brakeline import images
from brakeline.cli import app
from brakeline.doctor import machine
from brakeline_register.registry import open_registry
from typer.testing import CliRunner

from tests.cluster import conftest as of_the_cluster
from tests.cluster.kfp_server import Api
from tests.cluster.published import DESCRIPTION
from tests.conftest import HOUSE, command
from tests.manifests.objects import Manifest
from tests.manifests.trees import rendered
from tests.orchestrator import object_store
from tests.paper.pages import PAGES, SEEN, Shown, shown
from tests.register.registries import NAME, entry, service
from tests.upkeep import services as stand_in
from tests.upkeep.conftest import named

__all__ = ["api", "pushed"]
api, pushed = of_the_cluster.api, of_the_cluster.pushed
APPLIED = "serverside-applied"
ALL = [one for page in PAGES for one in shown(page) if one.mark == SEEN]


def of(*starts: str) -> list[Shown]:
    return [one for one in ALL if one.command.startswith(starts)]


def plain(text: str) -> list[str]:
    """Lines without what differs from one call to the next, and from one machine to another."""
    for pattern, stands_for in (
        (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "<id>"),
        (r"\bir-[0-9a-f]+\b", "ir-<hash>"),
        (r"-[0-9a-f]{8}-[0-9a-f]{10}\b", "-<hash>-<key>"),
        (r"-[0-9a-f]{8}\b", "-<hash>"),
        (r"20\d\d-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\+00:00)?", "<time>"),
        (r"https?://127\.0\.0\.1:\d+|https://[\w.-]+\.apps\.example\.com", "<url>"),
        (r"(?<=of )127\.0\.0\.1:\d+|(?<=of )[\w.-]+\.apps\.example\.com", "<host>"),
        (r"\d+ GB free", "<n> GB free"),
        (r"\d+ not set", "<n> not set"),
        (r"/[\w./-]*/(?=bundle\.pem|token|kubeconfig)", ""),
    ):
        text = re.sub(pattern, stands_for, text)
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def words(line: str) -> list[str]:
    """A line as a shell takes it, without its remark."""
    return shlex.split(line, comments=True)


def printed(line: str) -> str:
    """What a command of ours writes, to people and as its result, in the order of the page: the diary first."""
    done = CliRunner().invoke(app, words(line)[1:], env={"COLUMNS": "220"}, catch_exceptions=False)
    return done.stderr + done.stdout


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A machine without an engine, a kubeconfig, or variables of its own; commands run in an empty folder."""
    ours = ("AWS_", "BRAKELINE_", "KUBE", "DOCKER", "SSL_", "REQUESTS_", "KF_")
    for name in list(os.environ):
        if name.startswith(ours) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(machine, "_SOCKET", tmp_path / "docker.sock")
    monkeypatch.setattr(images, "LOCK", tmp_path / "images.lock.json")
    monkeypatch.chdir(tmp_path)
    yield


def held(one: Shown, run: str = "") -> None:
    """The page's lines are the command's; the run that it names is the one that there is."""
    line = re.sub(r"(?<=wait )[0-9a-f-]{36}", run, one.command)
    assert plain(one.output) == plain(printed(line)), str(one)


def test_every_output_is_held_by_a_test_here() -> None:
    """A command that is said to have been run, and that no test below runs, is a promise nobody keeps."""
    known = of("brakeline doctor", "brakeline submit", "brakeline wait", "brakeline schedule", "brakeline models")
    known += of("python build.py manifests")
    assert [str(one) for one in ALL if one not in known] == []


def test_doctor_on_an_empty_machine() -> None:
    """Nothing is named yet, so little is looked at."""
    held(of("brakeline doctor")[0])


def test_doctor_with_a_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """All that the environment names is asked."""
    with stand_in.serving() as made, object_store.serving() as store:
        named(monkeypatch, tmp_path, made)
        for name, value in {**store.environment(), "BRAKELINE_STORE": "s3://pipeline-artifacts/brakeline"}.items():
            monkeypatch.setenv(name, value)
        held(of("brakeline doctor")[1])


@pytest.mark.skipif(not DESCRIPTION.is_file(), reason="the published description of the API is not there")
@pytest.mark.usefixtures("pushed")
def test_a_run_from_submit_to_schedule(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order of the page; ids are the API's own."""
    with object_store.serving() as store:
        for name, value in {**store.environment(), "BRAKELINE_STORE": "s3://pipeline-artifacts/brakeline"}.items():
            monkeypatch.setenv(name, value)
        for one in of("brakeline submit", "brakeline wait", "brakeline schedule"):
            held(one, next(iter(api.state.runs), ""))


def test_a_persons_promotion(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two versions are registered; the second becomes the live one."""
    with service("0.3.8", tmp_path, monkeypatch) as registry:
        monkeypatch.setenv("BRAKELINE_REGISTRY", registry.url)
        known = open_registry(registry.url)
        for content in ("a", "b"):
            known.add(NAME, entry(content))
        for one in of("brakeline models"):
            done = command(*words(one.command), environment={"COLUMNS": "220"})
            assert plain(one.output) == plain(done.stderr + done.stdout), str(one)


@pytest.mark.parametrize("one", of("python build.py manifests"), ids=str)
def test_what_the_manifests_lack(one: Shown) -> None:
    """Names of overlays, and placeholders that are left; `…` stands for more of them."""
    done = command("python", HOUSE / "build.py", *words(one.command)[2:], folder=HOUSE)
    found = plain(done.stderr + done.stdout)
    assert "…" in plain(one.output) or plain(one.output) == found
    lines = iter(found)
    assert [line for line in plain(one.output) if line != "…" and line not in lines] == []


@pytest.mark.parametrize("one", [one for page in PAGES for one in shown(page) if APPLIED in one.output], ids=str)
def test_what_an_apply_lists_is_what_is_rendered(one: Shown) -> None:
    """`oc apply` names each object with its group; the page's are the manifests', in their order, `…` for others."""
    if not (folder := re.match(r"python build\.py manifests (\S+)", one.command)):
        return
    tree = folder[1] if "/" in folder[1] else f"manifests/overlays/{folder[1]}"
    names = iter([f"{_resource(made)}/{made.name} {APPLIED}" for made in rendered(HOUSE / tree)])
    assert [line for line in one.output.splitlines() if line != "…" and line not in names] == []


def _resource(made: Manifest) -> str:
    group, _, version = made.api_version.partition("/")
    return f"{made.kind.lower()}.{group}" if version else made.kind.lower()
