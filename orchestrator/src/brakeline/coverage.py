"""How often measured stops were within the bound that the server gave, how sure that is, and by what margin.

Rows of a drive share vehicle, road and weather: where one stop is longer than its bound its neighbours often are too,
so N rows tell less than N independent ones. How much less is the design effect (Kish 1965),

    D = sum_g (m_g - p n_g)² / (n p (1 - p)),     m_g of the n_g rows of drive g missed, p = sum m_g / n

between 1 and sum n_g² / n. Wilson's interval (1927) with n / D rows follows, which holds for rare events too. Where no
row missed, D cannot be told and is taken as large as it can be. The dossier of a model counts the same way.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl

Z = 1.96  # standard deviations to either side of a 95 % interval
GROUP, MARGIN_M = "group", "margin_m"
_QUANTILES = {"p01_m": 0.01, "p05_m": 0.05, "median_m": 0.5}


@dataclass(frozen=True)
class Slice:
    """Rows whose reading of a role lies in (low, high]."""

    name: str
    role: str
    low: float = -math.inf
    high: float = math.inf


# What a car can observe, cut as the dossier cuts it; rows without a reading are a slice of their own for each role.
SLICES = (
    Slice("friction to 0.2", "friction", high=0.2),
    Slice("friction 0.2 to 0.35", "friction", 0.2, 0.35),
    Slice("friction 0.35 to 0.5", "friction", 0.35, 0.5),
    Slice("friction 0.5 to 0.65", "friction", 0.5, 0.65),
    Slice("friction 0.65 to 0.8", "friction", 0.65, 0.8),
    Slice("friction above 0.8", "friction", 0.8),
    Slice("to 10 m/s", "speed", high=10.0),
    Slice("10 to 20 m/s", "speed", 10.0, 20.0),
    Slice("20 to 30 m/s", "speed", 20.0, 30.0),
    Slice("above 30 m/s", "speed", 30.0),
    Slice("no rain", "rain", high=0.05),
    Slice("rain", "rain", 0.05),
    Slice("air to 1 °C", "air_temperature", high=1.0),
    Slice("air 1 to 10 °C", "air_temperature", 1.0, 10.0),
    Slice("air above 10 °C", "air_temperature", 10.0),
    Slice("small car", "vehicle_class", -0.5, 0.5),
    Slice("mid-size car", "vehicle_class", 0.5, 1.5),
    Slice("SUV", "vehicle_class", 1.5, 2.5),
    Slice("van", "vehicle_class", 2.5, 3.5),
    Slice("truck", "vehicle_class", 3.5, 4.5),
    Slice("downhill", "grade", high=-0.03),
    Slice("uphill", "grade", low=0.03),
)


@dataclass(frozen=True)
class Figures:
    """Of some stops: how many, of how many drives; the share within the bound and its 95 % interval; margins [m].

    A margin is bound less measured, below 0 for a stop that was longer than its bound.
    """

    rows: int
    drives: int
    missed: int
    covered: float
    low: float
    high: float
    worst_m: float
    p01_m: float
    p05_m: float
    median_m: float
    mean_m: float

    def facts(self) -> dict[str, Any]:
        """As JSON, to four decimals."""
        return {name: round(value, 4) if isinstance(value, float) else value for name, value in asdict(self).items()}


def figures(stops: "pl.DataFrame") -> Figures | None:
    """Figures of a frame with a `group` and a `margin_m` [m] for each stop; None without stops."""
    import polars as pl  # noqa: PLC0415  native code that only this needs

    if stops.is_empty():
        return None
    missed = (pl.col(MARGIN_M) < 0).sum()
    drives = stops.group_by(GROUP, maintain_order=True).agg(pl.len().alias("n"), missed.alias("m"))
    low, high = interval([int(n) for n in drives["n"]], [int(m) for m in drives["m"]])
    margin, count = stops[MARGIN_M], stops.height
    told = {name: _number(margin.quantile(at, "linear")) for name, at in _QUANTILES.items()}
    misses = int(drives["m"].sum())
    return Figures(
        rows=count,
        drives=drives.height,
        missed=misses,
        covered=1.0 - misses / count,
        low=low,
        high=high,
        worst_m=_number(margin.min()),
        mean_m=_number(margin.mean()),
        **told,
    )


def by_slice(stops: "pl.DataFrame", name_of: Mapping[str, str]) -> Iterator[tuple[str, Figures]]:
    """Figures of every slice that has stops; `name_of` is the column of each role."""
    import polars as pl  # noqa: PLC0415

    chosen = [
        (part.name, (pl.col(name_of[part.role]) > part.low) & (pl.col(name_of[part.role]) <= part.high))
        for part in SLICES
        if part.role in name_of
    ]
    chosen += [(f"{role.replace('_', ' ')} missing", pl.col(name).is_null()) for role, name in name_of.items()]
    for name, belongs in chosen:
        if found := figures(stops.filter(belongs)):
            yield name, found


def interval(rows: list[int], missed: list[int]) -> tuple[float, float]:
    """The 95 % interval of the covered share, of drives with so many rows, of which so many missed their bound."""
    n, p = sum(rows), sum(missed) / sum(rows)
    effect = most = sum(own * own for own in rows) / n
    if 0.0 < p < 1.0:
        left = sum((bad - p * own) ** 2 for own, bad in zip(rows, missed, strict=True))
        effect = min(max(left / (n * p * (1.0 - p)), 1.0), most)
    low, high = _wilson(p, n / effect)
    return 1.0 - high, 1.0 - low


def _wilson(p: float, n: float) -> tuple[float, float]:
    middle = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n)
    half = Z / (1.0 + Z * Z / n) * math.sqrt(p * (1.0 - p) / n + Z * Z / (4.0 * n * n))
    return max(middle - half, 0.0), min(middle + half, 1.0)


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan
