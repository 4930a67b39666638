"""What changed between two results: per figure old, new, their ratio, and whether by more than the rounds spread.

A change counts where the medians are farther apart than both spreads together, least to greatest round: of three rounds
that differ by chance alone one figure in seventy does so, of five hardly any. That the rounds do not meet would be too
little: one in ten. Better and worse are by the aim; without one a figure has moved. One round has no spread, so its
change is told and not judged, unless it loses an aim.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from _results import DONE, Entry, Results, same_machine
from rich.markup import escape
from rich.table import Table

BETTER, WORSE, MOVED, WITHIN, SAME = "better", "worse", "moved", "within the spread", "the same"
ONE_ROUND, NEW, GONE, ELSEWHERE = "one round", "new", "not measured now", "another machine"
_UNCHANGED = {WITHIN, SAME}


class NotComparable(ValueError):
    """Two results that have no figure in common by their kind."""


@dataclass(frozen=True)
class Change:
    """A figure before and now; None where it was or is not measured."""

    bench: str
    name: str
    unit: str
    old: float | None
    new: float | None
    ratio: float | None
    verdict: str
    old_met: bool | None
    new_met: bool | None
    why: str = ""

    @property
    def is_told(self) -> bool:
        """Whether there is something to tell."""
        return self.verdict not in _UNCHANGED or self.old_met != self.new_met

    @property
    def is_worse(self) -> bool:
        """Beyond the spread in the wrong direction, an aim lost by a figure of one round, or by not being measured."""
        lost = self.old_met is True and self.new_met is not True
        return self.verdict == WORSE or (lost and self.verdict in {ONE_ROUND, GONE})


def changes(old: Results, new: Results) -> list[Change]:
    """Every figure of both, in the order of the new one; NotComparable where one is quick and the other full."""
    if old.quick is not new.quick:
        kinds = ["quick" if each.quick else "full" for each in (old, new)]
        raise NotComparable(f"the old figures are {kinds[0]} and the new ones {kinds[1]}: their sizes are not the same")
    elsewhere = not same_machine(old.machine, new.machine)
    found = list[Change]()
    for bench in sorted({entry.bench for entry in (*old.entries, *new.entries)}):
        found += _of_bench(bench, old.entry(bench), new.entry(bench), elsewhere)
    return found


def _of_bench(bench: str, old: Entry | None, new: Entry | None, elsewhere: bool) -> Iterator[Change]:
    before, now = _by_name(old), _by_name(new)
    why = "" if new is not None and new.status == DONE else f"{new.status}: {new.why}" if new else "no such bench"
    for known in dict.fromkeys((*now, *before)):
        yield _change(bench, before.get(known), now.get(known), elsewhere, why)


def _by_name(entry: Entry | None) -> dict[tuple[str, str], dict[str, Any]]:
    return {(figure["name"], figure["unit"]): figure for figure in (entry.figures if entry else [])}


def _change(bench: str, old: dict[str, Any] | None, new: dict[str, Any] | None, elsewhere: bool, why: str) -> Change:
    known = new or old
    assert known is not None
    before, now = (None if each is None else float(each["value"]) for each in (old, new))
    return Change(
        bench=bench,
        name=known["name"],
        unit=known["unit"],
        old=before,
        new=now,
        ratio=now / before if before and now is not None else None,
        verdict=_verdict(old, new, elsewhere),
        old_met=old["met"] if old else None,
        new_met=new["met"] if new else None,
        why=why if new is None else "",
    )


def _verdict(old: dict[str, Any] | None, new: dict[str, Any] | None, elsewhere: bool) -> str:
    if old is None or new is None:
        return NEW if old is None else GONE
    if elsewhere:
        return ELSEWHERE
    if old["rounds"] == new["rounds"] or (old["value"] == new["value"] and _is_single(old, new)):
        return SAME
    return ONE_ROUND if _is_single(old, new) else _beside(old, new)


def _is_single(old: dict[str, Any], new: dict[str, Any]) -> bool:
    return min(len(old["rounds"]), len(new["rounds"])) < 2


def _beside(old: dict[str, Any], new: dict[str, Any]) -> str:
    spreads = sum(max(each["rounds"]) - min(each["rounds"]) for each in (old, new))
    change, aim = new["value"] - old["value"], new["aim"] or old["aim"]
    if abs(change) <= spreads:
        return WITHIN
    if aim is None:
        return MOVED
    return BETTER if (change > 0) == aim.startswith(">=") else WORSE


def table(found: list[Change]) -> Table:
    """For people."""
    shown = Table("bench", "figure", "unit", "old", "new", "new / old", "change", "aim met")
    for each in found:
        told = each.verdict + (f" ({each.why})" if each.why else "")
        met = f"{_yes(each.old_met)} → {_yes(each.new_met)}" if {each.old_met, each.new_met} != {None} else ""
        values = [f"{value:.4g}" if value is not None else "–" for value in (each.old, each.new, each.ratio)]
        shown.add_row(*map(escape, (each.bench, each.name, each.unit, *values, told, met)))
    return shown


def facts(found: list[Change]) -> list[dict[str, Any]]:
    """As JSON."""
    return [{**asdict(each), "worse": each.is_worse} for each in found]


def _yes(met: bool | None) -> str:
    return {None: "–", True: "yes", False: "no"}[met]
