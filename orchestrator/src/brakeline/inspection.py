"""A version's lineage held to the files that are there: what is as it was recorded, what was altered, what is missing.

Looked at are the kept model and its papers, all artifacts of this state's runs that the lineage names or that a run
with this model made, and what is on record of its release. What lies elsewhere, as on a cluster, is missing here, which
is no error.
"""

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from brakeline import provenance, recordings, releases, steps
from brakeline.content import LINEAGE_FILE, sha256_of
from brakeline.provenance import Chain, Unreadable
from brakeline.refusals import Refused
from brakeline.releases import Release

INTACT, ALTERED, MISSING = "intact", "altered", "missing"
_GRAPH = "model.onnx"
_EMBEDDED = "sqlite:///"
_BAD_DATA = 65


@dataclass(frozen=True)
class Altered:
    """A file or folder whose content is not what was recorded; `found` is its sha256, or what else is wrong with it."""

    artifact: str
    file: str
    found: str
    recorded: str


@dataclass(frozen=True)
class Missing:
    """An artifact that lies nowhere here."""

    artifact: str
    sha256: str


@dataclass
class Report:
    """What was found of a version. `seen` counts the intact places of each artifact by sha256."""

    version: Mapping[str, Any]
    chain: Chain = field(default_factory=lambda: Chain(()))
    seen: dict[str, list[str]] = field(default_factory=dict)
    altered: list[Altered] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    releases: list[Release] = field(default_factory=list)

    def state_of(self, sha256: str) -> str:
        """What is known of an artifact: altered if any of its places is, intact if one is there, else missing."""
        if any(one.recorded == sha256 for one in self.altered):
            return ALTERED
        return INTACT if self.seen.get(sha256) else MISSING

    def describe(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "name": self.version["model"],
            "version": self.version["version"],
            "sha256": self.version["sha256"],
            "status": ALTERED if self.altered else INTACT,
            "intact": sum(map(len, self.seen.values())),
            "altered": [asdict(one) for one in self.altered],
            "missing": [asdict(one) for one in self.missing],
            "calls": [asdict(call) for call in self.chain.calls],
            "releases": [one.describe() for one in self.releases],
        }


def find(registry: str, name: str, version: str) -> dict[str, Any]:
    """A version as the registry knows it. Raises Refused."""
    file = Path(registry.removeprefix(_EMBEDDED))
    if registry.startswith(_EMBEDDED) and not file.is_file():
        raise Refused(f"there is no registry {file}: a run makes one, --state or --registry names another")
    try:
        known = steps.call("register", "list", registry=registry, name=name)["versions"]
    except steps.StepRefused as error:
        raise Refused(str(error), error.exit_code) from error
    found = next((one for one in known if one["version"] == version), None)
    if found is None:
        there = ", ".join(one["version"] for one in known) or "none"
        raise Refused(f"the registry has no version {version} of {name}: there are {there}")
    return dict(found)


def examine(version: Mapping[str, Any], registry: str, state: Path) -> Report:
    """Read a version's lineage and hold it to the files. Raises Refused where a place cannot be looked at."""
    report = Report(version)
    _papers(report)
    if str(version["uri"]).startswith(recordings.SCHEME):
        _remote_model(report, registry)
    else:
        _kept_model(report)
    _artifacts_of_runs(report, state / "runs")
    _releases(report, registry, state)
    named = report.chain.names
    report.missing += [Missing(named[one], one) for one in sorted(named) if report.state_of(one) == MISSING]
    return report


def _papers(report: Report) -> None:
    papers = report.version.get("papers") or {}
    for name, paper in sorted(papers.items()):
        content = _content(paper["uri"])
        if content is None:
            report.missing.append(Missing(name, paper["sha256"]))
            continue
        _note(report, name, paper["uri"], hashlib.sha256(content).hexdigest(), paper["sha256"])
        if name == "lineage":
            _read_statement(report, paper, content)
    if "lineage" not in papers:
        report.missing.append(Missing("lineage", ""))


def _read_statement(report: Report, paper: Mapping[str, Any], content: bytes) -> None:
    try:
        report.chain, subjects = provenance.of_statement(content)
    except Unreadable as error:
        if report.state_of(paper["sha256"]) != ALTERED:
            report.altered.append(Altered("lineage", paper["uri"], str(error), paper["sha256"]))
        return
    for sha256 in (report.version["sha256"], report.version.get("folder_sha256")):
        if sha256 and sha256 not in subjects.values():
            about = f"a statement about {', '.join(sorted(subjects.values()))}"
            report.altered.append(Altered("lineage", paper["uri"], about, sha256))


def _kept_model(report: Report) -> None:
    folder, version = Path(report.version["uri"]), report.version
    graph = folder / _GRAPH
    if not graph.is_file():
        report.missing.append(Missing(f"kept {_GRAPH}", version["sha256"]))
        return
    _note(report, _GRAPH, str(graph), sha256_of(graph), version["sha256"])
    if version.get("folder_sha256"):
        _note(report, "kept model", str(folder), sha256_of(folder), version["folder_sha256"])
    _told_by(report, "kept model", folder, version.get("folder_sha256", ""))
    try:
        told = provenance.of_folder(folder)
    except (Unreadable, OSError):
        return
    made = [version.get("folder_sha256") or ""]
    if report.chain.makers(made) and not told.makers(made):
        found = "no call that made it, where the registered lineage knows one"
        report.altered.append(Altered("kept model", str(folder / LINEAGE_FILE), found, version["sha256"]))
    strange = [call for call in told.calls if call not in report.chain.calls]
    if strange and report.chain.calls:
        found = f"a call of {strange[0].name} that the registered lineage does not know"
        report.altered.append(Altered("kept model", str(folder / LINEAGE_FILE), found, version["sha256"]))


def _remote_model(report: Report, registry: str) -> None:
    """A model in a store is fetched by register, which holds it to the recorded hashes."""
    version = report.version
    with tempfile.TemporaryDirectory(prefix="brakeline-lineage-") as scratch:
        files: dict[str, Any] = {each: Path(scratch) / each for each in ("model", "passed_verdict", "registered")}
        try:
            known = {"version": version["version"], "name": version["model"]}
            steps.call("register", "fetch", registry=registry, **known, **files)
        except steps.StepRefused as error:
            if error.exit_code != _BAD_DATA:
                raise Refused(str(error), error.exit_code) from error
            report.altered.append(Altered("kept model", version["uri"], str(error), version["sha256"]))
            return
        _note(report, _GRAPH, f"{version['uri']}/{_GRAPH}", sha256_of(files["model"] / _GRAPH), version["sha256"])
        if version.get("folder_sha256"):
            _note(report, "kept model", version["uri"], sha256_of(files["model"]), version["folder_sha256"])


def _artifacts_of_runs(report: Report, runs: Path) -> None:
    names = report.chain.names
    for name, path, recorded in sorted(set(_recorded(report, runs, names))):
        if not path.exists():
            continue
        try:
            found = sha256_of(path)
        except OSError as error:
            found = f"unreadable: {error.strerror}"
        _note(report, name, str(path), found, recorded)
        if path.is_dir():
            _told_by(report, name, path, recorded)


def _releases(report: Report, registry: str, state: Path) -> None:
    """What was done with the version, after its lineage was closed."""
    known = {paper["sha256"] for paper in (report.version.get("papers") or {}).values()} | set(report.chain.names)
    records = [
        (file.parent.name, path)
        for file in (state / "runs").glob("*/run.json")
        for name, path, _ in _of_run(file)
        if name.endswith(f" {releases.RECORD}")
    ]
    found = [*releases.of_runs(records, report.version, known), *releases.of_people(state, report.version, registry)]
    for one in found:
        if isinstance(one, releases.Damaged):
            report.altered.append(Altered(releases.RECORD, str(one.file), one.why, "the record as it was written"))
            continue
        report.releases.append(one)
        for name, sha256 in one.call.outputs.items():
            given = one.file.parent / name
            if given.is_file():
                _note(report, name, str(given), sha256_of(given), sha256)
    order = list(releases.HOW)
    report.releases.sort(key=lambda one: (one.within, order.index((one.call.step, one.call.verb))))


def _recorded(report: Report, runs: Path, names: Mapping[str, str]) -> Iterator[tuple[str, Path, str]]:
    """Artifacts by name, place and recorded sha256: those of the lineage, and all of runs that made this model."""
    model = report.version.get("folder_sha256") or report.version["sha256"]
    for file in sorted(runs.glob("*/run.json")):
        made = list(_of_run(file))
        of_this_model = any(recorded == model for _, _, recorded in made)
        yield from (one for one in made if of_this_model or one[2] in names)
    for folder in (runs / "inputs" / sha256 for sha256 in names):
        if folder.is_dir():
            yield from ((names[folder.name], file, folder.name) for file in folder.iterdir())


def _of_run(file: Path) -> Iterator[tuple[str, Path, str]]:
    try:
        tasks = json.loads(file.read_text(encoding="utf-8"))["tasks"]
        for task in tasks:
            for output, artifact in task["artifacts"].items():
                if "sha256" in artifact:
                    # The same task's output in whichever iteration: the place tells them apart.
                    yield f"{task['name']} {output}", Path(artifact["uri"]), str(artifact["sha256"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refused(f"{file} is no record of a run: {type(error).__name__}: {error}; move it away") from error


def _told_by(report: Report, name: str, folder: Path, recorded: str) -> None:
    """What a folder tells of its past must be as it was written; a folder that tells nothing is older than that."""
    try:
        provenance.of_folder(folder)
    except FileNotFoundError:
        return
    except (Unreadable, OSError) as error:
        report.altered.append(Altered(name, str(folder / LINEAGE_FILE), str(error), recorded))


def _note(report: Report, name: str, place: str, found: str, recorded: str) -> None:
    if found == recorded:
        report.seen.setdefault(recorded, []).append(place)
    else:
        report.altered.append(Altered(name, place, found, recorded))


def _content(uri: str) -> bytes | None:
    """A paper's bytes, or None where it is not there."""
    try:
        if uri.startswith(recordings.SCHEME):
            return recordings.read(uri)
        return Path(uri).read_bytes()
    except (FileNotFoundError, NotADirectoryError, recordings.NoSuchRecording):
        return None
    except OSError as error:
        raise Refused(f"{uri} cannot be read: {error.strerror}") from error
    except recordings.RecordingError as error:
        raise Refused(str(error), error.exit_code) from error
