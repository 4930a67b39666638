"""Calls of a verb: undisturbed, as KFP makes them, and signalled; for steps of ours and of strangers."""

import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepkit import artifacts

from tests.conftest import BIN, Chain, command
from tests.steps.verbs import Verb

# What a clock measured, and what names it by its hash.
CLOCKED = {"measurements", "lineage"}
# After how long ours are signalled [s], and strangers, as shares of what an undisturbed call takes.
_OURS_S, _SHARES = (0.3, 0.6, 1.2), (0.2, 0.5, 0.8)


@dataclass(frozen=True)
class Undisturbed:
    """A call that nothing disturbed: where its outputs are, their sha256, and the time it took [s]."""

    folder: Path
    sha256: dict[str, str]
    seconds: float


_KNOWN: dict[str, Undisturbed] = {}


def undisturbed(verb: Verb, chain: Chain, folder: Path) -> Undisturbed:
    """What the call makes, once for all tests of a process."""
    if verb.name not in _KNOWN:
        began = time.monotonic()
        done = command(*verb.words(chain.folder, folder / "undisturbed"))
        seconds = time.monotonic() - began
        hashes = {output: done.sha256(output) for output in verb.outputs}
        _KNOWN[verb.name] = Undisturbed(folder / "undisturbed", hashes, seconds)
    return _KNOWN[verb.name]


def executor_input(verb: Verb, chain: Chain, out: Path) -> dict[str, Any]:
    """What KFP puts for `{{$}}`."""

    def listed(name: str, path: Path) -> dict[str, Any]:
        return {"artifacts": [{"name": name, "uri": str(path), "metadata": {}}]}

    return {
        "inputs": {"artifacts": {name: listed(name, chain.folder / at) for name, at in verb.inputs.items()}},
        "outputs": {
            "artifacts": {name: listed(name, out / name) for name in verb.outputs},
            "outputFile": str(out / "run" / "executor_output.json"),
        },
    }


def numeric(verb: Verb) -> dict[str, str]:
    """The verb's parameters that are numbers, with their types, as the step describes them."""
    described = json.loads(command(*verb.program, verb.verb, "--describe").stdout)["parameters"]
    return {name: about["type"] for name, about in described.items() if about["type"] in {"INTEGER", "NUMBER"}}


def instants(verb: Verb, chain: Chain, folder: Path) -> list[float]:
    """When to signal a call [s]."""
    if not verb.stranger:
        return list(_OURS_S)
    return [round(share * undisturbed(verb, chain, folder).seconds, 3) for share in _SHARES]


def signalled(verb: Verb, chain: Chain, out: Path, number: signal.Signals, delay_s: float) -> tuple[int, float]:
    """Start a verb, signal it after a delay; returns its status and the seconds it took to end."""
    program, *rest = verb.words(chain.folder, out)
    child = subprocess.Popen([str(BIN / program), *rest], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(delay_s)
    sent = time.monotonic()
    child.send_signal(number)
    return child.wait(30), time.monotonic() - sent


def assert_whole_or_absent(verb: Verb, chain: Chain, out: Path) -> None:
    """Whatever stands under an output's own name has the bytes of an undisturbed call."""
    for output in verb.outputs:
        if (out / output).exists() and output not in CLOCKED:
            found = artifacts.sha256_of(out / output)
            assert found == undisturbed(verb, chain, out.parent).sha256[output], output


def read(descriptor: int) -> bytes:
    """What a terminal shows next; nothing once it is closed."""
    try:
        return os.read(descriptor, 65536)
    except OSError:
        # Linux answers EIO once the last follower is closed.
        return b""
