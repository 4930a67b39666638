"""One pipeline, several runners, one seed: equal bytes of dataset, trials, model and verdict."""

import json
from pathlib import Path

import pytest

from tests import engine
from tests.conftest import HOUSE, command, shared_path

pytestmark = pytest.mark.slow
SIZES = ("--rows", "120000", "--holdout-rows", "40000", "--trials", "1", "--shards", "1")
RECORDED = ("--recorded", str(HOUSE / "tests/data/recorded_stops.csv"))
ARTIFACTS = {"dataset": "assemble", "holdout": "assemble", "results": "refine", "model": "fit", "verdict": "validate"}
# All that numpy 2.4 knows of AVX-512, by its own names.
WITHOUT_AVX512 = {"NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR"}


def by_runner(state: Path, runner: str, environment: dict[str, str]) -> dict[str, str]:
    """Run the pipeline; returns each artifact's sha256, and that of what was registered."""
    done = command("brakeline", "run", "--runner", runner, "--state", state, "--no-cache", "--json", *SIZES, *RECORDED,
                   environment=environment)  # fmt: skip
    assert done.code == 0, done.stderr[-3000:]
    told = json.loads(done.stdout)
    assert (told["runner"], told["passed"]) == (runner, True)
    tasks = {task["name"]: task for task in json.loads((Path(told["folder"]) / "run.json").read_text())["tasks"]}
    hashes = {name: str(tasks[task]["artifacts"][name]["sha256"]) for name, task in ARTIFACTS.items()}
    registered = json.loads(Path(tasks["register"]["artifacts"]["registered"]["uri"]).read_text())
    return {**hashes, "subject": str(registered["sha256"])}


def by_processes(factory: pytest.TempPathFactory) -> dict[str, str]:
    """The process runner's bytes, once for all processes of this test run."""
    with shared_path(factory, "equality.json") as kept:
        if not kept.exists():
            told = json.dumps(by_runner(factory.mktemp("plain"), "process", {}))
            kept.write_text(told)
        return dict(json.loads(kept.read_text()))


def test_process_without_avx512(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Other threads, another hash seed, and numpy told from outside to leave AVX-512 alone: the same bytes."""
    other = {**WITHOUT_AVX512, "OMP_NUM_THREADS": "2", "POLARS_MAX_THREADS": "2", "PYTHONHASHSEED": "11"}
    assert by_runner(tmp_path, "process", other) == by_processes(tmp_path_factory)


def test_docker(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The images' Python, C library and CPU settings are others, the bytes are not."""
    engine.built()
    assert by_runner(tmp_path, "docker", {}) == by_processes(tmp_path_factory)
