"""The closed loop as the page shows it: totals, each scenario beside its limits, and films of the worst runs."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from brakeline_validate.dossier.axes import Tick
from brakeline_validate.dossier.films import Film, film
from brakeline_validate.dossier.strips import Scale, Strip
from brakeline_validate.dossier.subjects import figure
from brakeline_validate.examine import Findings
from brakeline_validate.loop import outcome
from brakeline_validate.loop.closed_loop import Driven
from brakeline_validate.loop.outcome import Outcome, Rate


@dataclass(frozen=True)
class Row:
    """A scenario: its rate within training beside its limit, and beyond training; `champion` on the same seeds."""

    name: str
    outcome: Outcome
    strip: Strip
    outside: Strip
    champion: Outcome | None
    over: bool


@dataclass(frozen=True)
class Group:
    """Scenarios modelled on the same protocol."""

    after: str
    rows: list[Row]


@dataclass(frozen=True)
class Total:
    """A figure over all scenarios in words: found, what it is surely not above, allowed, and the live model's."""

    name: str
    found: str
    upper: str
    allowed: str
    champion: str
    passed: bool | None  # None where no gate judges it


@dataclass(frozen=True)
class ClosedLoop:
    """All of it; ticks are those of the columns of strips."""

    policy: str
    runs: int
    totals: list[Total]
    positive: list[Group]
    positive_ticks: list[Tick]
    outside_ticks: list[Tick]
    negative: list[Row]
    negative_ticks: list[Tick]
    per_1000_km: float
    champion_per_1000_km: float | None
    films: list[Film]


def closed_loop(findings: Findings) -> ClosedLoop | None:
    """What was driven, ready to be written; None where nothing was."""
    driven, champion = findings.driven, findings.champion_driven
    if driven is None:
        return None
    of_champion = {each.scenario.name: each for each in champion.outcomes} if champion else {}
    positive = [each for each in driven.outcomes if each.scenario.is_positive]
    negative = [each for each in driven.outcomes if not each.scenario.is_positive]
    hits = Scale.over(_extremes(positive, "beyond", lambda one: one.scenario.limits.impact))
    outside = Scale.over([each.beyond_outside.value for each in positive])
    needless = Scale.over(_extremes(negative, "nuisance", lambda one: one.scenario.limits.nuisance))
    of_hits = [_hits(each, of_champion.get(each.scenario.name), hits, outside) for each in positive]
    protocols = dict.fromkeys(each.scenario.after for each in positive)
    return ClosedLoop(
        policy=driven.policy,
        runs=sum(each.scenario.runs for each in driven.outcomes),
        totals=list(_totals(findings, driven, champion)),
        positive=[Group(name, [row for row in of_hits if row.outcome.scenario.after == name]) for name in protocols],
        positive_ticks=hits.ticks(),
        outside_ticks=outside.ticks(3),
        negative=[_needless(each, of_champion.get(each.scenario.name), needless) for each in negative],
        negative_ticks=needless.ticks(),
        per_1000_km=outcome.nuisance_per_1000_km(driven.outcomes),
        champion_per_1000_km=outcome.nuisance_per_1000_km(champion.outcomes) if champion else None,
        films=[film(trace) for trace in driven.traces],
    )


def _extremes(
    outcomes: Sequence[Outcome], name: str, limit: Callable[[Outcome], float | None]
) -> Iterator[float | None]:
    for each in outcomes:
        yield getattr(each, name).upper
        yield limit(each)


def _hits(one: Outcome, champion: Outcome | None, scale: Scale, outside: Scale) -> Row:
    limit = one.scenario.limits.impact
    # Its group's heading says the protocol.
    name = one.scenario.name.removeprefix(f"{one.scenario.after}: ")
    strip, over = _rate(one.beyond, champion.beyond if champion else None, limit, scale)
    return Row(name, one, strip, outside.strip(one.beyond_outside.value), champion, over)


def _needless(one: Outcome, champion: Outcome | None, scale: Scale) -> Row:
    strip, over = _rate(one.nuisance, champion.nuisance if champion else None, one.scenario.limits.nuisance, scale)
    return Row(one.scenario.name, one, strip, scale.strip(math.nan), champion, over)


def _rate(rate: Rate, champion: Rate | None, limit: float | None, scale: Scale) -> tuple[Strip, bool]:
    # Written so that a rate of no runs is over.
    over = limit is not None and not rate.upper <= limit
    beside = champion.value if champion else None
    return scale.strip(rate.value, low=rate.value, high=rate.upper, limit=limit, beside=beside, over=over), over


def _totals(findings: Findings, driven: Driven, champion: Driven | None) -> Iterator[Total]:
    judged = {each.gate.name: each for each in findings.judged}
    for gate, name, rate_of in (
        ("hits beyond the allowed", "hits beyond the allowed speed, within training", _beyond),
        ("needless braking", "braking for nothing", _nuisance),
    ):
        rate = rate_of(driven)
        yield Total(
            name,
            f"{_percent(rate.value)} ({rate.hits:,} of {rate.runs:,} runs)",
            _percent(rate.upper),
            _percent(judged[gate].gate.limit),
            _percent(rate_of(champion).value) if champion else "",
            judged[gate].passed,
        )
    left = _outside(driven)
    yield Total(
        "hits beyond the allowed speed, beyond training",
        f"{_percent(left.value)} ({left.hits:,} of {left.runs:,} runs)",
        _percent(left.upper),
        "",
        _percent(_outside(champion).value) if champion else "",
        None,
    )
    energy = judged["energy left beyond training"]
    yield Total(
        "energy left at contact, beyond training",
        _percent(outcome.energy_left(driven.outcomes)),
        "",
        _percent(energy.gate.limit),
        _percent(outcome.energy_left(champion.outcomes)) if champion else "",
        energy.passed,
    )


def _beyond(driven: Driven) -> Rate:
    return outcome.total(driven.outcomes, "beyond", positive=True)


def _outside(driven: Driven) -> Rate:
    return outcome.total(driven.outcomes, "beyond_outside", positive=True)


def _nuisance(driven: Driven) -> Rate:
    return outcome.total(driven.outcomes, "nuisance", positive=False)


def _percent(share: float) -> str:
    return f"{figure(100.0 * share)} %" if math.isfinite(share) else "no figure"
