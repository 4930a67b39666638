"""A version's lineage held to the files that are there: what is as it was recorded, what was altered, what is missing.

Looked at are the kept model and its papers, all artifacts of this state's runs that the lineage names or that a run
with this model made, and what is on record of its release. What lies elsewhere, as on a cluster, is missing here, which
is no error.
"""

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from brakeline import kept_model, provenance, recordings, releases, steps
from brakeline.content import sha256_of
from brakeline.provenance import Unreadable
from brakeline.refusals import Refused
from brakeline.report import ALTERED, MISSING, Altered, Missing, Report

_EMBEDDED = "sqlite:///"


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
    with _model(str(version["uri"])) as folder:
        kept_model.examine(report, folder)
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
        report.note(name, paper["uri"], hashlib.sha256(content).hexdigest(), paper["sha256"])
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


def _artifacts_of_runs(report: Report, runs: Path) -> None:
    names = report.chain.names
    for name, path, recorded in sorted(set(_recorded(report, runs, names))):
        if not path.exists():
            continue
        try:
            found = sha256_of(path)
        except OSError as error:
            found = f"unreadable: {error.strerror}"
        report.note(name, str(path), found, recorded)
        if path.is_dir():
            kept_model.told_by(report, name, path, recorded, str(path))


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
                report.note(name, str(given), sha256_of(given), sha256)
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


@contextmanager
def _model(uri: str) -> Iterator[Path]:
    """The folder of a kept model, which is empty or not there where nothing is kept any more."""
    if not uri.startswith(recordings.SCHEME):
        with _readable(uri):
            yield Path(uri)
        return
    with tempfile.TemporaryDirectory(prefix="brakeline-lineage-") as scratch, _readable(uri):
        recordings.bring_folder(uri, Path(scratch))
        yield Path(scratch)


def _content(uri: str) -> bytes | None:
    """A paper's bytes, or None where it is not there."""
    with _readable(uri):
        try:
            return recordings.read(uri) if uri.startswith(recordings.SCHEME) else Path(uri).read_bytes()
        except recordings.StoreDenies:
            raise
        except (FileNotFoundError, NotADirectoryError, recordings.NoSuchRecording):
            return None


@contextmanager
def _readable(uri: str) -> Iterator[None]:
    """What cannot be read is not taken for what is not there. Raises Refused."""
    try:
        yield
    except OSError as error:
        raise Refused(f"{uri} cannot be read: {error.strerror}") from error
    except recordings.RecordingError as error:
        raise Refused(str(error), error.exit_code) from error
