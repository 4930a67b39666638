"""What a window of traffic and the last feedback say by the rule: each condition with its value, limit and verdict."""

import json
import math
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from brakeline import drift
from brakeline.drift import Counts
from brakeline.feedback import STATE_FILE
from brakeline.rule import Rule
from brakeline.server_metrics import Look
from brakeline.watch_state import Baseline


@dataclass(frozen=True)
class Finding:
    """One condition: whether it holds. `value` is None where too little is known, and `words` says what is missing."""

    name: str
    value: float | None
    limit: float | None
    holds: bool
    words: str

    def facts(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self) | {"value": None if self.value is None else round(self.value, 4)}


def judge(rule: Rule, seen: Look, window: Counts, baseline: Baseline | None, feedback: list[Finding]) -> list[Finding]:
    """All conditions of the rule over a window of the primary's counts, and those of the feedback."""
    found = []
    if rule.psi is not None:
        for feature, training in seen.training.items():
            bins = window.features.get(feature, ())
            index = drift.stability(training, bins) if len(bins) == len(training) else math.nan
            words = f"{feature}: stability index {index:.2f}, limit {rule.psi:g}"
            found.append(_over(f"psi {feature}", index, rule.psi, sum(bins), rule, words))
    if rule.out_of_range is not None:
        share = window.out_of_range_share
        words = f"out of range: {share:.2%} of the rows, limit {rule.out_of_range:.2%}"
        found.append(_over("out_of_range", share, rule.out_of_range, window.rows, rule, words))
    if rule.widening_m is not None:
        rows, widening_m, words = 0.0, math.nan, ""
        if baseline is not None:
            rows, widening_m = window.spread_rows, window.mean_spread_m - baseline.spread_m
            words = f"the bound is {widening_m:.1f} m wider than the {baseline.spread_m:.1f} m of the new model"
            words += f", limit {rule.widening_m:g} m"
        found.append(_over("widening", widening_m, rule.widening_m, rows, rule, words))
    return found + (feedback if rule.coverage else [])


def of_feedback(state: Path, sha256: str, after_s: float) -> list[Finding]:
    """What `brakeline feedback` last said of a model by its sha256, if that is newer than a time [s since 1970].

    The condition holds where all of the interval lies below the share that the bound is meant to hold for.
    """
    file = state / STATE_FILE
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        promised, at_s = float(content["promised"]), datetime.fromisoformat(content["at"]).timestamp()
        ours = [one for one in content["by_version"] if one["sha256"] == sha256]
        if not ours or at_s <= after_s:
            return []
        worst = min(ours, key=lambda one: float(one["high"]))
        high, covered, rows = float(worst["high"]), float(worst["covered"]), int(worst["rows"])
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        return [Finding("coverage", None, None, False, f"{file} cannot be read: {type(error).__name__}: {error}")]
    words = f"coverage {covered:.2%} of {rows} stops, at most {high:.2%}, promised {promised:.2%}"
    return [Finding("coverage", high, promised, high < promised, words)]


def _over(name: str, value: float, limit: float, rows: float, rule: Rule, words: str) -> Finding:
    if rows < rule.rows or math.isnan(value):
        return Finding(name, None, limit, False, f"{name}: {rows:.0f} rows in the window, needed {rule.rows}")
    return Finding(name, value, limit, value >= limit, words)
