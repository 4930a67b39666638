"""Words on paper are tested: the README's commands run, and what it says is there is there."""

import json
import os
import re
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import BIN, HOUSE, Chain, command

README = (HOUSE / "README.md").read_text()
BLOCKS = re.findall(r"^```\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
COMMANDS = [line for block in BLOCKS for line in block.splitlines() if line.startswith("python build.py")]
COMMANDS += re.findall(r"\| `((?:python build\.py|\.venv/bin/brakeline) [^`]+)` \|", README)
SMALL = ["--rows", "3000", "--holdout-rows", "2000", "--trials", "1", "--shards", "1"]


def test_the_readme_is_short_and_its_two_commands_stand_first() -> None:
    """One screen or two; the first commands are run and test."""
    assert len(README.splitlines()) <= 150
    assert COMMANDS[:2] == ["python build.py run", "python build.py test"]


def test_every_folder_and_file_named_is_there() -> None:
    """Paths in the README exist, but for what a run makes."""
    made = {".venv", ".brakeline", "/v2/models/stopping-distance", "dossier.html", "run.json"}
    for name in re.findall(r"`([\w./-]+(?:/|\.md|\.py|\.csv|\.yaml))`", README):
        if name.split("/")[0] not in made and name not in {"pipeline.yaml", "compose.yaml", *made}:
            assert (HOUSE / name).exists(), name


@pytest.mark.parametrize("line", [line for line in COMMANDS if " run" in line and "docker" not in line])
def test_every_run_of_the_readme_is_understood(line: str, tmp_path: Path) -> None:
    """Each `run` goes as far as its gate: at this size the model is refused, which is 65 and no usage error."""
    words = shlex.split(line)[2:]
    kept = [word for word in words if word != "--serve"]
    for option, value in zip(SMALL[::2], SMALL[1::2], strict=True):
        if option in kept:
            del kept[kept.index(option) : kept.index(option) + 2]
        kept += [option, value]
    if "--port" in kept:
        kept[kept.index("--port") + 1] = "0"
    words = ["python", str(HOUSE / "build.py"), *kept, "--runner", "process", "--state", str(tmp_path), "--json"]
    done = command(*words, folder=HOUSE)
    assert done.code == 65, done.stderr
    assert json.loads(done.stdout)["status"] == "refused"


@pytest.mark.parametrize("line", [line for line in COMMANDS if line.startswith(".venv")])
def test_other_commands_of_the_readme_run(line: str, tmp_path: Path) -> None:
    """Commands of `brakeline` run as written."""
    program, *rest = shlex.split(line)
    assert command(Path(program).name, *rest, folder=tmp_path).code == 0


def test_check_and_test_are_verbs() -> None:
    """The verbs that would run this very suite are at least known, with the rest of them."""
    told = command("python", HOUSE / "build.py", "--help").stdout
    for verb in ("images", "run", "test", "check", "lock", "bench"):
        assert re.search(rf"^  {verb} ", told, re.MULTILINE), verb
    assert command("python", HOUSE / "build.py", "fly").code == 2
    assert command("python", HOUSE / "build.py", "bench", "nothing").code == 2


@pytest.fixture
def served(good: Chain, tmp_path: Path) -> Iterator[str]:
    ready = tmp_path / "ready"
    words = [BIN / "brakeline-serving", "--model", good.model / "model.onnx", "--port", "0", "--ready-file", ready]
    child = subprocess.Popen([str(word) for word in words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not ready.exists():
            assert child.poll() is None
            time.sleep(0.02)
        yield ready.read_text().strip()
    finally:
        child.terminate()
        child.wait(10)


@pytest.mark.parametrize("page", ["README.md", "serving/README.md"])
def test_the_questions_by_curl_are_answered(page: str, served: str) -> None:
    """Word for word but for the port: a distance, a longer bound and no flag; and what the model is."""
    blocks = re.findall(r"^```\n(curl.*?)^```", (HOUSE / page).read_text(), re.MULTILINE | re.DOTALL)
    assert blocks
    asked = re.sub(r"(http://)?(127\.0\.0\.1|localhost):8080", served, "".join(blocks))
    if not shutil.which("curl"):
        pytest.skip("no curl, which the page asks with: apt-get install curl")
    done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, check=True, env={**os.environ})
    decoder, rest, answers = json.JSONDecoder(), done.stdout, list[dict[str, Any]]()
    while rest := rest.strip():
        answer, end = decoder.raw_decode(rest)
        answers, rest = [*answers, answer], rest[end:]
    assert len(answers) == asked.count("curl ")
    outputs = {output["name"]: output["data"][0] for output in answers[-1]["outputs"] if "data" in output}
    assert 5 < outputs["stopping_distance_m"] < outputs["stopping_distance_upper_m"] < 150
    assert outputs["out_of_range"] == 0.0
