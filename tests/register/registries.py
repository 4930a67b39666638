"""Entries to register, and registries of every kind to register them in."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from brakeline_register.registry import Entry, Paper, Registry, Source, open_registry
from brakeline_register.sqlite import SqliteRegistry

from tests.orchestrator.test_recordings import certified
from tests.register.description import GENERATIONS, file_of
from tests.register.stand_in import TOKEN, StandIn, serving

NAME = "stopping-distance"


def entry(content: str, **changes: object) -> Entry:
    """What is registered of a model, named by one letter; everything that an entry can tell is told."""
    told = Entry(
        sha256=content * 64,
        uri=f"/models/{content * 64}",
        contract_version=2,
        facts={
            "overall": {"mae_m": 1.5, "rows": 2000},
            "training": {"dataset_sha256": "d" * 64, "parameters": {"learning_rate": 0.1}},
            "holdout": "f" * 64,
            "gate": 4,
            "passed": True,
            "gates": [{"name": "parity", "value": 1e-7, "limit": 1e-4, "unit": "relative", "passed": True}],
            "attempts": {"models": 3, "refused": 2, "number": 3},
        },
        folder_sha256="e" * 64,
        format_version="1",
        source=Source("run-1", "brakeline", "0123abc"),
        papers={"verdict": Paper("/models/verdict.json", "1" * 64), "card": Paper("/models/card.md", "2" * 64)},
    )
    return Entry(**{**vars(told), **changes})


@pytest.fixture(params=["sqlite", *(f"kubeflow {one}" for one in GENERATIONS)])
def registry(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """A registry of each kind, empty: a file, and a service of each generation of its API."""
    if request.param == "sqlite":
        yield SqliteRegistry(tmp_path / "registry.sqlite")
        return
    with service(request.param.removeprefix("kubeflow "), tmp_path, monkeypatch) as held:
        yield open_registry(held.url)
    assert held.breaches == []


@contextmanager
def service(generation: str, folder: Path, monkeypatch: pytest.MonkeyPatch, secure: bool = False) -> Iterator[StandIn]:
    """A stand-in of the service, and an environment that knows its token and trusts its authority alone.

    Skips where no description is published.
    """
    if not file_of(generation).is_file():
        pytest.skip(f"no description of the API at {file_of(generation)}")
    certificate, authority = certified(folder)
    (folder / "token").write_text(f"{TOKEN}\n")
    monkeypatch.setenv("BRAKELINE_REGISTRY_TOKEN_FILE", str(folder / "token"))
    monkeypatch.setenv("BRAKELINE_REGISTRY_CA", str(authority))
    with serving(generation, certificate if secure else None) as held:
        yield held
