"""When a run is due: the rule, its limits with their defaults, a YAML file of it, and how long it must hold.

The defaults are guesses, but for the index: a rule of thumb calls 0.25 a big shift.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from brakeline.refusals import USAGE, Refused

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)([smhd])")
OFF = "off"


@dataclass(frozen=True)
class Rule:
    """A run is due where one of the first four has held for `for_s`, and the last one was `cooldown_s` ago.

    `psi` is of any one feature, `out_of_range` a share of rows, `widening_m` what the mean of bound less median has
    gained since the model was new [m]; None switches one off. They are judged over `window_s` and `rows` at least.
    """

    psi: float | None = 0.25
    out_of_range: float | None = 0.02
    widening_m: float | None = 5.0
    coverage: bool = True
    for_s: float = 900.0
    window_s: float = 300.0
    rows: int = 1000
    cooldown_s: float = 86400.0

    def words(self) -> dict[str, Any]:
        """The rule as a file of it has it."""
        return {
            "psi": _or_off(self.psi),
            "out_of_range": _or_off(self.out_of_range),
            "widening_m": _or_off(self.widening_m),
            "coverage": self.coverage or OFF,
            "for": duration_text(self.for_s),
            "window": duration_text(self.window_s),
            "min_rows": self.rows,
            "cooldown": duration_text(self.cooldown_s),
        }


def read(file: Path | None, given: Mapping[str, str | None]) -> Rule:
    """The rule of a YAML file, or the default one, with what the command line gives instead by the same keys.

    Raises Refused that names file or option, key, what was found and what is allowed.
    """
    rule = Rule()
    for key, value in (_content(file) if file else {}).items():
        rule = _with(rule, str(file), str(key), value)
    for key, text in given.items():
        if text is not None:
            rule = _with(rule, "the command line", key, text)
    # A burst stays in the window for the window's time; held for longer, it is no burst.
    if rule.for_s and rule.window_s > rule.for_s:
        found = f"{duration_text(rule.window_s)}, longer than for, {duration_text(rule.for_s)}"
        raise Refused(f"the rule: window: found {found}, allowed at most that, or a burst alone would hold", USAGE)
    return rule


def duration_text(seconds: float) -> str:
    """A time as `duration` reads it, in the largest unit that divides it."""
    for unit in "dhm":
        if seconds and seconds % _SECONDS[unit] == 0:
            return f"{seconds / _SECONDS[unit]:.0f}{unit}"
    return f"{seconds:g}s"


def duration(text: object) -> float:
    """A time such as 90s, 15m, 24h or 7d [s]. Raises ValueError."""
    if text in (0, "0"):
        return 0.0
    match = _DURATION.fullmatch(str(text).strip())
    if not match:
        raise ValueError("a number with s, m, h or d, as in 15m")
    return float(match[1]) * _SECONDS[match[2]]


def _share(text: object) -> float:
    share = _positive(text)
    if share >= 1.0:
        raise ValueError("a share between 0 and 1")
    return share


def _positive(text: object) -> float:
    number = float(str(text)) if not isinstance(text, bool) else math.nan
    if not (math.isfinite(number) and number > 0):
        raise ValueError("a number above 0")
    return number


def _window(text: object) -> float:
    return _positive(duration(text))


def _rows(text: object) -> int:
    number = _positive(text)
    if not number.is_integer():
        raise ValueError("a whole number above 0")
    return int(number)


def _truth(text: object) -> bool:
    told = str(text).lower()
    if told not in ("true", "on", "yes", "false", OFF, "no"):
        raise ValueError("on or off")
    return told in ("true", "on", "yes")


# Key of a rule's file: its field, how it is read, and what is allowed.
_KEYS = {
    "psi": ("psi", _positive, f"a number above 0, or {OFF}"),
    "out_of_range": ("out_of_range", _share, f"a share between 0 and 1, or {OFF}"),
    "widening_m": ("widening_m", _positive, f"metres above 0, or {OFF}"),
    "coverage": ("coverage", _truth, f"on or {OFF}"),
    "for": ("for_s", duration, "a time such as 15m, or 0"),
    "window": ("window_s", _window, "a time above 0 such as 5m"),
    "min_rows": ("rows", _rows, "a whole number above 0"),
    "cooldown": ("cooldown_s", duration, "a time such as 24h, or 0"),
}
_MAY_BE_OFF = {field.name for field in fields(Rule) if field.type == (float | None)}


def _with(rule: Rule, where: str, key: str, value: object) -> Rule:
    if key not in _KEYS:
        raise Refused(f"{where}: found unknown {key!r}, allowed {', '.join(_KEYS)}", USAGE)
    name, parse, allowed = _KEYS[key]
    # YAML has a truth of its own for `off`.
    is_off = name in _MAY_BE_OFF and (value is None or value is False or str(value).lower() == OFF)
    try:
        changed: dict[str, Any] = {name: None if is_off else parse(value)}
        return replace(rule, **changed)
    except ValueError as error:
        raise Refused(f"{where}: {key}: found {str(value)[:50]!r}, allowed {allowed}", USAGE) from error


def _content(file: Path) -> dict[Any, Any]:
    import yaml  # noqa: PLC0415

    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise Refused(f"--rule: cannot read {file}: {error}", USAGE) from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise Refused(f"{file}: found {type(content).__name__}, allowed keys with values: {', '.join(_KEYS)}", USAGE)
    return content


def _or_off(value: float | None) -> float | str:
    return OFF if value is None else value
