"""What each step costs over rows, trials, shards and requests, four sizes each, fitted: fixed part, slope, exponent.

Beside a straight line: an exponent of 1 is one, and `docs/scale.md` plans a cluster by them. Processor seconds are
fitted, of the real commands with all that they started; wall time, memory and bytes are kept beside. A step learns with
one thread, so that a cost is core-seconds.

`--write` keeps all measurements in bench/scale.json and makes the figures of docs/scale.md anew of them; `--render`
does the latter alone, and measures nothing. Neither goes with `--quick`.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import _fan_out
import _scale_page
from _costs import Series
from _fits import fit
from _report import Figure, machine, options, report

HERE = Path(__file__).parent
KEPT = HERE / "scale.json"


def main() -> None:
    """Measure, fit, tell."""
    parser = options(__doc__)
    parser.add_argument("--write", action="store_true", help="keep the measurements, and make docs/scale.md's figures")
    parser.add_argument("--render", action="store_true", help="make docs/scale.md's figures of what is kept")
    chosen = parser.parse_args()
    if chosen.quick and (chosen.write or chosen.render):
        parser.error("--quick: its small sizes are nothing to plan by; leave --write and --render out")
    if chosen.render:
        _scale_page.write(json.loads(KEPT.read_text(encoding="utf-8")))
        return
    found = list(_measured(chosen.quick))
    if chosen.write:
        series = [one.facts() for one in found]
        told = {"machine": machine(), "series": series, "cluster": _fan_out.estimates()}
        KEPT.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        _scale_page.write(told)
    missing = {"fit, refine, validate, register": "left out, as they take long at any size"} if chosen.quick else {}
    if not chosen.quick and not any(one.name == "register add" for one in found):
        missing["register"] = "the model did not pass its gates, and no other is registered"
    if not any(one.axis == "workers" for one in found):
        missing["requests"] = "asked with wrk, which is not here; on Debian: apt-get install wrk"
    report("scale", _figures(found), _notes(found), chosen=chosen, missing=missing)


def _measured(quick: bool) -> Iterator[Series]:
    """Each series as it is done, from a process that is small."""
    began = time.monotonic()
    command = [sys.executable, str(HERE / "_axes.py"), *["quick"] * quick]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            for line in child.stdout:
                series = Series.read(json.loads(line))
                said = f"{time.monotonic() - began:5.0f} s: {series.name} over {series.axis}"
                print(said, file=sys.stderr, flush=True)
                yield series
        except BaseException:
            child.terminate()
            raise
    if child.returncode:
        raise SystemExit(f"the measurements ended with status {child.returncode}")


def _figures(found: list[Series]) -> list[Figure]:
    figures = []
    for series in found:
        name, per = f"{series.name}, over {series.axis}", f"{series.per:,} {series.axis}"
        if not series.can_be_fitted:
            figures.append(Figure(f"{name}: most / fewest", series.ratios(), "ratio of processor time"))
            continue
        made = fit([size / series.per for size in series.sizes], series.of("cpu_s"))
        figures.append(Figure(f"{name}: exponent", [made.exponent_low, made.exponent, made.exponent_high], "exponent"))
        slopes = [made.slope_low, made.slope, made.slope_high]
        figures.append(Figure(f"{name}: processor time for {per} more", slopes, "s"))
        figures.append(Figure(f"{name}: processor time, fixed", [made.fixed], "s"))
        figures.append(Figure(f"{name}: greatest residual", [made.residual], "share of the cost"))
        figures.append(Figure(f"{name}: peak memory", [max(series.of("peak_mb"))], "MB"))
    return figures


def _notes(found: list[Series]) -> dict[str, str]:
    fitted = [series for series in found if series.can_be_fitted]
    notes = {f"{one.name}, over {one.axis}": str(fit(one.sizes, one.of("cpu_s")).growth) for one in fitted}
    return {**notes, "rounds of an exponent or slope": "the low end of its 95 % interval, its value, the high end"}


main()
