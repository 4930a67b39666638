"""What a clock says on this machine, told for orientation and kept out of every hash."""

import time
from typing import Any

import numpy as np

from brakeline_validate.candidate import Candidate
from brakeline_validate.examine import Holdout

_CALLS = 2_000


def measure(model: Candidate, holdout: Holdout) -> dict[str, Any]:
    """Time single rows, varied from call to call: one repeated row would teach the branch predictor."""
    if model.contract != holdout.contract:
        return {}
    rows = [holdout.inputs[[index % holdout.inputs.shape[0]]] for index in range(_CALLS)]
    took = []
    for row in rows:
        start = time.perf_counter_ns()
        model.ask(row)
        took.append(time.perf_counter_ns() - start)
    middle, late = np.percentile(np.array(took) / 1e3, [50, 99])
    return {"calls": _CALLS, "single_row_p50_us": round(float(middle), 1), "single_row_p99_us": round(float(late), 1)}
