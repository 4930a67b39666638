"""Ask a served model as any client would: by `tritonclient`, with the contract that the server publishes."""

from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from tritonclient import http
from tritonclient.utils import InferenceServerException

MPS_PER_MPH = 0.44704
# The UK Highway Code, Rule 126: typical braking distances [m] by speed [mph], without the thinking distance.
HIGHWAY_CODE_BRAKING_M = {20: 6, 30: 14, 40: 24, 50: 38, 60: 55, 70: 75}
# Readings by role of a mid-size car on level ground; a role that is not named is a missing reading.
_CAR = {"vehicle_class": 1.0, "grade": 0.0, "acceleration": 0.0, "mass": 1600.0, "disc_temperature": 120.0}
ROADS = {
    "dry": _CAR | {"friction": 0.9, "rain": 0.0, "air_temperature": 15.0},
    "wet": _CAR | {"friction": 0.6, "rain": 4.0, "air_temperature": 11.0},
}
MEDIAN, UPPER = "stopping_distance_m", "stopping_distance_upper_m"


@dataclass(frozen=True)
class Line:
    """One speed: the Highway Code's braking distance and the model's answers [m]."""

    speed_mph: int
    code_m: int
    dry_m: float
    dry_upper_m: float
    wet_m: float
    wet_upper_m: float


class WrongAnswer(Exception):
    """The server answered what no stop can be."""


class NoAnswer(Exception):
    """No server, or none that has the model yet."""


def highway_code(server: str, model: str) -> list[Line]:
    """Ask for the Highway Code's speeds on a dry and on a wet road. Raises NoAnswer, WrongAnswer."""
    client = http.InferenceServerClient(urlsplit(server).netloc)
    speeds = np.array([mph * MPS_PER_MPH for mph in HIGHWAY_CODE_BRAKING_M], dtype=np.float32)
    try:
        features = client.get_model_metadata(model)["parameters"]["contract"]["features"]
        answers = {road: _ask(client, model, features, readings, speeds) for road, readings in ROADS.items()}
    except (InferenceServerException, OSError) as error:
        raise NoAnswer(f"{server} does not answer for model {model!r}: {error}") from error
    lines = [
        Line(mph, code, *(round(float(answers[road][output][row]), 1) for road in ROADS for output in (MEDIAN, UPPER)))
        for row, (mph, code) in enumerate(HIGHWAY_CODE_BRAKING_M.items())
    ]
    _check(lines)
    return lines


def _ask(
    client: Any, model: str, features: list[dict[str, Any]], readings: dict[str, float], speeds: Any
) -> dict[str, Any]:
    inputs = []
    for feature in features:
        value = readings.get(feature["role"], np.nan)
        column = speeds if feature["role"] == "speed" else np.full(speeds.shape, value, dtype=np.float32)
        tensor = http.InferInput(feature["name"], [speeds.size, 1], "FP32")
        tensor.set_data_from_numpy(column.reshape(-1, 1))
        inputs.append(tensor)
    result = client.infer(model, inputs)
    return {output: result.as_numpy(output).ravel() for output in (MEDIAN, UPPER)}


def _check(lines: list[Line]) -> None:
    """What holds for any braking model: longer when faster, longer on wet, bounded from above."""
    for before, line in zip([None, *lines], lines, strict=False):
        plain = 0 < line.dry_m < line.wet_m and line.dry_m < line.dry_upper_m and line.wet_m < line.wet_upper_m
        if not plain or (before is not None and not before.dry_m < line.dry_m):
            raise WrongAnswer(f"the server's answer is no stop: {asdict(line)}")
