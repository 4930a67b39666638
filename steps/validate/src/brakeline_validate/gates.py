"""The gates: each a figure, the most it may be, why, and who is hurt if it is wrong. One failed gate fails all."""

from dataclasses import asdict, dataclass, field
from typing import Any

from brakeline_validate.metrics import significant


@dataclass(frozen=True)
class Gate:
    """A figure that may not be above its limit. A figure that is not a number fails."""

    name: str
    limit: float
    unit: str
    reason: str
    hurt: str


@dataclass(frozen=True)
class Judged:
    """A gate with what was measured."""

    gate: Gate
    value: float
    note: str = ""

    @property
    def passed(self) -> bool:
        """Whether the figure is within its limit; false for NaN."""
        return self.value <= self.gate.limit

    def facts(self) -> dict[str, Any]:
        """As JSON; a value that JSON cannot hold is written as text."""
        value = significant(self.value)
        writable: float | str = value if abs(value) < float("inf") else str(value)
        return {**asdict(self.gate), "value": writable, "passed": self.passed, "note": self.note}


@dataclass
class Figures:
    """What was measured for some gates, and what to know of it, by the gate's name."""

    values: dict[str, float] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    def add(self, gate: str, value: float, note: str = "") -> None:
        """Keep what was found for a gate."""
        self.values[gate] = value
        if note:
            self.notes[gate] = note


PASSENGERS, FOLLOWERS, OPERATORS = "people in and before the car", "people in the car behind", "operators"

CONTRACT = Gate("contract", 0, "differences", "A model for other inputs answers another question.", PASSENGERS)
TABLE = (
    Gate("parity", 1e-4, "relative", "The graph must be the model that was fitted.", PASSENGERS),
    Gate("impossible answers", 0.0, "share", "Distances are finite, above 0, and bounded from above.", PASSENGERS),
    Gate("rows lacking", 0, "rows", "Few rows cannot show how often a rare miss happens.", PASSENGERS),
    Gate("bound missed", 0.0125, "share", "The bound is stated for 99 of 100 stops.", PASSENGERS),
    Gate("bound missed, worst slice", 0.02, "share", "No observable condition may hide below the mean.", PASSENGERS),
    Gate("bound far missed", 0.003, "share", "A stop 30 % beyond its bound is an accident.", PASSENGERS),
    Gate("bound width", 1.8, "bound/median", "A bound that is always long brakes for nothing.", FOLLOWERS),
    Gate("relative error", 0.15, "share", "A median this far off says nothing about the road.", FOLLOWERS),
    Gate("shrinks with speed", 0.002, "share of steps", "A faster car never needs less room.", PASSENGERS),
    Gate("grows with friction", 0.005, "share of steps", "More grip never needs more room.", FOLLOWERS),
    Gate("fail-safe missed", 0.0, "share", "Unfit inputs get the worst case and a flag.", PASSENGERS),
    Gate("needless flags", 2e-4, "share", "A flag on fit inputs brakes for nothing.", FOLLOWERS),
    Gate(
        "behind the limit", 0.08, "1 - limit/error", "The sensors tell more than such a model makes of it.", PASSENGERS
    ),
    Gate("better than possible", 0.0, "share", "Who beats the noise floor has seen the answers.", PASSENGERS),
    Gate("faults beyond their limit", 0, "faults", "A sensor that fails may not take the bound with it.", PASSENGERS),
    Gate("nodes", 60, "nodes", "Every node costs time in every request.", OPERATORS),
    Gate("comparisons", 12_000, "comparisons", "The most that one row can need.", OPERATORS),
    Gate("size", 8e6, "bytes", "A model is loaded while its forerunner still serves.", OPERATORS),
    Gate("worse than champion", 0.03, "relative", "A new model may not be worse than the live one.", PASSENGERS),
)


def judge(values: dict[str, float], notes: dict[str, str]) -> list[Judged]:
    """Hold every gate of the table to its figure. A figure that is missing fails its gate."""
    return [Judged(gate, values.get(gate.name, float("nan")), notes.get(gate.name, "")) for gate in TABLE]
