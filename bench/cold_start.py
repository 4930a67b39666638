"""A newcomer's first hour: from a clone on a bare Debian to a server that answers, and the same command again.

Beside the same packages installed by pip alone, and beside the time of the pipeline's own tasks. Debian is Python, git
and certificates, nothing more, in a container with the machine's network and an ordinary user.

`--keep` leaves the container there, to look at or to go on in.
"""

import contextlib
import hashlib
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from _report import Figure, options, report, skip
from brakeline import place
from brakeline_images import debian, processes
from brakeline_images.errors import BaseNotMade

HOUSE = Path(__file__).resolve().parent.parent
README = HOUSE / "README.md"
BARE = ("apt", "ca-certificates", "git", "python3", "python3-venv")
BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
# How this machine reaches a package index; a file that is named here is handed to the container.
REACH = re.compile(r"PIP_(INDEX_URL|EXTRA_INDEX_URL|TRUSTED_HOST|DEFAULT_TIMEOUT)|(HTTPS?|NO)_PROXY|(https?|no)_proxy")
HOME = "/srv/newcomer"
CLONE = f"{HOME}/brakeline"
PATIENCE_S = 3600


def main() -> None:
    """Measure each part in one container; what was installed before on this machine helps none of it."""
    parser = options(__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the container there, and say its name")
    chosen = parser.parse_args()
    image = _bare()
    with tempfile.TemporaryDirectory() as folder, _container(image, Path(folder), chosen.keep) as name:
        began = time.monotonic()
        _inside(name, "git clone -q /given/brakeline.bundle brakeline", folder=HOME)
        cloned_s = time.monotonic() - began
        set_up_s = _until_set_up(name)
        figures = [Figure("clone", [cloned_s], "s"), Figure("set-up", [set_up_s], "s")]
        figures += _weight(name)
        if not chosen.quick:
            figures += _beside_pip(name, set_up_s)
            answered_s, tasks_s = _until_answered(name)
            again = _again(name)
            figures += [
                Figure("commands from nothing to an answering server", [2], "commands", "<= 2"),
                Figure("clone to the first answer of a deployed model", [cloned_s + set_up_s + answered_s], "s"),
                Figure("run to the first answer / the pipeline's tasks", [answered_s / tasks_s], "ratio", "<= 1.3"),
                Figure("run again, nothing changed", [float(again["seconds"])], "s", "<= 60"),
                Figure("run again / first run", [float(again["seconds"]) / answered_s], "ratio"),
                Figure("tasks that ran again", [float(again["tasks_run"])], "tasks"),
            ]
        told = _inside(name, "python3 --version; cat /etc/debian_version", folder=HOME).split()
    notes = {"bare": f"Debian {told[2]} with {', '.join(BARE[1:])}; Python {told[1]}"}
    missing = {"pip alone, an answering server": "--quick ends at the set-up"} if chosen.quick else {}
    report("cold_start", figures, notes, chosen=chosen, missing=missing)


def _bare() -> str:
    """The image of a bare Debian, made once of one list of packages."""
    wanted = "brakeline-bare:" + hashlib.sha256(f"{debian.SUITE} {BARE}".encode()).hexdigest()[:12]
    try:
        client = place.engine()
        if client.images.list(wanted):
            return wanted
        if not shutil.which("mmdebstrap"):
            skip("a bare Debian needs mmdebstrap: apt-get install mmdebstrap")
        with tempfile.TemporaryDirectory() as folder:
            archive = f"{folder}/root.tar"
            bundle = [f'--aptopt=Acquire::https::CaInfo "{BUNDLE}"'] if BUNDLE.is_file() else []
            words = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(BARE)}", *bundle]
            done = processes.run([*words, debian.SUITE, archive, "-"], said=debian.sources())
            if done.status:
                skip(f"mmdebstrap made no bare Debian: {done.stderr.strip()[-500:]}")
            repository, tag = wanted.split(":")
            client.api.import_image(archive, repository=repository, tag=tag)
    except (place.NoEngine, BaseNotMade) as error:
        skip(str(error))
    return wanted


@contextlib.contextmanager
def _container(image: str, folder: Path, keep: bool) -> Iterator[str]:
    """One that lives until it is taken away, with a bundle of the commit that is checked out here."""
    bundle = folder / "brakeline.bundle"
    subprocess.run(["git", "bundle", "create", "-q", bundle, "HEAD"], cwd=HOUSE, check=True)
    folder.chmod(0o755)
    reach = [file for file in (BUNDLE, Path("/etc/pip.conf")) if file.is_file()]
    mounts = {str(folder): "/given", **{str(file): str(file) for file in reach}}
    words = ["docker", "run", "--detach", "--init", "--network", "host"]
    words += [word for here, there in mounts.items() for word in ("--volume", f"{here}:{there}:ro")]
    words += [word for key in os.environ if REACH.fullmatch(key) for word in ("--env", key)]
    name = _said(*words, image, "sleep", "infinity").strip()
    try:
        _said("docker", "exec", name, "useradd", "--create-home", "--home-dir", HOME, "newcomer")
        yield name
    finally:
        if keep:
            print(f"docker exec -it --user newcomer --workdir {CLONE} {name[:12]} bash", flush=True)
        else:
            _said("docker", "rm", "--force", "--volumes", name)


def _until_set_up(name: str) -> float:
    began = time.monotonic()
    _inside(name, "python3 build.py run --help")
    return time.monotonic() - began


def _beside_pip(name: str, set_up_s: float) -> list[Figure]:
    """What pip takes alone for a run's packages, in an environment beside."""
    began = time.monotonic()
    pip = "/tmp/alone/bin/python -m pip install -q --disable-pip-version-check"
    _inside(name, f"python3 -m venv /tmp/alone && {pip} --no-deps --require-hashes -r requirements-run.lock")
    alone_s = time.monotonic() - began
    return [Figure("set-up / pip alone", [set_up_s / alone_s], "ratio of wall time", "<= 1.2")]


def _weight(name: str) -> list[Figure]:
    """The environment of a run, and its share of all that work on Brakeline installs."""
    mb = float(_inside(name, "du -sm .venv").split()[0])
    counted = [len(re.findall("^[a-z0-9]", (HOUSE / lock).read_text(), re.MULTILINE))
               for lock in ("requirements-run.lock", "requirements.lock")]  # fmt: skip
    return [
        Figure("environment of a run", [mb], "MB", "<= 1000"),
        Figure("packages of a run / of all work", [counted[0] / counted[1]], "ratio"),
    ]


def _until_answered(name: str) -> tuple[float, float]:
    """Seconds until a deployed model answers what the README asks, and those of the run's tasks added up."""
    port = _free_port()
    line = f"echo $$ > run.pid; exec python3 build.py run --serve --port {port} > run.log 2>&1"
    began = time.monotonic()
    _inside(name, f"setsid sh -c {shlex.quote(line)} < /dev/null > /dev/null 2>&1 &")
    while not _answers(port):
        if time.monotonic() - began > PATIENCE_S or _ended(name):
            raise SystemExit(f"no answer: {_inside(name, 'tail -n 20 run.log')}")
        time.sleep(0.2)
    answered_s = time.monotonic() - began
    while "serving until" not in _inside(name, "cat run.log"):
        if _ended(name):
            raise SystemExit(f"the run ended: {_inside(name, 'tail -n 20 run.log')}")
        time.sleep(0.5)
    kept = json.loads(_inside(name, "cat .brakeline/runs/*/run.json"))
    _inside(name, "kill -s TERM -- -$(cat run.pid)")
    while not _ended(name):
        time.sleep(0.2)
    return answered_s, sum(task["seconds"] for task in kept["tasks"])


def _ended(name: str) -> bool:
    """Whether the run that was started there is gone."""
    time.sleep(0.1)
    # Debian's sh takes a group of processes only after `-s`.
    return "gone" in _inside(name, "[ ! -s run.pid ] || kill -s 0 -- -$(cat run.pid) 2>/dev/null || echo gone")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def _answers(port: int) -> bool:
    """Whether the deployed model answers with metres what the README asks."""
    asked = re.search(r"^curl -s http://127.0.0.1:8080(/\S+) -d '(.*?)'$", README.read_text(), re.MULTILINE | re.DOTALL)
    assert asked, "the README asks no server"
    url = f"http://127.0.0.1:{port}{asked[1]}"
    request = urllib.request.Request(url, asked[2].encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            outputs = json.load(answer)["outputs"]
    except OSError:
        return False
    return 10 < float(outputs[0]["data"][0]) < 500


def _again(name: str) -> dict[str, Any]:
    """The same command with nothing changed, as its one JSON object tells."""
    return dict(json.loads(_inside(name, "python3 build.py run --json")))


def _inside(name: str, line: str, folder: str = CLONE) -> str:
    """What a shell's line says, as the newcomer."""
    return _said("docker", "exec", "--user", "newcomer", "--workdir", folder, name, "sh", "-c", line)


def _said(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    if done.returncode:
        raise SystemExit(f"{' '.join(words[:2])} ended with {done.returncode}: {(done.stderr or done.stdout)[-2000:]}")
    return done.stdout


if __name__ == "__main__":
    main()
