"""What container tests need of this machine, or the reason why they are skipped."""

from functools import cache
from typing import Any

import pytest
from brakeline import images, place


@cache
def _reach() -> tuple[Any, str]:
    try:
        return place.engine(), ""
    except place.NoEngine as error:
        return None, f"{error}: container tests need one (docker.io, dockerd)"


def client() -> Any:
    """The engine's client; without an engine the test is skipped."""
    found, why = _reach()
    if found is None:
        pytest.skip(why)
    return found


def built() -> dict[str, str]:
    """The images by name; where they are missing or stale the test is skipped."""
    engine = client()
    try:
        named = images.for_containers()
    except images.NotBuilt as error:
        pytest.skip(str(error))
    have = place.tags(engine)
    if missing := [reference for reference in named.values() if reference not in have]:
        pytest.skip(f"{', '.join(missing)} not in the engine: run `python build.py`")
    return named


def workbench() -> str:
    """The workbench's image, which is built where it is asked for; where it is missing or stale the test is skipped."""
    engine, name = client(), images.WORKBENCH
    have = images.built().get(name)
    if have is None or images.stale([name]):
        pytest.skip("the workbench's image is missing or stale: run `python build.py images --workbench`")
    if have.reference not in place.tags(engine):
        pytest.skip(f"{have.reference} not in the engine: run `python build.py images --workbench`")
    return have.reference


def reference(name: str) -> str:
    """One image, the workbench's too."""
    return workbench() if name == images.WORKBENCH else built()[name]
