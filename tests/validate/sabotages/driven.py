"""Sabotages that driving shows best: each with the gate of the closed loop that is meant for it."""

import math

from tests.validate.sabotages import graphs, trees
from tests.validate.sabotages.attempt import Change, Sabotage, beside_champion, cut
from tests.validate.sabotages.graphs import MEDIAN, UPPER

_TRUCK = {"vehicle_class": (3.5, 4.5)}
_FROST = {"air_temperature": (-60.0, 1.0)}


def times(factor: float, box: trees.Box | None = None) -> Change:
    """Median and bound times a factor, everywhere or where every reading lies in a box."""
    if box is None:
        return graphs.both(graphs.scaled(MEDIAN, factor), graphs.scaled(UPPER, factor))
    return graphs.both(*(trees.in_box(box, math.log(factor), target) for target in (trees.MEDIAN, trees.UPPER)))


DRIVEN = (
    Sabotage("optimist", "median and bound times 0.85", "hits beyond the allowed", cut(times(0.85)), is_driven=True),
    Sabotage("optimist about trucks", "median and bound of trucks times 0.7", "hits, worst scenario",
             cut(times(0.7, _TRUCK)), is_driven=True),
    Sabotage("wakes up late", "a bound without margin as long as the object ahead is more than 45 m away",
             "late warnings, worst scenario", cut(trees.in_box({"range": (45.0, 400.0)}, -1.5)), is_driven=True),
    Sabotage("knows no bad road", "no way longer than from 8 m/s² would be", "energy left beyond training",
             cut(graphs.never_slower(8.0)), is_driven=True),
    Sabotage("pessimist", "median and bound times 1.8", "needless braking", cut(times(1.8)), is_driven=True),
    Sabotage("pessimist in frost", "median and bound times 2.5 below 1 °C", "needless braking, worst scenario",
             cut(times(2.5, _FROST)), is_driven=True),
    Sabotage("more daring than the live model", "median and bound times 0.93", "hits more than champion",
             beside_champion(times(0.93)), is_driven=True),
    Sabotage("more timid than the live model", "median and bound times 1.6", "brakes for nothing more than champion",
             beside_champion(times(1.6)), is_driven=True),
)  # fmt: skip
