"""The step contract, held from outside: every verb as a process, whatever it is written in."""

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import BIN, Chain, command
from tests.steps.verbs import GUARDED, VERBS, Verb

STEPS = sorted({verb.step for verb in (*VERBS, *GUARDED)} | {"deploy"})
OF_THE_WORLD = {"register", "deploy"}
# What a clock measured, and what names it by its hash.
CLOCKED = {"measurements", "lineage"}
every_verb = pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
every_step = pytest.mark.parametrize("step", STEPS)


@every_step
def test_help_needs_no_heavy_library(step: str) -> None:
    """`--help` answers without importing what only work needs."""
    heavy = "{'polars', 'sklearn', 'onnxruntime', 'onnx', 'scipy', 'jinja2', 'httpx'}"
    code = f"import sys, brakeline_{step}.cli; sys.exit(bool({heavy} & sys.modules.keys()))"
    assert command("python", "-c", code).code == 0
    assert "Usage" in command(f"brakeline-{step}", "--help").stdout


@every_step
def test_a_step_tells_its_version(step: str) -> None:
    """`--version` names the step and a version."""
    done = command(f"brakeline-{step}", "--version")
    assert done.code == 0
    assert done.stdout.split()[0] == f"brakeline-{step}"


@every_step
def test_a_step_describes_its_signature(step: str) -> None:
    """`--describe` is JSON that names every verb's inputs, outputs and parameters with their types."""
    described = json.loads(command(f"brakeline-{step}", "--describe").stdout)
    for verb in described["verbs"]:
        one = json.loads(command(f"brakeline-{step}", verb["verb"], "--describe").stdout)
        assert one == verb
        assert verb["description"]
        for parameter in verb["parameters"].values():
            assert parameter["type"] in {"INTEGER", "NUMBER", "BOOLEAN", "STRING"}


@every_verb
def test_success_is_one_json_line_and_whole_artifacts(verb: Verb, tiny: Chain, tmp_path: Path) -> None:
    """Exit status 0, one JSON line on stdout, JSON lines on stderr, every output in place and nothing hidden left."""
    done = command(*verb.words(tiny.folder, tmp_path))
    assert done.code == 0, done.stderr
    for line in done.stderr.splitlines():
        assert {"time", "level", "event"} <= json.loads(line).keys()
    for output in verb.outputs:
        made = done.result["artifacts"][output]
        assert Path(made["uri"]).exists()
        assert len(made["metadata"]["sha256"]) == 64
    assert {file.name for file in tmp_path.rglob(".*")} <= {".lineage.json"}


@every_verb
def test_the_executor_output_reports_every_artifact(verb: Verb, tiny: Chain, tmp_path: Path) -> None:
    """With KFP's executor input alone, no paths on the command line, the step does the same and writes its output."""
    message = _executor_input(verb, tiny, tmp_path)
    plain = [word.format(out=tmp_path, chain=tiny.folder) for word in verb.settings]
    words = [f"brakeline-{verb.step}", verb.verb, "--executor-input", json.dumps(message), *plain]
    done = command(*words)
    assert done.code == 0, done.stderr
    written = json.loads((tmp_path / "run" / "executor_output.json").read_text())
    for output in verb.outputs:
        (artifact,) = written["artifacts"][output]["artifacts"]
        assert artifact["uri"] == str(tmp_path / output)
        assert artifact["metadata"]["sha256"] == done.sha256(output)


@every_verb
def test_an_altered_input_is_refused(verb: Verb, tiny: Chain, tmp_path: Path) -> None:
    """An input whose bytes are not those that the pipeline recorded ends with 65, and names the file."""
    if not verb.inputs:
        pytest.skip("has no input artifact")
    message = _executor_input(verb, tiny, tmp_path)
    first = next(iter(verb.inputs))
    message["inputs"]["artifacts"][first]["artifacts"][0]["metadata"] = {"sha256": "0" * 64}
    done = command(f"brakeline-{verb.step}", verb.verb, "--executor-input", json.dumps(message), *verb.settings)
    assert done.code == 65
    assert verb.inputs[first] in done.error["message"]
    assert not (tmp_path / "run" / "executor_output.json").exists()


@every_verb
def test_a_missing_input_ends_with_65(verb: Verb, tiny: Chain, tmp_path: Path) -> None:
    """A path that is not there is bad data, and the message names option and path."""
    if not verb.inputs:
        pytest.skip("has no input artifact")
    first = next(iter(verb.inputs))
    done = command(*verb.words(tiny.folder, tmp_path, **{first: tmp_path / "nowhere"}))
    assert done.code == 65
    assert "nowhere" in done.error["message"]
    assert f"--{first.replace('_', '-')}" in done.error["message"]


@every_verb
def test_a_missing_option_ends_with_2(verb: Verb) -> None:
    """Without inputs and outputs the call is a usage error."""
    assert command(f"brakeline-{verb.step}", verb.verb).code == 2


@every_verb
def test_an_unknown_option_ends_with_2(verb: Verb, tiny: Chain, tmp_path: Path) -> None:
    """An option that the step does not know is a usage error."""
    assert command(*verb.words(tiny.folder, tmp_path), "--no-such-option", "1").code == 2


@every_verb
def test_an_output_below_a_file_ends_with_2(verb: Verb, tiny: Chain, tmp_path: Path) -> None:
    """An output whose parent is no folder is a usage error that names the path."""
    (tmp_path / "file").write_text("in the way")
    done = command(*verb.words(tiny.folder, tmp_path / "file"))
    assert done.code == 2
    assert str(tmp_path / "file") in done.error["message"]


@every_verb
def test_sigterm_ends_within_a_second_and_leaves_nothing(verb: Verb, tiny: Chain, tmp_path: Path) -> None:
    """SIGTERM at several instants: the process ends promptly, and no output is half there."""
    for delay_s in (0.3, 0.6, 1.2):
        out = tmp_path / str(delay_s)
        code, took_s = _signalled(verb, tiny, out, signal.SIGTERM, delay_s)
        # 0.5 s above the promise: the test machine may be busy.
        assert took_s < 1.5
        if code != 0:
            assert code in (143, -signal.SIGTERM)
            assert not [file for file in out.rglob("*") if ".partial-" in file.name]
        _assert_whole_or_absent(verb, tiny, out)


@every_verb
def test_sigkill_leaves_no_half_artifact_and_a_retry_completes(verb: Verb, tiny: Chain, tmp_path: Path) -> None:
    """Killed at several instants, each output is whole or absent; the same call again succeeds and tidies up."""
    for delay_s in (0.4, 0.9):
        out = tmp_path / str(delay_s)
        _signalled(verb, tiny, out, signal.SIGKILL, delay_s)
        _assert_whole_or_absent(verb, tiny, out)
        assert command(*verb.words(tiny.folder, out)).code == 0
        assert not [file for file in out.rglob("*") if ".partial-" in file.name]


@every_verb
def test_same_inputs_and_seed_give_the_same_bytes(verb: Verb, tiny: Chain, tmp_path: Path) -> None:
    """Thread counts and hash seeds change no byte of any artifact; what a clock measured is exempt."""
    one = {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1", "PYTHONHASHSEED": "1"}
    other = {"OMP_NUM_THREADS": "4", "POLARS_MAX_THREADS": "4", "PYTHONHASHSEED": "99"}
    first, second = (
        command(*verb.words(tiny.folder, tmp_path / number), environment=environment)
        for number, environment in (("1", one), ("2", other))
    )
    for output in set(verb.outputs) - CLOCKED:
        assert first.sha256(output) == second.sha256(output), output


@every_verb
def test_a_call_whose_outputs_stand_is_unchanged(verb: Verb, tiny: Chain, tmp_path: Path) -> None:
    """Asked to reuse, the same call says so, reports the same and writes nothing; what asks the world works anew."""
    image = {"BRAKELINE_IMAGE": f"brakeline/{verb.step}:{'0' * 20}"}
    words = [*verb.words(tiny.folder, tmp_path), "--reuse"]
    first = command(*words, environment=image)
    before = {file: file.stat().st_mtime_ns for output in verb.outputs for file in _files(tmp_path / output)}
    second = command(*words, environment=image)
    assert first.code == second.code == 0, first.stderr + second.stderr
    assert first.result["artifacts"] == second.result["artifacts"]
    assert first.result["parameters"] == second.result["parameters"]
    assert second.result["status"] == ("done" if verb.step in OF_THE_WORLD else "unchanged")
    same = {file: file.stat().st_mtime_ns for output in verb.outputs for file in _files(tmp_path / output)} == before
    assert same is (verb.step not in OF_THE_WORLD)


@pytest.mark.parametrize("rows", ["2000", "2000.0", "2e3"])
def test_numbers_are_read_as_kfp_writes_them(rows: str, tmp_path: Path) -> None:
    """A whole number may come as 2000, 2000.0 or 2e3."""
    done = command(
        "brakeline-synthesize", "generate", "--part", tmp_path / "part", "--rows", rows, "--holdout-rows", "9"
    )
    assert done.result["dataset_rows"] == 2000


@pytest.mark.parametrize("rows", ["many", "1.5", "nan", "inf", "-3", ""])
def test_what_is_no_whole_number_is_refused(rows: str, tmp_path: Path) -> None:
    """Anything else is a usage error that says what was found and what is allowed."""
    done = command("brakeline-synthesize", "generate", "--part", tmp_path / "part", "--rows", rows)
    assert done.code == 2
    assert "allowed a whole number" in done.stderr


def test_progress_is_drawn_on_a_terminal_only(tmp_path: Path) -> None:
    """A terminal gets a bar and no JSON; the plain case is tested with every verb."""
    leader, follower = pty.openpty()
    words = [str(BIN / "brakeline-synthesize"), "generate", "--part", str(tmp_path / "p"), "--rows", "200000"]
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"}
    child = subprocess.Popen(words, stderr=follower, stdout=subprocess.DEVNULL, env=environment)
    os.close(follower)
    drawn = b""
    while chunk := _read(leader):
        drawn += chunk
    assert child.wait() == 0
    assert b"\x1b[" in drawn
    assert b"synthesize" in drawn
    assert b'"event"' not in drawn


@pytest.mark.parametrize("verb", GUARDED, ids=lambda verb: verb.name)
def test_guarded_verbs_keep_the_contract_too(verb: Verb, good: Chain, tmp_path: Path) -> None:
    """What needs a passed verdict succeeds with one, twice with the same bytes."""
    first, second = command(*verb.words(good.folder, tmp_path)), command(*verb.words(good.folder, tmp_path))
    assert first.code == second.code == 0, first.stderr + second.stderr
    assert first.sha256("registered") == second.sha256("registered")


def _executor_input(verb: Verb, chain: Chain, out: Path) -> dict[str, Any]:
    def listed(name: str, path: Path) -> dict[str, Any]:
        return {"artifacts": [{"name": name, "uri": str(path), "metadata": {}}]}

    return {
        "inputs": {"artifacts": {name: listed(name, chain.folder / at) for name, at in verb.inputs.items()}},
        "outputs": {
            "artifacts": {name: listed(name, out / name) for name in verb.outputs},
            "outputFile": str(out / "run" / "executor_output.json"),
        },
    }


def _signalled(verb: Verb, chain: Chain, out: Path, number: int, delay_s: float) -> tuple[int, float]:
    """Start a verb, signal it after a delay; returns its status and the seconds it took to end."""
    program, *rest = verb.words(chain.folder, out)
    child = subprocess.Popen([str(BIN / program), *rest], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(delay_s)
    sent = time.monotonic()
    child.send_signal(number)
    return child.wait(30), time.monotonic() - sent


def _assert_whole_or_absent(verb: Verb, chain: Chain, out: Path) -> None:
    """Whatever stands under an output's own name has the bytes of an undisturbed call."""
    for output in verb.outputs:
        if (out / output).exists() and output not in CLOCKED:
            assert _hash(out / output) == _undisturbed(verb, chain, out.parent)[output]


_KNOWN: dict[str, dict[str, str]] = {}


def _undisturbed(verb: Verb, chain: Chain, folder: Path) -> dict[str, str]:
    if verb.name not in _KNOWN:
        done = command(*verb.words(chain.folder, folder / "undisturbed"))
        _KNOWN[verb.name] = {output: done.sha256(output) for output in verb.outputs}
    return _KNOWN[verb.name]


def _hash(path: Path) -> str:
    code = "import sys, pathlib; from stepkit import artifacts; print(artifacts.sha256_of(pathlib.Path(sys.argv[1])))"
    return subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True).stdout.strip()


def _files(path: Path) -> list[Path]:
    return list(path.rglob("*")) if path.is_dir() else [path]


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:
        # Linux answers EIO once the last follower is closed.
        return b""
