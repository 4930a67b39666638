"""Entries to register, and registries of every kind to register them in."""

from pathlib import Path

import pytest
from brakeline_register.registry import Entry, Paper, Registry, Source
from brakeline_register.sqlite import SqliteRegistry

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


@pytest.fixture(params=["sqlite"])
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Registry:
    """A registry of each kind, empty."""
    return SqliteRegistry(tmp_path / "registry.sqlite")
