"""What the holdout and the faulty drives show, a row for each part, as the page shows it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from brakeline_validate.dossier.axes import Tick
from brakeline_validate.dossier.strips import Scale, Strip, around
from brakeline_validate.examine import Findings
from brakeline_validate.faults import UnderFault
from brakeline_validate.intervals import Share
from brakeline_validate.limit import Beside
from brakeline_validate.metrics import Score
from brakeline_validate.slices import OBSERVABLE

STATED_MISS = 0.01
_SLICE_GATE = "bound missed, worst slice"

T = TypeVar("T")


@dataclass(frozen=True)
class Part:
    """Some rows of the holdout; `missed` is there where its interval was asked for."""

    name: str
    score: Score
    missed: Share | None
    strip: Strip


@dataclass(frozen=True)
class Slices:
    """Parts by the reading that sets them apart, and the ticks of their strips."""

    groups: dict[str, list[Part]]
    ticks: list[Tick]


def slices(findings: Findings) -> Slices:
    """Share of missed bounds by what a car can observe, with its interval, beside what the gate allows."""
    limit = next((each.gate.limit for each in findings.judged if each.gate.name == _SLICE_GATE), None)
    known = {name: score for name, score in findings.observable.items() if score.rows}
    highs = [findings.missed[name].high for name in known if name in findings.missed]
    # The interval of a dozen rows would leave no room for the others: it runs out of its row.
    highs.sort()
    scale = Scale.over([limit, *highs[: max(len(highs) - 2, 1)], *(score.missed_share for score in known.values())])
    found: dict[str, list[Part]] = {}
    role = {entry.name: entry.role.replace("_", " ") for entry in OBSERVABLE}
    for name, score in known.items():
        sure = findings.missed.get(name)
        low, high = (sure.low, sure.high) if sure else (None, None)
        over = limit is not None and score.missed_share > limit
        strip = scale.strip(score.missed_share, low=low, high=high, limit=limit, beside=STATED_MISS, over=over)
        found.setdefault(role[name], []).append(Part(name, score, sure, strip))
    return Slices(found, scale.ticks())


@dataclass(frozen=True)
class Truth:
    """Parts by one truth, and the ticks of their strips."""

    parts: list[Part]
    ticks: list[Tick]


def truths(findings: Findings) -> dict[str, Truth]:
    """Share of missed bounds by each truth that no car can see; one with a single value tells nothing."""
    values: dict[str, dict[str, Score]] = {}
    for name, score in findings.by_truth.items():
        truth, _, value = name.partition(": ")
        if score.rows:
            values.setdefault(truth.replace("_", " "), {})[value.replace("_", " ")] = score
    return {truth: _truth(scores) for truth, scores in values.items() if len(scores) > 1}


def _truth(scores: dict[str, Score]) -> Truth:
    scale = Scale.over([STATED_MISS, *(score.missed_share for score in scores.values())])
    parts = [
        Part(value, score, None, scale.strip(score.missed_share, beside=STATED_MISS)) for value, score in scores.items()
    ]
    return Truth(parts, scale.ticks())


@dataclass(frozen=True)
class Columns(Generic[T]):
    """Rows of a table with a strip each, by name."""

    rows: list[tuple[str, T, Strip]]
    ticks: list[Tick]


def floor(beside: dict[str, Beside]) -> Columns[Beside]:
    """The model's efficiency with its interval, beside 1, which is the limit that the sensors set."""
    ends = (end for each in beside.values() for end in (each.efficiency_low, each.efficiency_high))
    scale = around(1.0, ends)
    return _columns(
        beside.items(), scale, 1.0,
        lambda each: scale.strip(each.efficiency, low=each.efficiency_low, high=each.efficiency_high, beside=1.0),
    )  # fmt: skip


def faults(under: dict[str, UnderFault]) -> Columns[UnderFault]:
    """Share of missed bounds under each fault, on usual roads, with its interval beside its limit."""
    known = {name.replace("_", " "): each for name, each in under.items() if each.score.rows}
    scale = Scale.over(end for each in known.values() for end in (each.limit, each.on_usual_roads.value))
    return _columns(
        known.items(), scale, 100.0,
        lambda each: scale.strip(
            each.on_usual_roads.value, low=each.on_usual_roads.low, high=each.on_usual_roads.high, limit=each.limit,
            over=each.is_beyond,
        ),
    )  # fmt: skip


def _columns(rows: Iterable[tuple[str, T]], scale: Scale, factor: float, strip: Callable[[T], Strip]) -> Columns[T]:
    return Columns([(name, each, strip(each)) for name, each in rows], scale.ticks(factor=factor))
