"""Slices of the holdout: by what a car can observe, which gates judge, and by the truth, which is only told."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from stepkit.contract import Contract


@dataclass(frozen=True)
class Slice:
    """Rows whose reading of a role lies in (low, high]; `missing` are rows without that reading."""

    name: str
    role: str
    low: float = -np.inf
    high: float = np.inf
    missing: bool = False

    def rows(self, inputs: NDArray[np.float32], contract: Contract) -> NDArray[np.bool_]:
        """Which rows belong to it, shape (N,)."""
        reading = inputs[:, contract.names.index(contract.by_role(self.role).name)]
        if self.missing:
            return np.isnan(reading)
        return (reading > np.float32(self.low)) & (reading <= np.float32(self.high))


OBSERVABLE = (
    Slice("friction missing", "friction", missing=True),
    Slice("friction to 0.2", "friction", high=0.2),
    Slice("friction 0.2 to 0.35", "friction", 0.2, 0.35),
    Slice("friction 0.35 to 0.5", "friction", 0.35, 0.5),
    Slice("friction 0.5 to 0.65", "friction", 0.5, 0.65),
    Slice("friction 0.65 to 0.8", "friction", 0.65, 0.8),
    Slice("friction above 0.8", "friction", 0.8),
    Slice("to 10 m/s", "speed", high=10.0),
    Slice("10 to 20 m/s", "speed", 10.0, 20.0),
    Slice("20 to 30 m/s", "speed", 20.0, 30.0),
    Slice("above 30 m/s", "speed", 30.0),
    Slice("no rain", "rain", high=0.05),
    Slice("rain", "rain", 0.05),
    Slice("rain sensor missing", "rain", missing=True),
    Slice("air to 1 °C", "air_temperature", high=1.0),
    Slice("air 1 to 10 °C", "air_temperature", 1.0, 10.0),
    Slice("air above 10 °C", "air_temperature", 10.0),
    Slice("small car", "vehicle_class", -0.5, 0.5),
    Slice("mid-size car", "vehicle_class", 0.5, 1.5),
    Slice("SUV", "vehicle_class", 1.5, 2.5),
    Slice("van", "vehicle_class", 2.5, 3.5),
    Slice("truck", "vehicle_class", 3.5, 4.5),
    Slice("downhill", "grade", high=-0.03),
    Slice("uphill", "grade", low=0.03),
)


def observable(inputs: NDArray[np.float32], contract: Contract) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Every observable slice with its rows."""
    for entry in OBSERVABLE:
        yield entry.name, entry.rows(inputs, contract)


def pairs(inputs: NDArray[np.float32], contract: Contract) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Every two observable slices of different readings, with the rows in both: where a single slice may hide them."""
    found = [(entry, entry.rows(inputs, contract)) for entry in OBSERVABLE]
    for at, (one, of_one) in enumerate(found):
        for other, of_other in found[at + 1 :]:
            if other.role != one.role:
                yield f"{one.name}, {other.name}", of_one & of_other
