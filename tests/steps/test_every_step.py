"""The step contract, held from outside: every verb as a process, whatever it is written in."""

import json
import os
import pty
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from stepkit import artifacts, lineage

from tests.conftest import BIN, Chain, command
from tests.steps.calls import CLOCKED, executor_input, numeric, read, undisturbed
from tests.steps.verbs import Verb

OF_THE_WORLD = {"register", "deploy"}


def test_help_is_told(step: Verb) -> None:
    """`--help` says how the step is called, and names its verbs."""
    told = command(*step.program, "--help")
    assert told.code == 0
    assert "Usage" in told.stdout and step.verb in told.stdout


def test_a_step_tells_its_version(step: Verb) -> None:
    """`--version` names the step and a version."""
    done = command(*step.program, "--version")
    assert done.code == 0
    assert done.stdout.split()[0] == (step.step if step.stranger else f"brakeline-{step.step}")


def test_a_step_describes_its_signature(step: Verb) -> None:
    """`--describe` is JSON that names every verb's inputs, outputs and parameters with their types."""
    described = json.loads(command(*step.program, "--describe").stdout)
    for verb in described["verbs"]:
        one = json.loads(command(*step.program, verb["verb"], "--describe").stdout)
        assert one == verb
        assert verb["description"]
        for parameter in verb["parameters"].values():
            assert parameter["type"] in {"INTEGER", "NUMBER", "BOOLEAN", "STRING"}


def test_success_is_one_json_line_and_whole_artifacts(verb: Verb, chain: Chain, tmp_path: Path) -> None:
    """Exit status 0, one JSON line on stdout, JSON lines on stderr, every output in place and nothing hidden left."""
    done = command(*verb.words(chain.folder, tmp_path))
    assert done.code == 0, done.stderr
    for line in done.stderr.splitlines():
        assert {"time", "level", "event"} <= json.loads(line).keys()
    for output in verb.outputs:
        made = done.result["artifacts"][output]
        assert Path(made["uri"]).exists()
        assert made["metadata"]["sha256"] == artifacts.sha256_of(Path(made["uri"]))
    assert {file.name for file in tmp_path.rglob(".*")} <= {".lineage.json"}


def test_the_executor_output_reports_every_artifact(verb: Verb, chain: Chain, tmp_path: Path) -> None:
    """With KFP's executor input alone, no paths on the command line, the step does the same and writes its output."""
    message = executor_input(verb, chain, tmp_path)
    plain = [word.format(out=tmp_path, chain=chain.folder) for word in verb.settings]
    words = [*verb.program, verb.verb, "--executor-input", json.dumps(message), *plain]
    done = command(*words)
    assert done.code == 0, done.stderr
    written = json.loads((tmp_path / "run" / "executor_output.json").read_text())
    for output in verb.outputs:
        (artifact,) = written["artifacts"][output]["artifacts"]
        assert artifact["uri"] == str(tmp_path / output)
        assert artifact["metadata"]["sha256"] == done.sha256(output)


def test_an_altered_input_is_refused(verb: Verb, chain: Chain, tmp_path: Path) -> None:
    """An input whose bytes are not those that the pipeline recorded ends with 65, and names the file.

    The record comes as a file here, which is how one too long for an argument comes.
    """
    if not verb.inputs:
        pytest.skip("has no input artifact")
    message = executor_input(verb, chain, tmp_path)
    first = next(iter(verb.inputs))
    message["inputs"]["artifacts"][first]["artifacts"][0]["metadata"] = {"sha256": "0" * 64}
    (tmp_path / "input.json").write_text(json.dumps(message))
    done = command(*verb.program, verb.verb, "--executor-input", f"@{tmp_path / 'input.json'}", *verb.settings)
    assert done.code == 65
    assert verb.inputs[first] in done.error["message"]
    assert not (tmp_path / "run" / "executor_output.json").exists()


def test_a_missing_input_ends_with_65(verb: Verb, chain: Chain, tmp_path: Path) -> None:
    """A path that is not there is bad data, and the message names option and path."""
    if not verb.inputs:
        pytest.skip("has no input artifact")
    first = next(iter(verb.inputs))
    done = command(*verb.words(chain.folder, tmp_path, **{first: tmp_path / "nowhere"}))
    assert done.code == 65
    assert "nowhere" in done.error["message"]
    assert f"--{first.replace('_', '-')}" in done.error["message"]


def test_a_missing_option_ends_with_2(verb: Verb) -> None:
    """Without inputs and outputs the call is a usage error."""
    assert command(*verb.program, verb.verb).code == 2


def test_an_unknown_option_ends_with_2(verb: Verb, chain: Chain, tmp_path: Path) -> None:
    """An option that the step does not know is a usage error."""
    assert command(*verb.words(chain.folder, tmp_path), "--no-such-option", "1").code == 2


def test_an_output_below_a_file_ends_with_2(verb: Verb, chain: Chain, tmp_path: Path) -> None:
    """An output whose parent is no folder is a usage error that names the path."""
    (tmp_path / "file").write_text("in the way")
    done = command(*verb.words(chain.folder, tmp_path / "file"))
    assert done.code == 2
    assert str(tmp_path / "file") in done.error["message"]


def test_same_inputs_and_seed_give_the_same_bytes(verb: Verb, chain: Chain, tmp_path: Path) -> None:
    """Thread counts and hash seeds change no byte of any artifact; what a clock measured is exempt."""
    one = {"OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1", "PYTHONHASHSEED": "1"}
    other = {"OMP_NUM_THREADS": "4", "POLARS_MAX_THREADS": "4", "PYTHONHASHSEED": "99"}
    first, second = (
        command(*verb.words(chain.folder, tmp_path / number), environment=environment)
        for number, environment in (("1", one), ("2", other))
    )
    for output in set(verb.outputs) - CLOCKED:
        assert first.sha256(output) == second.sha256(output), output


def test_a_call_whose_outputs_stand_is_unchanged(verb: Verb, chain: Chain, tmp_path: Path) -> None:
    """Asked to reuse, the same call says so, reports the same and writes nothing; what asks the world works anew."""
    image = {"BRAKELINE_IMAGE": f"brakeline/{verb.step}:{'0' * 20}"}
    words = [*verb.words(chain.folder, tmp_path), "--reuse"]
    first = command(*words, environment=image)
    before = {file: file.stat().st_mtime_ns for output in verb.outputs for file in _files(tmp_path / output)}
    second = command(*words, environment=image)
    assert first.code == second.code == 0, first.stderr + second.stderr
    assert first.result["artifacts"] == second.result["artifacts"]
    assert first.result["parameters"] == second.result["parameters"]
    assert second.result["status"] == ("done" if verb.step in OF_THE_WORLD else "unchanged")
    same = {file: file.stat().st_mtime_ns for output in verb.outputs for file in _files(tmp_path / output)} == before
    assert same is (verb.step not in OF_THE_WORLD)


def test_folders_and_origins_tell_where_outputs_come_from(verb: Verb, chain: Chain, tmp_path: Path) -> None:
    """What has lineage names the very call: step, verb, the hash of each input and of what it made."""
    made, telling = undisturbed(verb, chain, tmp_path), dict[Path, list[str]]()
    for output in verb.outputs:
        if (made.folder / output).is_dir():
            telling[made.folder / output / lineage.FILE] = [output]
    if verb.origin:
        telling[made.folder / verb.origin] = [output for output in verb.outputs if output != verb.origin]
    for file, outputs in telling.items():
        who = (verb.step if verb.stranger else f"brakeline-{verb.step}", verb.verb)
        (call,) = (one for one in lineage.read(file) if (one.step, one.verb) == who)
        assert {output: made.sha256[output] for output in outputs}.items() <= call.outputs.items()
        for name, place in verb.inputs.items():
            assert artifacts.sha256_of(chain.folder / place) in call.inputs[name]


def test_numbers_may_come_as_kfp_writes_them(verb: Verb, chain: Chain, tmp_path: Path) -> None:
    """20 may be 20.0 or 2e1: the outputs are the same."""
    written = list(verb.settings)
    for at in range(1, len(written), 2):
        if written[at - 1].lstrip("-").replace("-", "_") in numeric(verb):
            written[at] = f"{float(written[at]):e}"
    if written == list(verb.settings):
        pytest.skip("is called without a number")
    done = command(*replace(verb, settings=tuple(written)).words(chain.folder, tmp_path))
    assert done.code == 0, done.stderr
    same = undisturbed(verb, chain, tmp_path)
    for output in set(verb.outputs) - CLOCKED:
        assert done.sha256(output) == same.sha256[output], output


def test_what_is_no_number_is_refused(verb: Verb, chain: Chain, tmp_path: Path) -> None:
    """Text, nothing, NaN, and a part of a whole are usage errors that say what is allowed; nothing is written."""
    name, kind = next(iter(numeric(verb).items()), ("", ""))
    if not name:
        pytest.skip("takes no number")
    option, settings = f"--{name.replace('_', '-')}", list(verb.settings)
    if option in settings:
        del settings[settings.index(option) : settings.index(option) + 2]
    for word in ("many", "", "nan", *(("1.5",) if kind == "INTEGER" else ())):
        asked = replace(verb, settings=(*settings, option, word))
        done = command(*asked.words(chain.folder, tmp_path / "out"))
        assert done.code == 2, word
        assert "allowed" in done.stderr
    assert not [file for file in tmp_path.rglob("*") if file.is_file()]


def test_a_terminal_gets_words_and_no_json(step: Verb, chain: Chain, tmp_path: Path) -> None:
    """With a terminal on stderr no line is JSON; stdout is the one line of result as ever."""
    if not step.verb:
        pytest.skip("has no call here")
    leader, follower = pty.openpty()
    program, *rest = step.words(chain.folder, tmp_path)
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"}
    child = subprocess.Popen([BIN / program, *rest], stderr=follower, stdout=subprocess.PIPE, env=environment)
    os.close(follower)
    drawn = b""
    while chunk := read(leader):
        drawn += chunk
    told, _ = child.communicate(timeout=60)
    assert child.returncode == 0, drawn
    assert b'"event"' not in drawn
    assert json.loads(told)["verb"] == step.verb


def _files(path: Path) -> list[Path]:
    return list(path.rglob("*")) if path.is_dir() else [path]
