"""Two versions side by side: metrics, gates, data, code, contract."""

from collections.abc import Mapping
from typing import Any

from brakeline_register.registry import Version

Side = Mapping[str, Any]


def between(one: Version, other: Version) -> dict[str, Any]:
    """For each subject the rows in which it is told, `name`, `a`, `b` and whether they are the `same`, as JSON.

    What one version does not tell is None.
    """
    return {
        "a": {"version": one.version, "state": one.state, "created_at": one.created_at},
        "b": {"version": other.version, "state": other.state, "created_at": other.created_at},
        "subjects": {
            "metrics": _rows(one.facts.get("overall") or {}, other.facts.get("overall") or {}),
            "gates": _rows(_gates(one), _gates(other)),
            "data": _rows(_data(one), _data(other)),
            "training": _rows(_training(one), _training(other)),
            "code": _rows(_code(one), _code(other)),
            "contract": _rows({"version": one.contract_version}, {"version": other.contract_version}),
        },
    }


def _rows(one: Side, other: Side) -> list[dict[str, Any]]:
    names = list(dict.fromkeys((*one, *other)))
    return [
        {"name": name, "a": one.get(name), "b": other.get(name), "same": one.get(name) == other.get(name)}
        for name in names
    ]


def _gates(version: Version) -> Side:
    gates = version.facts.get("gates") or []
    limits = {f"{gate['name']}, limit": gate.get("limit") for gate in gates}
    values = {gate["name"]: gate.get("value") for gate in gates}
    return {"version": version.facts.get("gate"), **values, **limits}


def _data(version: Version) -> Side:
    training = version.facts.get("training") or {}
    counted = version.facts.get("attempts") or {}
    return {
        "dataset sha256": training.get("dataset_sha256"),
        "rows fitted": training.get("fit_rows"),
        "rows to calibrate": training.get("calibration_rows"),
        "holdout sha256": version.facts.get("holdout"),
        "models judged on it": counted.get("models"),
    }


def _training(version: Version) -> Side:
    training = version.facts.get("training") or {}
    return {"seed": training.get("seed"), "trials": training.get("trials"), **(training.get("parameters") or {})}


def _code(version: Version) -> Side:
    source = version.source
    return {
        "revision": source.revision or None,
        "pipeline": source.pipeline or None,
        "run": source.run or None,
        "format": f"{version.format} {version.format_version}".strip(),
    }
