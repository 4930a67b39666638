"""How sure a share is: an interval that counts drives, not rows.

Rows of a drive share vehicle, road and weather: where one stop is longer than its bound its neighbours often are too,
so N rows tell less than N independent ones. How much less is the design effect (Kish 1965): the variance of the share
between whole drives, over that of as many independent rows,

    D = sum_g (m_g - p n_g)² / (n p (1 - p)),     m_g of the n_g rows of drive g missed, p = sum m_g / n

between 1 (every row for itself) and sum n_g² / n (all rows of a drive alike). Wilson's interval with n / D rows
follows; unlike p ± 2 s it holds for rare events. Where none was seen D cannot be told, and is taken as large as it
can be.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Standard deviations to either side of a 95 % interval.
USUAL_Z = 1.96


@dataclass(frozen=True)
class Share:
    """A share of rows with its interval; NaN without rows."""

    rows: int
    value: float
    low: float
    high: float


def share(hits: NDArray[np.bool_], drive: NDArray[np.int64], z: float = USUAL_Z) -> Share:
    """Share of rows that are hit, with an interval of z standard deviations; `hits` and `drive` are (N,)."""
    n = hits.size
    if n == 0:
        return Share(0, float("nan"), float("nan"), float("nan"))
    _, number = np.unique(drive, return_inverse=True)
    rows = np.bincount(number).astype(np.float64)
    p = float(hits.mean())
    most = float((rows @ rows) / n)
    if 0.0 < p < 1.0:
        left = np.bincount(number, weights=hits) - p * rows
        most = min(max(float(left @ left) / (n * p * (1.0 - p)), 1.0), most)
    low, high = wilson(p, n / most, z)
    return Share(n, p, low, high)


def wilson(p: float, n: float, z: float) -> tuple[float, float]:
    """Wilson (1927): the shares that p of n rows is at most z standard deviations from."""
    middle = (p + z * z / (2.0 * n)) / (1.0 + z * z / n)
    half = z / (1.0 + z * z / n) * float(np.sqrt(p * (1.0 - p) / n + z * z / (4.0 * n * n)))
    return max(middle - half, 0.0), min(middle + half, 1.0)
