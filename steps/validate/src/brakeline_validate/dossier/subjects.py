"""The gates as the page shows them: those that failed first, then by what they are about, each with an explanation."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from brakeline_validate.dossier.strips import Scale, Strip
from brakeline_validate.explanations import EXPLANATIONS, Explanation
from brakeline_validate.gates import Gate, Judged

SUBJECTS: dict[str, frozenset[str]] = {
    "The bound": frozenset({
        "rows lacking", "bound missed", "bound missed, not excluded", "bound missed, worst slice",
        "bound missed, worst pair", "bound far missed", "bound far missed, worst slice", "impossible answers",
    }),
    "Width and error": frozenset({
        "bound width", "bound width, worst slice", "relative error", "relative error, worst slice", "median leans",
        "median leans, worst slice",
    }),
    "The closed loop": frozenset({
        "hits beyond the allowed", "hits, worst scenario", "late warnings, worst scenario",
        "energy left beyond training", "needless braking", "needless braking, worst scenario",
    }),
    "The order of physics": frozenset({
        "shrinks with speed", "grows with friction", "shrinks downhill", "shrinks with load", "deepest fall",
        "deaf readings", "beats physics",
    }),
    "Unfit, missing and new readings": frozenset({
        "fail-safe missed", "inconsistent readings believed", "needless flags", "missing readings unanswered",
        "missing readings shorten", "novelty missed", "needless novelty",
    }),
    "What the sensors allow": frozenset({
        "behind the limit", "behind the limit, relative", "better than possible", "faults beyond their limit",
    }),
    "The artifact": frozenset({
        "contract", "operators", "outputs lacking", "parity", "unsteady answers", "deceleration off",
        "required deceleration off",
    }),
    "Cost": frozenset({"nodes", "comparisons", "size", "artifact size"}),
    "The live model": frozenset({
        "worse than champion", "wider than champion", "hits more than champion",
        "brakes for nothing more than champion",
    }),
}  # fmt: skip
OTHERS = "Other checks"
FAILED = "Failed"
# Of a limit: the bar of a gate ends a quarter beyond it.
_USED = Scale(1.25)
# Smaller shares are differences of arithmetic, and no percentages.
_LEAST_PERCENT = 1e-4
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_SHARES = ("share", "mean share", "relative")


@dataclass(frozen=True)
class Row:
    """A gate with its figures in words; `used` is how much of what is allowed was found, None where nothing is."""

    judged: Judged
    found: str
    allowed: str
    unit: str
    explanation: Explanation | None
    used: Strip | None


@dataclass(frozen=True)
class Group:
    """Gates under one heading, and how many gates of this subject there are in all."""

    name: str
    rows: list[Row]
    of: int


def groups(judged: Sequence[Judged]) -> list[Group]:
    """All that was judged, each once: failed gates under their own heading, then what passed by subject."""
    failed = [row(each) for each in judged if not each.passed]
    found = [Group(FAILED, failed, len(failed))] if failed else []
    for name in (*SUBJECTS, OTHERS):
        within = [each for each in judged if subject(each.gate.name) == name]
        passed = [row(each) for each in within if each.passed]
        if passed:
            found.append(Group(name, passed, len(within)))
    return found


def row(judged: Judged) -> Row:
    """A gate in words."""
    gate, used = judged.gate, None
    if gate.limit > 0.0:
        used = _USED.strip(judged.value / gate.limit, limit=1.0, over=not judged.passed)
    for digits in range(3, 12):
        found, allowed = (quantity(value, gate, digits) for value in (judged.value, gate.limit))
        # What is just above its limit must not read as if it were on it.
        if judged.passed or found != allowed:
            break
    return Row(judged, found, allowed, _unit(gate), EXPLANATIONS.get(gate.name), used)


def subject(gate: str) -> str:
    """What a gate is about."""
    return next((name for name, gates in SUBJECTS.items() if gate in gates), OTHERS)


def quantity(value: float, gate: Gate, digits: int = 3) -> str:
    """A figure of a gate, shares in percent."""
    if math.isnan(value):
        return "no figure"
    return figure(value, digits) if _share(gate) is None else f"{figure(100.0 * value, digits)} %"


def figure(value: float, digits: int = 3) -> str:
    """Readable at any size: counts with separators, others with few digits, small ones as powers of ten."""
    if not math.isfinite(value):
        return "no figure" if math.isnan(value) else "without bound"
    if abs(value) >= 1000 or value == int(value):
        return f"{value:,.{max(digits - 3, 0) if value != int(value) else 0}f}"
    if abs(value) >= 1e-3:
        return f"{value:.{digits}g}"
    mantissa, _, power = f"{value:.{digits - 2}e}".partition("e")
    return f"{mantissa} × 10{str(int(power)).translate(_RAISED)}"


def _share(gate: Gate) -> str | None:
    """How its unit says that it is a share which people read in percent; None where it is not."""
    if 0.0 < gate.limit <= _LEAST_PERCENT:
        return None
    return next((name for name in _SHARES if gate.unit.startswith(name)), None)


def _unit(gate: Gate) -> str:
    return gate.unit.removeprefix(_share(gate) or "").strip()
