"""Commands in a cell: seen while they run, and never wrong in silence."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from brakeline_notebooks import commands
from brakeline_notebooks.commands import CommandFailed, ask, run

PYTHON = sys.executable


def test_what_a_command_says_is_shown_and_kept(capfd: pytest.CaptureFixture[str]) -> None:
    """Both streams, whole lines, after the command itself; a last line without an end counts too."""
    done = run(PYTHON, "-c", "import sys; print('out'); print('err', file=sys.stderr); print('end', end='')")
    shown = capfd.readouterr().out
    assert shown.startswith("$ ")
    assert "bin/python -c" in shown.splitlines()[0]
    assert {"out", "err", "end"} <= set(shown.splitlines())
    assert (done.status, done.stdout, done.stderr) == (0, "out\nend\n", "err\n")


def test_a_command_that_fails_fails_the_cell_with_its_last_words() -> None:
    """The message has the command, both statuses, and what it said."""
    with pytest.raises(CommandFailed, match=r"(?s)ended with status 3, meant was 0:.*because") as failed:
        run(PYTHON, "-c", "import sys; print('because', file=sys.stderr); sys.exit(3)")
    assert failed.value.status == 3


def test_the_last_words_of_a_diary_are_its_reasons() -> None:
    """As people read them: without how far it came, and with the error of the result, as of a model that is refused."""
    diary: list[dict[str, object]] = [{"event": "started", "task": "validate"}]
    diary += [
        {"event": "progress", "label": "validate", "done": at, "total": 40, "task": "validate"} for at in range(40)
    ]
    lines = "\n".join(map(json.dumps, diary))
    result = json.dumps({"status": "refused", "error": "it did not pass: see dossier.html"})
    code = f"import sys; print({lines!r}, file=sys.stderr); print({result!r}); sys.exit(65)"
    with pytest.raises(CommandFailed) as failed:
        ask(PYTHON, "-c", code)
    assert str(failed.value).splitlines()[-2:] == ["validate: started", "it did not pass: see dossier.html"]


def test_a_refusal_that_is_meant_must_come() -> None:
    """65 where 65 is meant is fine, and 0 is not."""
    assert run(PYTHON, "-c", "raise SystemExit(65)", meant=65).status == 65
    assert run(PYTHON, "-c", "raise SystemExit(10)", meant=(0, 10)).status == 10
    with pytest.raises(CommandFailed, match="ended with status 0, meant was 65"):
        run(PYTHON, "-c", "", meant=65)


def test_a_result_is_asked_for_and_a_diary_shown(capfd: pytest.CaptureFixture[str]) -> None:
    """stdout's JSON is returned and not shown; a diary's line is its event, its message and its facts."""
    line = {"time": "t", "level": "info", "event": "done", "message": "well", "rows": 3, "task": "fit"}
    told = ask(PYTHON, "-c", f"import sys; print('{{\"a\": 1}}'); print({json.dumps(line)!r}, file=sys.stderr)")
    assert told == {"a": 1}
    assert capfd.readouterr().out.splitlines()[-1] == "fit: done well rows=3"


def test_a_real_step_and_the_orchestrator_are_found(tmp_path: Path) -> None:
    """By this environment's own scripts, whatever PATH says."""
    made = ("--part", tmp_path / "part", "--rows", 50, "--holdout-rows", 1, "--faulty-rows", 1)
    assert ask("brakeline-synthesize", "generate", *made)["artifacts"]["part"]["metadata"]["dataset_rows"] == 50
    with pytest.raises(CommandFailed, match="ended with status 2"):
        run("brakeline-synthesize", "generate", *made, "--scenario", "nowhere")
    assert Path(commands.script("brakeline")).parent == Path(sys.executable).parent


def test_a_kernels_terminal_is_not_the_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing moves or is coloured in a cell."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-color")
    monkeypatch.delenv("COLUMNS", raising=False)
    told = run(
        PYTHON, "-c", "import os; print(os.environ.get('FORCE_COLOR'), os.environ.get('TERM'), os.environ['COLUMNS'])"
    )
    assert told.stdout == "None None 110\n"


def test_an_interrupted_cell_ends_its_command(tmp_path: Path) -> None:
    """Ctrl-C, or the stop button: nothing goes on unseen."""
    pid = tmp_path / "pid"
    slow = f"import os, pathlib, time; pathlib.Path({str(pid)!r}).write_text(str(os.getpid())); time.sleep(60)"
    cell = f"from brakeline_notebooks.commands import run; run({PYTHON!r}, '-c', {slow!r})"
    kernel = subprocess.Popen([PYTHON, "-c", cell], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while not (pid.exists() and pid.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    kernel.send_signal(signal.SIGINT)
    assert kernel.wait(20) != 0
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
