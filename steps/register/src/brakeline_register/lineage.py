"""The lineage of a version: all calls that it comes from, closed into an in-toto statement of SLSA provenance.

in-toto Statement v1 (https://in-toto.io/Statement/v1), SLSA provenance v1 (https://slsa.dev/provenance/v1). A folder's
sha256 is that of its `sha256sum` lines, which in-toto calls dirHash.
"""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import stepkit
from stepkit import artifacts, lineage, verdict
from stepkit.errors import Refused
from stepkit.lineage import Made

from brakeline_register import __version__
from brakeline_register.registry import Source

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:brakeline:pipeline:v1"
# A field of our own is told by its maker's name, as SLSA asks.
CHAIN = "brakeline_lineage"

# How runners name code that lies in no image.
_SOURCES = "sources:"
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_DIGEST = re.compile(r"@sha256:([0-9a-f]{64})$")


def gather(told: Path | None, model: Path, passed_verdict: Path) -> list[Made]:
    """All calls that a model and its verdict come from: of validate's lineage and of the model's folder.

    Without validate's lineage those of the model alone. Raises UnreadableArtifact; Refused where the lineage is that
    of another verdict or model.
    """
    model_sha256, verdict_sha256 = artifacts.sha256_of(model), artifacts.sha256_of(passed_verdict)
    calls = lineage.before({model: model_sha256})
    if told is None:
        return calls
    of_verdict = lineage.read(told)
    judging = [call for call in of_verdict if verdict_sha256 in call.outputs.values()]
    if not any(model_sha256 in taken for call in judging for taken in call.inputs.values()):
        raise Refused(
            f"{told}: tells of no verdict {verdict_sha256} on the model {model_sha256}: take the lineage that"
            " `validate` wrote with this verdict",
            found=[dict(call.outputs) for call in of_verdict if call.step == "validate"],
            allowed=verdict_sha256,
        )
    return lineage.leading_to([*of_verdict, *calls], [model_sha256, verdict_sha256])


def of_statement(statement: bytes, sha256: str) -> list[Made]:
    """The calls that an artifact comes from, as a statement closed them; none where it is no statement of ours."""
    try:
        groups = json.loads(statement)["predicate"][CHAIN]["calls"]
        return lineage.leading_to([call for group in groups for call in lineage.expand(group)], [sha256])
    except (ValueError, KeyError, TypeError, AttributeError):
        return []


def close(calls: list[Made], model: Path, judged: Mapping[str, Any], name: str, source: Source) -> dict[str, Any]:
    """The statement: subject are the graph and the model's folder, dependencies every input of every call.

    The same calls, model and source give the same statement: no clock is in it.
    """
    graph, folder = verdict.model_sha256(model), artifacts.sha256_of(model)
    return {
        "_type": STATEMENT_TYPE,
        "subject": [
            {"name": f"{name}/{verdict.MODEL_FILE}", "digest": {"sha256": graph}},
            {"name": name, "digest": {"sha256": folder, "dirHash": folder}},
        ],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {"name": name, "calls": _parameters(calls)},
                "internalParameters": {
                    "contract_version": judged.get("contract_version"),
                    "gate_version": judged.get("gate_version"),
                    "training": judged.get("training") or {},
                },
                "resolvedDependencies": [*_inputs(calls), *_images(calls), *_revisions(calls, source)],
            },
            "runDetails": {
                "builder": {
                    "id": f"urn:brakeline:pipeline:{source.pipeline or 'by-hand'}",
                    "version": _versions(calls),
                },
                "metadata": {"invocationId": source.run} if source.run else {},
                "byproducts": _byproducts(calls, folder),
            },
            CHAIN: {"schema_version": lineage.SCHEMA_VERSION, "calls": lineage.compact(calls)},
        },
    }


def _parameters(calls: Iterable[Made]) -> dict[str, Any]:
    """Parameters by verb; where a loop's calls differ, all values in a list."""
    found: dict[str, dict[str, list[Any]]] = {}
    for call in calls:
        of_verb = found.setdefault(f"{call.step} {call.verb}", {})
        for name, value in call.parameters.items():
            values = of_verb.setdefault(name, [])
            if value not in values:
                values.append(value)
    return {
        verb: {name: values[0] if len(values) == 1 else sorted(values, key=repr) for name, values in told.items()}
        for verb, told in sorted(found.items())
    }


def _inputs(calls: Iterable[Made]) -> list[dict[str, Any]]:
    """Every input once, by the first name it goes by, and which verb made it if one did."""
    made = {sha256: f"{call.step} {call.verb}" for call in calls for sha256 in call.outputs.values()}
    taken = {
        sha256: name
        for call in calls
        for name, listed in sorted(call.inputs.items(), reverse=True)
        for sha256 in listed
    }
    return [
        {"name": name, "digest": {"sha256": sha256}, "annotations": {"made_by": made.get(sha256, "given from outside")}}
        for sha256, name in sorted(taken.items(), key=lambda item: (item[1], item[0]))
    ]


def _images(calls: Iterable[Made]) -> list[dict[str, Any]]:
    named = sorted({(call.image, call.step) for call in calls if call.image})
    return [
        {"name": f"code of {step}", "uri": image if image.startswith(_SOURCES) else f"oci:{image}"}
        | ({"digest": {"sha256": digest[1]}} if (digest := _DIGEST.search(image)) else {})
        for image, step in named
    ]


def _revisions(calls: Iterable[Made], source: Source) -> list[dict[str, Any]]:
    named = {call.revision for call in calls} | {source.revision}
    return [_revision(each) for each in sorted(named) if each]


def _revision(revision: str) -> dict[str, Any]:
    commit, dirty = revision.removesuffix("-dirty"), revision.endswith("-dirty")
    known = {"digest": {"gitCommit": commit}} if _COMMIT.fullmatch(commit) else {}
    return {"name": f"git revision {revision}", **known, "annotations": {"dirty": dirty}}


def _versions(calls: Iterable[Made]) -> dict[str, str]:
    steps = {f"brakeline-{call.step}": call.version for call in calls}
    return dict(sorted(steps.items())) | {"brakeline-register": __version__, "stepkit": stepkit.__version__}


def _byproducts(calls: Iterable[Made], folder: str) -> list[dict[str, Any]]:
    """What the judging of the model made: verdict, dossier, figures."""
    judging = [call for call in calls if any(folder in taken for taken in call.inputs.values())]
    return [
        {"name": name, "digest": {"sha256": sha256}}
        for name, sha256 in sorted({item for call in judging for item in call.outputs.items()})
    ]
