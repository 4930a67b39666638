"""The workbench's image as the rendered Notebooks start it: arguments, probes and volumes, as OpenShift's user."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from brakeline import images

from tests import engine
from tests.images.test_images import HARDENED, PYTHON
from tests.manifests import trees
from tests.manifests.test_workbenches import NAMES, container

HOME = "/opt/app-root/src"
USER = HARDENED["user"]
# Small: what runs there is held by tests/notebooks, and here that it does.
SIZES = {"ROWS": 2000, "HOLDOUT_ROWS": 2000, "FLOOR_ROWS": 100, "TRIALS": 1, "RUNS": 2}
LOOK = """
import json, os, pathlib, shutil
from brakeline import images
home = pathlib.Path.home()
print(json.dumps({
    "user": os.getuid(), "home": str(home), "notebooks": sorted(os.listdir(home / "notebooks")),
    "shell": shutil.which("sh"), "images": images.for_processes(), "pushed": images.for_cluster(),
}))
"""


@dataclass
class Started:
    """A running workbench, and where its port is."""

    pod: dict[str, Any]
    container: Any
    port: int

    def ask(self, path: str) -> tuple[int, str]:
        """Status and body of a GET, as probe and proxy ask."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)) as connection:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(errors="replace")

    def probed(self, name: str) -> int:
        """The status that a probe gets; 0 while nobody listens."""
        try:
            return self.ask(self.pod[name]["httpGet"]["path"])[0]
        except (OSError, http.client.HTTPException):
            return 0

    def run(self, *words: str, **variables: object) -> str:
        """A command in it, as its own user; its stdout. Fails the test where it fails."""
        told = {name: str(value) for name, value in variables.items()}
        code, said = self.container.exec_run(list(words), environment=told, demux=True)
        assert code == 0, (said[1] or b"").decode()
        return str((said[0] or b"").decode())


@contextlib.contextmanager
def started(name: str, home: Path) -> Iterator[Started]:
    """The container of a Notebook: image, arguments, environment and mounts, the claim a folder of this machine."""
    pod = container(trees.tree("overlays/rhoai-3.x").one("Notebook", name))
    at = {mount["name"]: mount["mountPath"] for mount in pod["volumeMounts"]}
    told = home.with_name("images")
    told.mkdir(exist_ok=True)
    for file, text in trees.tree("overlays/rhoai-3.x").one("ConfigMap", "brakeline-images").content["data"].items():
        (told / file).write_text(text)
    found = engine.client().containers.run(
        engine.workbench(),
        detach=True,
        working_dir=pod["workingDir"],
        environment={entry["name"]: entry["value"] for entry in pod["env"] if "value" in entry},
        volumes={str(home): {"bind": HOME, "mode": "rw"}, str(told): {"bind": at["images"], "mode": "ro"}},
        ports={f"{pod['ports'][0]['containerPort']}/tcp": ("127.0.0.1", None)},
        **{**HARDENED, "network_mode": "bridge", "tmpfs": {at["tmp"]: ""}, "user": USER},
    )
    try:
        found.reload()
        port = int(next(iter(found.ports.values()))[0]["HostPort"])
        made = Started(pod, found, port)
        deadline = time.monotonic() + _patience_s(pod["startupProbe"])
        while made.probed("startupProbe") != 200:
            assert time.monotonic() < deadline, found.logs().decode()
            time.sleep(0.2)
        yield made
    finally:
        found.remove(force=True)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A claim as it is mounted: of any user, writable for group 0."""
    folder = tmp_path / "claim"
    folder.mkdir()
    os.chown(folder, -1, 0)
    folder.chmod(0o2775)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_it_starts_as_its_notebook_says_and_answers_its_probes(name: str, home: Path) -> None:
    """Any user, a read-only root, the claim as home; JupyterLab at its base_url and nowhere else, without a token."""
    with started(name, home) as workbench:
        for probe in ("readinessProbe", "livenessProbe"):
            assert workbench.probed(probe) == 200
        path = workbench.pod["livenessProbe"]["httpGet"]["path"].removesuffix("/api")
        status, page = workbench.ask(f"{path}/lab")
        assert (status, "JupyterLab" in page) == (200, True)
        settings = json.loads(
            re.findall(r"jupyter-config-data\" type=\"application/json\">\s*(.*?)</script>", page, re.S)[0]
        )
        assert settings["baseUrl"] == f"{path}/"
        assert workbench.ask("/api")[0] == 404
        assert json.loads(workbench.ask(f"{path}/api/kernels")[1]) == []
        seen = json.loads(workbench.run(PYTHON, "-c", LOOK))
    assert (seen["user"], seen["home"]) == (int(USER.split(":")[0]), HOME)
    assert settings["terminalsAvailable"] == (seen["shell"] is not None)
    brought = {Path(file).name for file in images.SHARED}
    assert brought <= set(seen["notebooks"]) <= brought | {".delivered.json"}
    assert seen["images"] == seen["pushed"]


@pytest.mark.slow
def test_a_notebook_runs_in_it_and_what_a_person_wrote_stays(home: Path) -> None:
    """Steps as processes, charts drawn, without a network; after a restart the home is as it was left."""
    sizes = {f"BRAKELINE_NOTEBOOK_{name}": value for name, value in SIZES.items()}
    with started("build-model", home) as workbench:
        told = workbench.run("brakeline-notebooks", "run", f"{HOME}/notebooks/initial_development.ipynb", **sizes)
        assert "initial_development.ipynb: 17 cells" in told
        workbench.run(PYTHON, "-c", f"open('{HOME}/notebooks/mine.txt', 'w').write('mine')")
    with started("build-model", home):
        pass
    assert (home / "notebooks" / "mine.txt").read_text() == "mine"
    assert (home / "notebooks" / "mine.txt").stat().st_uid == int(USER.split(":")[0])


def _patience_s(probe: dict[str, Any]) -> float:
    return float(probe["periodSeconds"] * probe["failureThreshold"])
