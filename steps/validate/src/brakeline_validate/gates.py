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

    def update(self, other: "Figures") -> None:
        """Keep what was found elsewhere too."""
        self.values |= other.values
        self.notes |= other.notes


PASSENGERS, FOLLOWERS, OPERATORS = "people in and before the car", "people in the car behind", "operators"

CONTRACT = Gate("contract", 0, "differences", "A model for other inputs answers another question.", PASSENGERS)
# What each figure is, where its limit comes from and what to do about it: `explanations.py`.
TABLE = (
    Gate(
        "operators", 0, "kinds", "A row is answered by itself, in a time known beforehand, from this file.", OPERATORS
    ),
    Gate("outputs lacking", 0, "outputs", "The braking decision reads all of them.", PASSENGERS),
    Gate("parity", 1e-4, "relative", "The graph must be the model that was fitted.", PASSENGERS),
    Gate("unsteady answers", 1e-6, "relative", "The same moment has one answer, in any company.", PASSENGERS),
    Gate("deceleration off", 1e-4, "relative", "It must go with the bound, or one of the two is wrong.", PASSENGERS),
    Gate(
        "required deceleration off", 1e-4, "relative", "It is kinematics; a wrong one brakes late or hard.", PASSENGERS
    ),
    Gate("impossible answers", 0.0, "share", "Distances are finite, above 0, and bounded from above.", PASSENGERS),
    Gate("rows lacking", 0, "rows", "Few rows cannot show how often a rare miss happens.", PASSENGERS),
    Gate("bound missed", 0.0125, "share", "The bound is stated for 99 of 100 stops.", PASSENGERS),
    Gate("bound missed, not excluded", 0.0135, "share", "A share that chance may hide counts too.", PASSENGERS),
    Gate("bound missed, worst slice", 0.02, "share", "No observable condition may hide below the mean.", PASSENGERS),
    Gate("bound missed, worst pair", 0.025, "share", "Nor may two conditions together.", PASSENGERS),
    Gate("bound far missed", 0.003, "share", "A stop 30 % beyond its bound is an accident.", PASSENGERS),
    Gate("bound far missed, worst slice", 0.005, "share", "Nobody's vehicle or weather is the exception.", PASSENGERS),
    Gate("bound width", 1.8, "bound/median", "A bound that is always long brakes for nothing.", FOLLOWERS),
    Gate("bound width, worst slice", 3.0, "bound/median", "Nor only where it is slippery.", FOLLOWERS),
    Gate("relative error", 0.2, "share", "A median this far off cannot tell a wet road from a dry one.", FOLLOWERS),
    Gate("relative error, worst slice", 0.4, "share", "Nor may it be so wherever that matters.", FOLLOWERS),
    Gate("median leans", 0.03, "share from a half", "Half of the stops are longer than their median.", FOLLOWERS),
    Gate("median leans, worst slice", 0.05, "share from a half", "Wherever it leans, braking is late.", PASSENGERS),
    Gate("shrinks with speed", 0.002, "share of steps", "A faster car never needs less room.", PASSENGERS),
    Gate("grows with friction", 0.005, "share of steps", "More grip never needs more room.", FOLLOWERS),
    Gate("shrinks downhill", 0.002, "share of steps", "A steeper descent never needs less room.", PASSENGERS),
    Gate("shrinks with load", 0.002, "share of steps", "A heavier vehicle never needs less room.", PASSENGERS),
    Gate("deepest fall", 0.3, "share of the bound", "One wrong corner is enough for an accident.", PASSENGERS),
    Gate("deaf readings", 0, "readings", "Speed, grip, slope and load decide how long a stop is.", PASSENGERS),
    Gate("beats physics", 1.0, "shortest stop/bound", "No stop is shorter than full grip allows.", PASSENGERS),
    Gate("fail-safe missed", 0.0, "share", "Unfit inputs get the worst case and a flag.", PASSENGERS),
    Gate("inconsistent readings believed", 0.0, "share", "Grip in freezing rain is a broken sensor.", PASSENGERS),
    Gate("needless flags", 2e-4, "share", "A flag on fit inputs brakes for nothing.", FOLLOWERS),
    Gate("missing readings unanswered", 0.0, "share", "A sensor that is lost is no reason for none.", PASSENGERS),
    Gate("missing readings shorten", 0.03, "mean log ratio", "Who knows less keeps more distance.", PASSENGERS),
    Gate("novelty missed", 0.05, "share", "What nobody has seen must be told apart.", OPERATORS),
    Gate("needless novelty", 0.01, "share", "A score that always cries is not looked at.", OPERATORS),
    Gate(
        "behind the limit", 0.08, "1 - limit/error", "The sensors tell more than such a model makes of it.", PASSENGERS
    ),
    Gate("behind the limit, relative", 0.05, "1 - limit/error", "Nor may short stops be what is given up.", PASSENGERS),
    Gate("better than possible", 0.0, "share", "Who beats the noise floor has seen the answers.", PASSENGERS),
    Gate("faults beyond their limit", 0, "faults", "A sensor that fails may not take the bound with it.", PASSENGERS),
    Gate(
        "hits beyond the allowed", 0.015, "share of runs", "Who is told to brake must come to rest in time.", PASSENGERS
    ),
    Gate("hits, worst scenario", 1.0, "of its limit", "No situation may hide below the sum.", PASSENGERS),
    Gate("late warnings, worst scenario", 1.0, "of its limit", "A driver who is warned late cannot help.", PASSENGERS),
    Gate(
        "energy left beyond training",
        0.2,
        "mean share",
        "Where nothing is known, most of the harm is averted.",
        PASSENGERS,
    ),
    Gate("needless braking", 0.02, "share of runs", "Braking for nothing is hit from behind.", FOLLOWERS),
    Gate("needless braking, worst scenario", 1.0, "of its limit", "Nor in any one situation.", FOLLOWERS),
    Gate("nodes", 60, "nodes", "Every node costs time in every request.", OPERATORS),
    Gate("comparisons", 12_000, "comparisons", "The most that one row can need.", OPERATORS),
    Gate("size", 8e6, "bytes", "A model is loaded while its forerunner still serves.", OPERATORS),
    Gate("artifact size", 16e6, "bytes", "What lies beside the graph is kept and copied with it.", OPERATORS),
    Gate("worse than champion", 0.03, "relative", "A new model may not be worse than the live one.", PASSENGERS),
    Gate("wider than champion", 0.15, "relative", "Nor buy its accuracy with longer bounds.", FOLLOWERS),
    Gate(
        "hits more than champion", 0.005, "share of runs", "On the same runs the live one may not hit less.", PASSENGERS
    ),
    Gate("brakes for nothing more than champion", 0.01, "share of runs", "Nor keep calmer.", FOLLOWERS),
)


def judge(values: dict[str, float], notes: dict[str, str]) -> list[Judged]:
    """Hold every gate of the table to its figure. A figure that is missing fails its gate."""
    return [Judged(gate, values.get(gate.name, float("nan")), notes.get(gate.name, "")) for gate in TABLE]
