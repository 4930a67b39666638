"""Recordings as the tests write them, and what refuses them."""

from pathlib import Path

import pytest
from brakeline_synthesize import recorded
from stepkit.errors import StepError

from tests.conftest import HOUSE

SHIPPED = HOUSE / "tests" / "data" / "recorded_stops.csv"
UNITS = "# unit: wheel_speed_mps = m/s, stopping_distance_m = m\n"
HEADER = "wheel_speed_mps,vehicle_class,stopping_distance_m\n"
GOOD = "20,1,30\n"


def stops(folder: Path, text: str) -> Path:
    file = folder / "stops.csv"
    file.write_text(text)
    return file


def refusal(file: Path, share: float = 0.1) -> str:
    with pytest.raises(StepError) as refused:
        recorded.read(file, share)
    assert refused.value.exit_code == 65
    assert str(file) in str(refused.value)
    return str(refused.value)
