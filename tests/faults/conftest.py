"""What every test of faults has: its tally, and a chain of artifacts with all that a release needs."""

import json
import shutil
from pathlib import Path

import pytest
from stepkit import artifacts

from tests.conftest import Chain, command
from tests.faults.counting import Tally, tally_of
from tests.register.test_verbs import passed


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Tally:
    """Counts the faults of this test."""
    return tally_of(request.node)


@pytest.fixture(scope="module")
def chain(tiny: Chain, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The artifacts of the tiny chain with a verdict as if its model had passed, registered in `released/`."""
    folder = tmp_path_factory.mktemp("chain") / "chain"
    shutil.copytree(tiny.folder, folder)
    artifacts.write_json(folder / "passed_verdict", passed(Chain(folder)))
    done = command(
        "brakeline-register", "add", "--model", folder / "model", "--passed-verdict", folder / "passed_verdict",
        "--registered", folder / "registered", "--registry", f"sqlite:///{folder}/released/registry.sqlite",
    )  # fmt: skip
    assert done.code == 0, done.stderr
    assert json.loads((folder / "registered").read_text())["version"] == "1"
    return folder
