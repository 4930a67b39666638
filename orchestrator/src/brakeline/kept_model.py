"""A version's kept model held to what the registry recorded of it, and its hidden lineage to the registered one."""

from pathlib import Path

from brakeline import provenance
from brakeline.content import LINEAGE_FILE, sha256_of
from brakeline.provenance import Unreadable
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
    told_by(report, NAME, folder, recorded, place)
    try:
        told = provenance.of_folder(folder)
    except (Unreadable, OSError):
        return
    if report.chain.makers([recorded]) and not told.makers([recorded]):
        found = "no call that made it, where the registered lineage knows one"
        report.altered.append(Altered(NAME, f"{place}/{LINEAGE_FILE}", found, version["sha256"]))
    strange = [call for call in told.calls if call not in report.chain.calls]
    if strange and report.chain.calls:
        found = f"a call of {strange[0].name} that the registered lineage does not know"
        report.altered.append(Altered(NAME, f"{place}/{LINEAGE_FILE}", found, version["sha256"]))


def told_by(report: Report, name: str, folder: Path, recorded: str, place: str) -> None:
    """What a folder tells of its past must be as it was written; a folder that tells nothing is older than that."""
    try:
        provenance.of_folder(folder)
    except FileNotFoundError:
        return
    except (Unreadable, OSError) as error:
        report.altered.append(Altered(name, f"{place}/{LINEAGE_FILE}", str(error), recorded))
