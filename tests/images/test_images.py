"""Every built image in a real engine: as OpenShift would run it, and holding exactly what its lock says."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from brakeline import images as locked
from brakeline_images import locks, plan
from brakeline_images.builder import SBOMS
from docker.errors import ContainerError

from tests import engine
from tests.conftest import HOUSE, RECORDED, Chain, command

FOREIGN_USER = "1000670000:0"
HARDENED: dict[str, Any] = {
    "user": FOREIGN_USER,
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
    "network_mode": "none",
    "tmpfs": {"/tmp": ""},
}
NAMES = [image.name for image in plan.IMAGES]
PROGRAMS = {name: f"brakeline-{ {'client': 'ask', 'workbench': 'notebooks'}.get(name, name) }" for name in NAMES}
PYTHON = "/opt/brakeline/bin/python"
SHELLS = ("sh", "bash", "dash", "busybox", "apt", "apt-get", "dpkg", "pip", "pip3", "cat", "perl")
LOOK = """
import importlib.metadata, json, os, pkgutil, sys
from pathlib import Path
site = Path("/opt/brakeline/lib/python3.13/site-packages")
own = [p for name in ("stepkit", *[d.name for d in site.glob("brakeline_*") if d.suffix == ""]) for p in (site / name).rglob("*.py")]
status = Path("/var/lib/dpkg/status.d")
print(json.dumps(dict(
    packages={d.name.lower().replace("_", "-").replace(".", "-"): d.version for d in importlib.metadata.distributions()},
    programs=[n for n in os.environ["LOOK_FOR"].split() for p in ("/bin", "/usr/bin", "/usr/sbin", "/usr/local/bin") if os.path.exists(f"{p}/{n}")],
    uncompiled=[str(p) for p in own if not (p.parent / "__pycache__" / f"{p.stem}.cpython-313.pyc").exists()],
    debian=sorted(p.name for p in status.iterdir()) if status.exists() else [],
    bill=json.loads(Path("/opt/brakeline/sbom.cdx.json").read_text()),
    user=[os.getuid(), os.getgid()],
    image=os.environ["BRAKELINE_IMAGE"],
)))
"""  # noqa: E501
WORK = """
import importlib, os, pkgutil, sys
for package in sys.argv[1:]:
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, package + "."):
        if not module.name.endswith(("__main__", *os.environ.get("BUT", "").split())):
            importlib.import_module(module.name)
"""

ASK = """
import json, time, urllib.request, grpc
def get(path):
    return json.load(urllib.request.urlopen("http://127.0.0.1:9080" + path, timeout=5))
deadline = time.monotonic() + 30
while True:
    try:
        ready = get("/v2/health/ready")
        break
    except OSError:
        if time.monotonic() > deadline:
            raise
        time.sleep(0.1)
call = grpc.insecure_channel("127.0.0.1:9000").unary_unary("/inference.GRPCInferenceService/ServerReady")
print(json.dumps({"metadata": get("/v2/models/" + ready["model"]), "grpc": list(call(b"", timeout=10))}))
"""


def run(name: str, *words: str, **settings: Any) -> str:
    """Run a command in an image as OpenShift would; its stdout."""
    client, reference = engine.client(), engine.reference(name)
    return str(client.containers.run(reference, list(words), remove=True, **{**HARDENED, **settings}).decode())


@pytest.mark.parametrize("name", NAMES)
def test_it_runs_as_any_user_without_rights(name: str) -> None:
    """A foreign UID with group 0, read-only root, no capabilities, no new privileges, no network."""
    assert "0.1.0" in run(name, PROGRAMS[name], "--version")


@pytest.mark.parametrize("name", NAMES)
def test_it_says_what_it_is(name: str) -> None:
    """Not root, no entry point, and for a step the very signature that its program prints."""
    about = engine.client().images.get(engine.reference(name)).attrs["Config"]
    assert about["User"] == "1001:0"
    assert not about["Entrypoint"]
    assert about["Labels"]["brakeline.source"] == locked.source_hash(name)
    if name in locked.STEPS:
        described = json.loads(command(f"brakeline-{name}", "--describe").stdout)
        assert json.loads(about["Labels"]["brakeline.describe"]) == described
        assert about["Labels"]["brakeline.contract"] == plan.CONTRACT


@pytest.mark.parametrize("name", NAMES)
def test_it_holds_what_its_lock_and_its_bill_say(name: str) -> None:
    """The locked versions and our code, compiled; no shell in our own base; the bill of materials lists all of it."""
    seen = json.loads(run(name, PYTHON, "-c", LOOK, environment={"LOOK_FOR": " ".join(SHELLS)}))
    image = next(image for image in plan.IMAGES if image.name == name)
    wanted = {package.name: package.version for package in locks.read(HOUSE / image.folder / "requirements.lock")}
    found = {package: version for package, version in seen["packages"].items() if not package.startswith("brakeline")}
    assert found == wanted
    assert seen["uncompiled"] == []
    assert seen["user"] == [1000670000, 0]
    assert seen["image"] == engine.reference(name)
    if locked.base()["reference"].startswith("brakeline/debian:"):
        assert seen["programs"] == []
    listed = {component["name"] for component in seen["bill"]["components"]}
    assert {*wanted, *seen["debian"]} <= listed
    assert seen["bill"]["specVersion"] == "1.6"
    assert json.loads((SBOMS / f"{name}.cdx.json").read_text()) == seen["bill"]


@pytest.mark.parametrize("name", NAMES)
def test_all_of_its_code_can_be_imported(name: str) -> None:
    """Nothing that was left out of the packages is missed by a module of ours."""
    ours = ["brakeline", "brakeline_notebooks", *(f"brakeline_{step}" for step in locked.STEPS)]
    others = {"serving": ["brakeline_serving"], "client": ["brakeline_client"], "workbench": ours}
    packages = others.get(name, [f"brakeline_{name}"])
    # What starts containers is an extra of the orchestrator's, for machines with an engine.
    run(name, PYTHON, "-c", WORK, *packages, environment={"BUT": "brakeline.containers"} if name == "workbench" else {})


def test_a_step_works_on_mounted_data_without_rights_or_network(tmp_path: Path) -> None:
    """Synthesize, assemble and train in containers of a foreign user with group 0."""
    engine.built()
    at = tmp_path / "data"
    at.mkdir()
    mounted: dict[str, Any] = {"volumes": {str(at): {"bind": "/data", "mode": "rw"}}}
    if os.getuid() == 0:
        os.chown(at, -1, 0)
        at.chmod(0o2775)
    else:
        # Who may not give a folder to group 0 has the container be its owner.
        mounted["user"] = f"{os.getuid()}:0"
    (at / "recorded.csv").write_text(RECORDED)
    for name, line in (
        ("synthesize", "generate --part /data/part --rows 2000 --holdout-rows 1000"),
        (
            "synthesize",
            "assemble --parts /data/part --recorded /data/recorded.csv --dataset /data/dataset --holdout /data/holdout"
            " --faulty /data/faulty --rejects /data/rejects",
        ),
        ("train", "search --dataset /data/dataset --results /data/scored --trials 1"),
        ("train", "refine --dataset /data/dataset --scored /data/scored --results /data/results"),
        ("train", "fit --dataset /data/dataset --results /data/results --model /data/model"),
    ):
        run(name, PROGRAMS[name], *line.split(), **mounted)
    assert (at / "model" / "model.onnx").stat().st_size > 10_000
    with pytest.raises(ContainerError) as failed:
        run(
            "train",
            "brakeline-train",
            *["search", "--dataset", "/data/nothing", "--results", "/data/r", "--trials", "1"],
            **mounted,
        )
    assert failed.value.exit_status == 65


def test_the_server_serves_a_mounted_model_as_a_runtime_of_kserve_would(tiny: Chain, tmp_path: Path) -> None:
    """The port from PORT, the model from a read-only folder, two workers, gRPC; SIGTERM to process 1 ends it well."""
    mounted = tmp_path / "models"
    shutil.copytree(tiny.model, mounted)
    mounted.chmod(0o755)
    words = ["brakeline-serving", "--model", "/mnt/models", "--host", "0.0.0.0", "--insecure", "--workers", "2"]
    container = engine.client().containers.run(
        engine.built()["serving"],
        [*words, "--grpc-port", "9000"],
        detach=True,
        environment={"PORT": "9080"},
        volumes={str(mounted): {"bind": "/mnt/models", "mode": "ro"}},
        **HARDENED,
    )
    try:
        code, told = container.exec_run([PYTHON, "-c", ASK])
        assert code == 0, told.decode() + container.logs().decode()
        seen = json.loads(told)
        assert seen["metadata"]["inputs"]
        assert seen["grpc"] == [8, 1]  # the message's one field, true
        container.stop(timeout=10)
        assert container.wait()["StatusCode"] == 0
    finally:
        container.remove(force=True)


def test_a_build_with_nothing_changed_builds_nothing() -> None:
    """The names are looked up, and that is all."""
    ours = engine.built().values()
    before = {name: engine.client().images.get(name).id for name in ours}
    done = command("brakeline-images", "--json")
    assert (done.code, done.result["status"], done.result["built"]) == (0, "current", [])
    assert {name: engine.client().images.get(name).id for name in ours} == before
    assert command("brakeline-images", "--check", "--json").result["status"] == "current"
