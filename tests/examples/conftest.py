"""The example's program, built once for a test process."""

from pathlib import Path

import pytest

from tests.examples import program


@pytest.fixture(scope="session")
def drivelog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return program.built(program.SOURCES, tmp_path_factory.mktemp("drivelog"))


@pytest.fixture(scope="session")
def long_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of work or more."""
    return program.long_log(tmp_path_factory.mktemp("log") / "long.csv", 600_000)
