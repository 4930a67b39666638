"""A prediction log that a real server wrote, with the stops that were driven."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Chain
from tests.loop import traffic
from tests.serving.conftest import Server, Store, start

__all__ = ["start"]

SINGLES, KEPT, LARGE, OTHERS = 300, 100, 120, 40


@dataclass(frozen=True)
class Log:
    """A log's folder, and the stops that it has by id and row: which row of the world each one is."""

    folder: Path
    world: traffic.World
    row_of: dict[tuple[str, int], int]
    upper_m: dict[tuple[str, int], float]

    def stops(self, *, but: str = "") -> list[tuple[Any, ...]]:
        """Id, row and true distance of each stop whose id does not begin with `but`."""
        true_m = self.world.distances_m
        return [(id_, row, true_m[at]) for (id_, row), at in self.row_of.items() if not but or not id_.startswith(but)]

    def copy(self, folder: Path) -> Log:
        """A copy to spoil."""
        return Log(Path(shutil.copytree(self.folder, folder)), self.world, self.row_of, self.upper_m)


@pytest.fixture(scope="session")
def world(tiny: Chain) -> traffic.World:
    """The rows that are driven."""
    return traffic.world(tiny)


@pytest.fixture(scope="session")
def log(tiny: Chain, world: traffic.World, tmp_path_factory: pytest.TempPathFactory) -> Log:
    """Requests of one row, one of more rows than are kept, and some to another version, all with ids."""
    root = tmp_path_factory.mktemp("log")
    store = store_of(tiny, root / "models", "3", "4")
    kept = root / "kept"
    server = Server("--model-store", str(store.root), *logging_to(kept), log=root / "server.log")
    try:
        server.wait_for_version("3")
        asked = [(f"one-{at}", [at], "") for at in range(SINGLES)]
        asked.append(("many", list(range(SINGLES, SINGLES + LARGE)), ""))
        first = SINGLES + LARGE
        assert (
            server.ask("POST", f"/v2/repository/models/{traffic.NAME}/load", {"parameters": {"version": "4"}}).status
            == 200
        )
        asked += [(f"four-{at}", [at], "/versions/4") for at in range(first, first + OTHERS)]
        row_of, upper_m = {}, {}
        for id_, rows, suffix in asked:
            bounds = traffic.ask(server, world, rows, id_, suffix)["stopping_distance_upper_m"]
            for row, at in enumerate(rows[:KEPT]):
                row_of[id_, row], upper_m[id_, row] = at, bounds[row]
        traffic.logged(server, len(asked))
    finally:
        server.stop()
    return Log(kept, world, row_of, upper_m)


def store_of(chain: Chain, root: Path, *versions: str) -> Store:
    """A model store that has the chain's model under these versions and serves the first."""
    store = Store(root)
    for version in versions:
        target = root / traffic.NAME / version / "model.onnx"
        target.parent.mkdir(parents=True)
        shutil.copyfile(traffic.model_of(chain), target)
    store.point(versions[0])
    return store


def logging_to(folder: Path) -> tuple[str, ...]:
    """The server's options to keep every request."""
    return ("--prediction-log", str(folder), "--prediction-share", "1")
