"""What the contract's tests cannot ask of any step: what ours load, draw, and take for a number."""

import os
import pty
import subprocess
from pathlib import Path

import pytest

from tests.conftest import BIN, Chain, command
from tests.steps.calls import read
from tests.steps.verbs import GUARDED, VERBS, Verb

OURS = sorted({verb.step for verb in (*VERBS, *GUARDED)} | {"deploy"})


@pytest.mark.parametrize("name", OURS)
def test_help_needs_no_heavy_library(name: str) -> None:
    """`--help` answers without importing what only work needs."""
    heavy = "{'polars', 'sklearn', 'onnxruntime', 'onnx', 'scipy', 'jinja2', 'httpx'}"
    code = f"import sys, brakeline_{name}.cli; sys.exit(bool({heavy} & sys.modules.keys()))"
    assert command("python", "-c", code).code == 0


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
    while chunk := read(leader):
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
