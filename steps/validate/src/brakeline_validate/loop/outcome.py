"""What the runs of a scenario amount to: rates with their intervals, speeds, margins; and of all of them together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from brakeline_validate.intervals import wilson
from brakeline_validate.loop.drive import Runs
from brakeline_validate.loop.plant import Array
from brakeline_validate.loop.scenario import Scenario
from brakeline_validate.metrics import significant

WARNED_BEFORE_S = 0.8  # UN R152's warning before emergency braking
ONE_SIDED_Z = 1.645  # the upper end of a rate that is exceeded in one case of twenty
_TOUCH_MPS = 0.1  # slower is no impact that a track can tell from standing close


def writable(value: float) -> float | None:
    """A figure as JSON holds it, None where there is none."""
    return significant(value) if np.isfinite(value) else None


@dataclass(frozen=True)
class Rate:
    """So many of so many runs, with the upper end of the rate's one-sided 95 % interval; NaN of no runs."""

    hits: int
    runs: int

    @property
    def value(self) -> float:
        """The rate itself."""
        return self.hits / self.runs if self.runs else float("nan")

    @property
    def upper(self) -> float:
        """What it is not above."""
        return wilson(self.value, self.runs, ONE_SIDED_Z)[1] if self.runs else float("nan")

    def facts(self) -> dict[str, Any]:
        """As JSON."""
        return {"hits": self.hits, "runs": self.runs, "rate": writable(self.value), "upper": writable(self.upper)}

    def __add__(self, other: "Rate") -> "Rate":
        return Rate(self.hits + other.hits, self.runs + other.runs)


@dataclass(frozen=True)
class Outcome:
    """A scenario's runs in figures. Rates of a positive one count the runs within training, `outside` the others."""

    scenario: Scenario
    contact: Rate
    beyond: Rate  # hits faster than allowed
    beyond_outside: Rate
    unwarned: Rate  # braked too soon after the warning, of those that braked
    nuisance: Rate  # braked, of all runs
    fastest_impact_mps: float
    energy_left_outside: float  # mean share of the closing energy that is left at contact, outside of training
    margin_m: float  # the gap that 95 of 100 runs keep
    braked_s: float  # median
    jerk_mps3: float  # that 95 of 100 runs stay below

    def facts(self) -> dict[str, Any]:
        """As JSON, with what is held against it."""
        limits = self.scenario.limits
        told: dict[str, Any] = {
            "after": self.scenario.after,
            "positive": self.scenario.is_positive,
            "limits": {"beyond": limits.impact, "nuisance": limits.nuisance, "unwarned": limits.unwarned},
            "allowed_impact_mps": significant(self.scenario.allowed_impact_mps),
        }
        for name in ("contact", "beyond", "beyond_outside", "unwarned", "nuisance"):
            told[name] = getattr(self, name).facts()
        for name in ("fastest_impact_mps", "energy_left_outside", "margin_m", "braked_s", "jerk_mps3"):
            told[name] = writable(getattr(self, name))
        return told

    def in_short(self) -> dict[str, Any]:
        """What a line has room for."""
        told: dict[str, Any] = {"scenario": self.scenario.name}
        if self.scenario.is_positive:
            told |= {"hits": self.contact.hits, "beyond_allowed": self.beyond.hits, "runs": self.beyond.runs}
            told |= {
                "fastest_impact_mps": significant(self.fastest_impact_mps, 3),
                "margin_m": significant(self.margin_m, 3),
            }
        else:
            told |= {"braked": self.nuisance.hits, "runs": self.nuisance.runs}
        return told


def outcome(runs: Runs) -> Outcome:
    """Judge nothing, count everything."""
    scenario, within = runs.scenario, ~runs.outside
    touched = runs.impact_mps > _TOUCH_MPS
    beyond = touched & (runs.impact_mps > scenario.allowed_impact_mps)
    braked = np.isfinite(runs.braked_s)
    # Who was not warned at all was not warned in time.
    unwarned = braked & ~(runs.braked_s - runs.warned_s >= WARNED_BEFORE_S)
    energy = np.minimum(runs.impact_mps / np.maximum(runs.closing_mps, _TOUCH_MPS), 1.0) ** 2
    return Outcome(
        scenario,
        contact=_rate(touched, within),
        beyond=_rate(beyond, within),
        beyond_outside=_rate(beyond, runs.outside),
        unwarned=_rate(unwarned, braked),
        nuisance=_rate(braked, np.ones_like(braked)),
        fastest_impact_mps=float(runs.impact_mps[within].max(initial=0.0)),
        energy_left_outside=float(energy[runs.outside].mean()) if runs.outside.any() else float("nan"),
        margin_m=float(np.quantile(np.maximum(runs.least_gap_m[within], 0.0), 0.05)) if within.any() else float("nan"),
        braked_s=float(np.median(runs.braked_s[braked])) if braked.any() else float("nan"),
        jerk_mps3=float(np.quantile(runs.hardest_jerk_mps3, 0.95)),
    )


def total(outcomes: Sequence[Outcome], name: str, *, positive: bool) -> Rate:
    """A rate over all positive or all negative scenarios; those whose own limit is looser than usual count too."""
    rates = [getattr(each, name) for each in outcomes if each.scenario.is_positive is positive]
    return sum(rates, Rate(0, 0))


def worst(outcomes: Sequence[Outcome], name: str) -> tuple[float, str]:
    """The largest of rate's upper end over the scenario's own limit, and whose it is; NaN where none is limited."""
    field = "impact" if name == "beyond" else name
    found = [
        (getattr(each, name).upper / limit, each.scenario.name)
        for each in outcomes
        if (limit := getattr(each.scenario.limits, field)) is not None
    ]
    # A rate of no runs is NaN, which must not hide behind a larger one.
    return max(found, key=lambda one: (one[0] != one[0], one[0]), default=(float("nan"), "no scenario"))


def nuisance_per_1000_km(outcomes: Sequence[Outcome]) -> float:
    """Needless brakings that the rates and the stated exposure make together."""
    return sum(each.nuisance.value * each.scenario.per_1000_km for each in outcomes if not each.scenario.is_positive)


def energy_left(outcomes: Sequence[Outcome]) -> float:
    """Mean share of the energy that is left at contact, over all positive scenarios' runs outside of training."""
    shares: Array = np.array([each.energy_left_outside for each in outcomes if each.scenario.is_positive])
    return float(shares.mean()) if shares.size else float("nan")


@dataclass(frozen=True)
class Trace:
    """One run by cycle, for people to look at: arrays (C,), NaN after its end."""

    title: str
    scenario: str
    speed_mps: NDArray[np.float32]
    gap_m: NDArray[np.float32]
    deceleration_mps2: NDArray[np.float32]
    warned_s: float
    braked_s: float
    impact_mps: float


def telling(drives: Sequence[Runs]) -> list[Trace]:
    """The worst run of each kind: the hardest contact within training and beyond it, the closest shave, a nuisance."""
    positive = [runs for runs in drives if runs.scenario.is_positive]
    negative = [runs for runs in drives if not runs.scenario.is_positive]
    kinds = (
        ("Hardest contact within training", positive, lambda r: np.where(r.outside, 0.0, r.impact_mps), _TOUCH_MPS),
        ("Hardest contact beyond training", positive, lambda r: np.where(r.outside, r.impact_mps, 0.0), _TOUCH_MPS),
        ("Closest shave", positive, _closeness, 0.0),
        ("Braked for nothing", negative, lambda r: np.where(np.isfinite(r.braked_s), r.closing_mps, 0.0), 0.0),
    )
    found = []
    for title, among, key, least in kinds:
        best = max(((float(key(runs).max(initial=0.0)), runs) for runs in among), key=lambda one: one[0], default=None)
        if best and best[0] > least:
            runs = best[1]
            found.append(_trace(title, runs, int(key(runs).argmax())))
    return found


def _closeness(runs: Runs) -> Array:
    """Inverse of the least gap where there was no contact and the car came near at all."""
    clear = (runs.impact_mps == 0.0) & (runs.least_gap_m > 0.0) & ~runs.outside
    closeness: Array = np.where(clear, 1.0 / np.maximum(runs.least_gap_m, 1e-3), 0.0)
    return closeness


def _trace(title: str, runs: Runs, at: int) -> Trace:
    return Trace(
        title,
        runs.scenario.name,
        runs.speed_mps[at],
        runs.gap_m[at],
        runs.deceleration_mps2[at],
        float(runs.warned_s[at]),
        float(runs.braked_s[at]),
        float(runs.impact_mps[at]),
    )


def _rate(hits: NDArray[np.bool_], of: NDArray[np.bool_]) -> Rate:
    return Rate(int((hits & of).sum()), int(of.sum()))
