"""Cron expressions as the scheduler of Kubeflow Pipelines reads them: six fields, the first of them seconds, in UTC.

What people write has five fields (minute, hour, day, month, weekday); a 0 for the second goes before. Unconverted they
would be taken too, and read as second to month: '0 3 * * *' would come each hour. A day matches when both day and
weekday do, or, where neither has a star in it, when either does.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from brakeline.access import UnusableAccess

_MONTHS = {
    "jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6, "jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11,
    "dec": 12,
}  # fmt: skip
_WEEKDAYS = {"sun": 0, "mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6}
_FIELDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("second", 0, 59, {}), ("minute", 0, 59, {}), ("hour", 0, 23, {}), ("day", 1, 31, {}), ("month", 1, 12, _MONTHS),
    # The scheduler knows Sunday as 0 alone.
    ("weekday", 0, 6, _WEEKDAYS),
)  # fmt: skip
_LONGEST_WAIT_DAYS = 8 * 366


@dataclass(frozen=True)
class Cron:
    """A checked expression: its six fields, and what each lets through."""

    text: str
    converted: bool
    _sets: tuple[frozenset[int], ...]
    _any_day: bool
    _any_weekday: bool

    def next(self, after: datetime) -> Iterator[datetime]:
        """When it comes next, in UTC, without end; nothing where it never comes within eight years."""
        seconds, minutes, hours, *_ = self._sets
        day = after.replace(hour=0, minute=0, second=0, microsecond=0)
        for _ in range(_LONGEST_WAIT_DAYS):
            if self._has(day):
                for hour in sorted(hours):
                    for minute in sorted(minutes):
                        for second in sorted(seconds):
                            at = day.replace(hour=hour, minute=minute, second=second)
                            if at > after:
                                yield at
            day += timedelta(days=1)

    def _has(self, day: datetime) -> bool:
        *_, days, months, weekdays = self._sets
        by_day, by_weekday = day.day in days, day.isoweekday() % 7 in weekdays
        either = by_day or by_weekday
        both = by_day and by_weekday
        return day.month in months and (both if self._any_day or self._any_weekday else either)


def parse(text: str) -> Cron:
    """A checked expression of five fields, or six with seconds. Raises UnusableAccess."""
    fields = text.split()
    if len(fields) not in {5, 6}:
        raise UnusableAccess(
            f"cron {text!r}: found {len(fields)} fields, allowed are five (minute hour day month weekday) or six "
            "with seconds first, in UTC: '0 3 * * *' is each day at 03:00"
        )
    six = fields if len(fields) == 6 else ["0", *fields]
    sets = tuple(_set(field, *about) for field, about in zip(six, _FIELDS, strict=True))
    cron = Cron(" ".join(six), len(fields) == 5, sets, _has_star(six[3]), _has_star(six[5]))
    if next(cron.next(datetime.now(UTC)), None) is None:
        raise UnusableAccess(f"cron {text!r}: no day is ever like this")
    return cron


def _has_star(field: str) -> bool:
    return any(part[0] in "*?" for part in field.split(","))


def _set(field: str, name: str, low: int, high: int, names: dict[str, int]) -> frozenset[int]:
    allowed: set[int] = set()
    for part in field.split(","):
        found = re.fullmatch(r"(\*|\?|(\w+)(?:-(\w+))?)(?:/(\d+))?", part)
        if not found:
            raise _unusable(name, field, low, high)
        whole, first, last, step = found.groups()
        if whole in {"*", "?"}:
            start, end = low, high
        else:
            start = _number(first, name, field, low, high, names)
            end = _number(last, name, field, low, high, names) if last else (high if step else start)
        if start > end or step == "0":
            raise _unusable(name, field, low, high)
        allowed |= set(range(start, end + 1, int(step or 1)))
    return frozenset(allowed)


def _number(word: str, name: str, field: str, low: int, high: int, names: dict[str, int]) -> int:
    number = names.get(word.lower(), int(word) if word.isdecimal() else -1)
    if not low <= number <= high:
        raise _unusable(name, field, low, high)
    return number


def _unusable(name: str, field: str, low: int, high: int) -> UnusableAccess:
    return UnusableAccess(f"cron {name}: found {field!r}, allowed is * or {low}-{high}, with lists, ranges and /steps")
