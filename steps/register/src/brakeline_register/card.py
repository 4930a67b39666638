"""The model card: what a version is, from which data, what it was measured at, what it is for, and what it is not.

Sections as proposed by Mitchell et al., Model Cards for Model Reporting (2019).
"""

import math
from collections.abc import Mapping
from typing import Any

from brakeline_register.registry import Entry

_USE = """\
Informs a braking decision: the distance to standstill (median and a bound that holds for 99 of 100 stops) from the
sensors' readings. The answer of a row whose `out_of_range` is 1 is the worst case of the physics, not the model's.

Not for: steering or releasing brakes without another line of defence; vehicles, roads or weather beyond the scenarios
it learned from (`ood_score` of 3 and more); proof of safety to an authority. It is research and engineering software
and no certified controller.
"""


def write(name: str, entry: Entry, judged: Mapping[str, Any]) -> str:
    """The card as Markdown. The same model, verdict and source give the same text."""
    training, overall = judged.get("training") or {}, judged.get("overall") or {}
    parts = [
        f"# {name}, model {entry.sha256[:12]}",
        _table(
            ("what", "stopping distance of a road vehicle, from its sensors' raw readings"),
            ("sha256", entry.sha256),
            ("format", f"{entry.format} {entry.format_version}".strip()),
            ("data contract", f"version {entry.contract_version}"),
            ("run", entry.source.run or "not told"),
            ("pipeline", entry.source.pipeline or "not told"),
            ("git revision", entry.source.revision or "not told"),
        ),
        "## Intended use and bounds",
        _USE.rstrip(),
        "## Data",
        _table(
            ("dataset, sha256", training.get("dataset_sha256") or "not told"),
            ("rows that were fitted", _figure(training.get("fit_rows"))),
            ("rows that calibrated the bound", _figure(training.get("calibration_rows"))),
            ("trials of the search", _figure(training.get("trials"))),
            ("holdout, sha256", judged.get("holdout_sha256")),
            ("rows of the holdout", _figure(overall.get("rows"))),
            ("other models judged on this dataset", _others(judged)),
        ),
        "Synthetic drives, joined by recorded stops where the run had some; no model can be better than what its"
        " scenarios contain.",
        "## Metrics on the holdout",
        _table(*((metric, _figure(value)) for metric, value in sorted(overall.items()))),
        f"## Gates, version {judged.get('gate_version')}",
        _gates(judged.get("gates") or []),
    ]
    return "\n\n".join(parts) + "\n"


def _table(*rows: tuple[str, Any]) -> str:
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])


def _gates(gates: list[Mapping[str, Any]]) -> str:
    head = ["| gate | found | limit | unit | passed |", "|---|---|---|---|---|"]
    return "\n".join(head + [
        f"| {gate.get('name')} | {_figure(gate.get('value'))} | {_figure(gate.get('limit'))} | {gate.get('unit', '')} "
        f"| {'yes' if gate.get('passed') is True else 'NO'} |"
        for gate in gates
    ])  # fmt: skip


def _others(judged: Mapping[str, Any]) -> str:
    told = judged.get("attempts")
    return f"{told.get('others')}, of which {told.get('refused')} refused" if isinstance(told, dict) else "not told"


def _figure(value: Any) -> str:
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:g}"
    return "not told" if value is None else str(value)
