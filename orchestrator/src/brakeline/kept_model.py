"""A version's kept model held to what the registry recorded of it, and its hidden lineage to the registered one."""

from pathlib import Path

from brakeline import provenance
from brakeline.content import LINEAGE_FILE, sha256_of
from brakeline.provenance import Chain, Unreadable
from brakeline.report import Altered, Missing, Report

GRAPH, NAME = "model.onnx", "kept model"


def examine(report: Report, folder: Path) -> None:
    """Look at the model in a folder, that of the version's URI or a copy of what lies there. Raises OSError."""
    version, place = report.version, str(report.version["uri"])
    graph, recorded = folder / GRAPH, str(report.version.get("folder_sha256") or "")
    if not graph.is_file():
        report.missing.append(Missing(f"kept {GRAPH}", version["sha256"]))
        return
    report.note(GRAPH, f"{place}/{GRAPH}", sha256_of(graph), version["sha256"])
    if recorded:
        report.note(NAME, place, sha256_of(folder), recorded)
    told = told_by(report, NAME, folder, recorded, place)
    strange = [call for call in told.calls if call.text not in report.chain.texts] if told else []
    if strange and report.chain.calls:
        found = f"a call of {strange[0].name} that the registered lineage does not know"
        report.altered.append(Altered(NAME, f"{place}/{LINEAGE_FILE}", found, version["sha256"]))


def told_by(report: Report, name: str, folder: Path, recorded: str, place: str) -> Chain | None:
    """What a folder tells of its past: as it was written, and no less than the registered lineage knows of it.

    A folder that tells nothing and of which that knows nothing is older than lineages are.
    """
    file = f"{place}/{LINEAGE_FILE}"
    try:
        told = provenance.of_folder(folder)
    except FileNotFoundError:
        if recorded in report.chain.made:
            report.missing.append(Missing(f"lineage of {name}, {file}", recorded))
        return None
    except (Unreadable, OSError) as error:
        report.altered.append(Altered(name, file, str(error), recorded))
        return None
    if left_out := _left_out(report.chain, told, recorded):
        found = f"no call that made {left_out}, where the registered lineage knows one"
        report.altered.append(Altered(name, file, found, recorded or str(report.version["sha256"])))
    return told


def _left_out(known: Chain, told: Chain, recorded: str) -> str:
    """What a folder does not tell who made it, although the registered lineage does; empty where it tells all of it.

    The same bytes may have another past, made by other code: a past of which that knows not every call is not judged.
    """
    if recorded in known.made - told.made:
        return "it"
    if not told.texts <= known.texts:
        return ""
    missing = {
        f"{name} {sha256} of {call.name}"
        for call in told.calls
        for name, taken in call.inputs.items()
        for sha256 in taken
        if sha256 in known.made - told.made
    }
    return min(missing, default="")
