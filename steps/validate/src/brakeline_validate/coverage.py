"""What the holdout shows of bound and median, overall and wherever a failure could hide behind the mean.

A slice is judged by its share where it has rows enough to tell 1 from 2 in 100, and else by the low end of the share's
interval (`intervals.py`): chance alone refuses nobody, and a rare kind of road or vehicle is still no place to hide.
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from brakeline_validate.candidate import MEDIAN, UPPER, Vector
from brakeline_validate.gates import Figures
from brakeline_validate.intervals import Share, share
from brakeline_validate.metrics import FAR_BEYOND_BOUND, Score

# Rows come in drives of five alike: a share of 1 in 100 cannot be told from fewer rows than this.
LEAST_SLICE_ROWS = 1_500
LEAST_ROWS = 20_000
# Below this not even an interval says anything.
LEAST_PAIR_ROWS = 100
# Of some 250 pairs the worst is looked at: a low end 3.7 standard deviations down is passed by chance once in 40 times.
PAIR_Z = 3.7

Named = Iterable[tuple[str, NDArray[np.bool_]]]


def overall(score: Score, distance_m: Vector, answers: dict[str, Vector], drive: NDArray[np.int64]) -> Figures:
    """Figures over all rows; arrays are (N,)."""
    found = Figures()
    missed, far = _missed(distance_m, answers), _missed(distance_m, answers, FAR_BEYOND_BOUND)
    of_bound, of_far, above = (share(hits, drive) for hits in (missed, far, distance_m > answers[MEDIAN]))
    found.add("rows lacking", float(max(LEAST_ROWS - score.rows, 0)))
    found.add("bound missed", score.missed_share, _interval(of_bound))
    found.add("bound missed, not excluded", of_bound.high)
    found.add("bound far missed", score.far_missed_share, _interval(of_far))
    found.add("bound width", score.width)
    found.add("relative error", score.relative_error)
    found.add("median leans", abs(above.value - 0.5), f"{100 * above.value:.1f} % of stops are longer")
    return found


def in_slices(
    scores: dict[str, Score], slices: Named, distance_m: Vector, answers: dict[str, Vector], drive: NDArray[np.int64]
) -> Figures:
    """Figures of the worst observable slice; scores and slices by the same names, arrays (N,)."""
    found, rows_of = Figures(), dict(slices)
    missed, far = _missed(distance_m, answers), _missed(distance_m, answers, FAR_BEYOND_BOUND)
    above = distance_m > answers[MEDIAN]
    big = {name: score for name, score in scores.items() if score.rows >= LEAST_SLICE_ROWS}
    small = [name for name, score in scores.items() if LEAST_PAIR_ROWS <= score.rows < LEAST_SLICE_ROWS]
    note = f"; few rows, judged by their interval: {', '.join(small)}" if small else ""
    for gate, hits, whole in (
        ("bound missed, worst slice", missed, {name: score.missed_share for name, score in big.items()}),
        ("bound far missed, worst slice", far, {name: score.far_missed_share for name, score in big.items()}),
    ):
        low = {name: share(hits[rows_of[name]], drive[rows_of[name]]).low for name in small}
        _add_worst(found, gate, whole | low, note)
    _add_worst(found, "bound width, worst slice", {name: score.width for name, score in big.items()})
    _add_worst(found, "relative error, worst slice", {name: score.relative_error for name, score in big.items()})
    leaning = {name: _leaning(share(above[rows_of[name]], drive[rows_of[name]])) for name in (*big, *small)}
    _add_worst(found, "median leans, worst slice", leaning)
    return found


def in_pairs(pairs: Named, distance_m: Vector, answers: dict[str, Vector], drive: NDArray[np.int64]) -> Figures:
    """The pair of slices whose share of missed bounds is surely the largest; arrays (N,)."""
    missed, found = _missed(distance_m, answers), Figures()
    low = {name: share(missed[rows], drive[rows], PAIR_Z).low for name, rows in pairs if rows.sum() >= LEAST_PAIR_ROWS}
    _add_worst(found, "bound missed, worst pair", low)
    return found


def missed_in(
    slices: Named, distance_m: Vector, answers: dict[str, Vector], drive: NDArray[np.int64]
) -> dict[str, Share]:
    """Share of missed bounds in each slice that has rows, with its interval; arrays (N,)."""
    hits = _missed(distance_m, answers)
    return {name: share(hits[rows], drive[rows]) for name, rows in slices if rows.any()}


def _missed(distance_m: Vector, answers: dict[str, Vector], factor: float = 1.0) -> NDArray[np.bool_]:
    """Which stops (N,) were longer than so many times their bound; written so that a NaN bound is a missed one."""
    missed: NDArray[np.bool_] = ~(distance_m <= factor * answers[UPPER])
    return missed


def _leaning(above: Share) -> float:
    """How far a half is outside the interval of the share of stops that are longer than their median."""
    return max(above.low - 0.5, 0.5 - above.high, 0.0)


def _add_worst(found: Figures, gate: str, by_name: dict[str, float], note: str = "") -> None:
    worst = max(by_name, key=lambda name: np.inf if np.isnan(by_name[name]) else by_name[name], default=None)
    found.add(gate, by_name[worst] if worst else float("nan"), f"{worst}{note}")


def _interval(found: Share) -> str:
    return f"95 % interval {100 * found.low:.3g} to {100 * found.high:.3g} %, whole drives counted"
