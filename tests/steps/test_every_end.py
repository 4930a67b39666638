"""How a call may end before it is done: by a signal, or on a full disk. Whatever the step is written in."""

import signal
from pathlib import Path

import pytest

from tests.conftest import Chain, command
from tests.faults import disk
from tests.steps.calls import assert_whole_or_absent, instants, signalled, undisturbed
from tests.steps.verbs import Verb


def test_sigterm_ends_within_a_second_and_leaves_nothing(verb: Verb, chain: Chain, tmp_path: Path) -> None:
    """SIGTERM at several instants: the process ends promptly, and no output is half there."""
    codes = list[int]()
    for delay_s in instants(verb, chain, tmp_path):
        out = tmp_path / str(delay_s)
        code, took_s = signalled(verb, chain, out, signal.SIGTERM, delay_s)
        codes.append(code)
        # 0.5 s above the promise: the test machine may be busy.
        assert took_s < 1.5
        if code == 0 and verb.stranger:
            whole_s = undisturbed(verb, chain, tmp_path).seconds
            assert took_s < max(0.5, 0.4 * whole_s), "it went on with its work as if there were no signal"
        if code != 0:
            assert code in (143, -signal.SIGTERM)
            assert not [file for file in out.rglob("*") if ".partial-" in file.name]
        assert_whole_or_absent(verb, chain, out)
    if verb.stranger and not any(codes):
        pytest.skip("each call ended before its signal: name inputs that take a second or more")


def test_sigkill_leaves_no_half_artifact_and_a_retry_completes(verb: Verb, chain: Chain, tmp_path: Path) -> None:
    """Killed at several instants, each output is whole or absent; the same call again succeeds and tidies up."""
    for delay_s in instants(verb, chain, tmp_path)[:2]:
        out = tmp_path / str(delay_s)
        signalled(verb, chain, out, signal.SIGKILL, delay_s)
        assert_whole_or_absent(verb, chain, out)
        assert command(*verb.words(chain.folder, out)).code == 0
        assert not [file for file in out.rglob("*") if ".partial-" in file.name]


def test_a_full_disk_ends_with_75(verb: Verb, chain: Chain, tmp_path: Path) -> None:
    """Where nothing can be written the call may succeed later: 75, nothing left behind, and with room it does."""
    if not verb.stranger:
        pytest.skip("tests/faults fills the disk under each output of ours")
    with disk.mounted(tmp_path / "small", megabytes=64) as small:
        small.leave(0)
        done = command(*verb.words(chain.folder, small.folder))
        assert done.code == 75, done.stderr
        assert ".partial-" not in done.error["message"]
        assert small.files() == set()
        small.clear()
        assert command(*verb.words(chain.folder, small.folder)).code == 0
