"""Where registered models lie by content, so that a version outlives the run that made it.

`<keep>/<sha256 of the graph>/` is the model artifact as given, `<keep>/<sha256>.about/` the papers about it. What is
there once is not written again: the first papers stand, and what comes later is named by its content.
"""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stepkit import artifacts, ending, objects
from stepkit.errors import ArtifactAltered, ObjectAltered, ObjectMissing, StepError, UsageError
from stepkit.verdict import MODEL_FILE, model_sha256

from brakeline_register.registry import Paper, Version, of_kind

VERDICT, LINEAGE, CARD, DOSSIER, SIGNATURE = "verdict", "lineage", "card", "dossier", "signature"
FILES = {
    VERDICT: "verdict.json",
    LINEAGE: "lineage.json",
    CARD: "card.md",
    DOSSIER: "dossier.html",
    SIGNATURE: "signature.json",
}


class NotKept(StepError):
    """A version's model or paper is not where the registry says."""

    exit_code = 65

    def __init__(self, what: str, uri: str) -> None:
        super().__init__(f"{what} is not kept any more: nothing at {uri}; train it again", uri=uri)


@dataclass(frozen=True)
class Kept:
    """Where a model lies, and its papers by name."""

    uri: str
    papers: Mapping[str, Paper]


def place(keep: str, registry: str) -> str:
    """The folder of kept models: `--keep`, or beside an embedded registry. Raises UsageError."""
    if keep:
        return keep.rstrip("/") if objects.is_remote(keep) else str(Path(keep).absolute())
    if registry.startswith("sqlite:///"):
        file = Path(registry.removeprefix("sqlite:///")).absolute()
        return str(file.parent / f"{file.stem}-models")
    raise UsageError(f"--keep: missing, needed with the registry {registry}: s3://bucket/prefix or a folder that stays")


def put(keep: str, sha256: str, model: Path, papers: Mapping[str, bytes]) -> Kept:
    """Keep a model and its papers, or find them kept. Safe for many processes at once in a folder. Raises StepError.

    In an S3 store two that keep the same content at the same instant may write its papers both; the last ones stand.
    """
    uri = f"{keep}/{sha256}"
    # The papers first: where a model lies, all about it lies too.
    if objects.is_remote(keep):
        _put_objects(f"{uri}.about", papers)
        if not objects.exists(uri):
            objects.put(model, uri)
    else:
        with _alone(Path(keep)):
            _put_folder(Path(f"{uri}.about"), papers)
            _put_model(Path(uri), model)
    return Kept(uri, dict(_papers(f"{uri}.about")))


def may_be_put_back(keep: str, version: Version, model: Path) -> bool:
    """Whether this is the very model of a version whose kept one is gone, and this the place where it was."""
    is_its = version.uri == f"{keep}/{version.sha256}" and artifacts.sha256_of(model) == version.folder_sha256
    if is_its and objects.is_remote(version.uri):
        return not objects.exists(version.uri)
    return is_its and not Path(version.uri).is_dir()


def put_back(keep: str, version: Version, model: Path) -> None:
    """Keep the very model of a version again where it was, if it was pruned. Raises as `put`."""
    if not objects.is_remote(keep):
        with _alone(Path(keep)):
            _put_model(Path(version.uri), model)
    elif not objects.exists(version.uri):
        objects.put(model, version.uri)


def bring(version: Version, folder: Path) -> None:
    """Copy a version's model artifact into `folder`, checked by sha256.

    Raises NotKept, ArtifactAltered, and as `objects.fetch`.
    """
    if objects.is_remote(version.uri):
        objects.fetch(version.uri, folder)
    elif Path(version.uri).is_dir():
        artifacts.copy_folder(Path(version.uri), folder)
    else:
        raise NotKept(f"version {version.version} of {version.model}", version.uri)
    _require(f"{version.uri}/{MODEL_FILE}", model_sha256(folder), version.sha256)
    if version.folder_sha256:
        _require(version.uri, artifacts.sha256_of(folder), version.folder_sha256)


def bring_graph(version: Version, folder: Path) -> None:
    """Copy a version's graph alone into `folder`, checked by sha256. Raises as `bring`."""
    graph, target = f"{version.uri}/{MODEL_FILE}", folder / MODEL_FILE
    if objects.is_remote(graph):
        objects.fetch(graph, target)
    elif Path(graph).is_file():
        with artifacts.writing(target):
            shutil.copyfile(graph, target)
    else:
        raise NotKept(f"version {version.version} of {version.model}", graph)
    _require(graph, artifacts.sha256_of(target), version.sha256)


def read_paper(version: Version, name: str) -> bytes:
    """A paper of a version, checked by sha256. Raises as `bring`."""
    paper = version.papers.get(name)
    if paper is None:
        raise NotKept(f"the {name} of version {version.version} of {version.model}", "no place that the registry knows")
    if not objects.is_remote(paper.uri) and not Path(paper.uri).is_file():
        raise NotKept(f"the {name} of version {version.version} of {version.model}", paper.uri)
    content = _read(paper.uri)
    _require(paper.uri, hashlib.sha256(content).hexdigest(), paper.sha256)
    return content


def keep_later(version: Version, kind: str, content: bytes) -> str:
    """Keep a paper that comes later beside those that are there, by its content; returns where. Raises as `put`."""
    stem, dot, suffix = FILES[kind].rpartition(".")
    uri = f"{version.uri}.about/{stem}-{hashlib.sha256(content).hexdigest()[:12]}{dot}{suffix}"
    if objects.is_remote(uri):
        objects.write_bytes(uri, content)
    else:
        artifacts.write_text(Path(uri), content.decode())
    return uri


def signature_uri(version: Version) -> str:
    """Where a version's last signature lies, if it is signed. Before later ones were recorded all were in one place."""
    known = of_kind(version.papers, SIGNATURE)
    return known[max(known)].uri if known else f"{version.uri}.about/{FILES[SIGNATURE]}"


def find_signature(version: Version) -> bytes | None:
    """A version's last signature, or None where there is none any more. It proves itself, also one of no record."""
    uri = signature_uri(version)
    there = objects.exists(uri) if objects.is_remote(uri) else Path(uri).is_file()
    return _read(uri) if there else None


def find_text(version: Version, name: str) -> str | None:
    """A paper of a version as text, or None where there is none any more."""
    try:
        return read_paper(version, name).decode()
    except (NotKept, ObjectMissing):
        return None


def size(uri: str) -> int:
    """How much a kept model takes [byte]: 0 where it is gone."""
    if objects.is_remote(uri):
        return objects.size_of(uri)
    return artifacts.size_of(Path(uri)) if Path(uri).is_dir() else 0


def require_kept(version: Version) -> None:
    """Raises NotKept where a version's model is gone, as after `prune`."""
    if not size(version.uri):
        raise NotKept(f"version {version.version} of {version.model}", version.uri)


def forget(uri: str) -> int:
    """Remove a kept model, never its papers; returns its size as `size` does. What is gone already is nothing."""
    freed, kept = size(uri), Path(uri)
    if freed and objects.is_remote(uri):
        objects.delete(uri)
    elif freed:
        with _alone(kept.parent):
            # Under another name first: half a model is never under its own.
            doomed = artifacts.staging_path(kept)
            kept.rename(doomed)
            artifacts.discard(doomed)
    return freed


def _put_model(kept: Path, model: Path) -> None:
    if not kept.is_dir():
        staged = artifacts.staging_path(kept)
        artifacts.copy_folder(model, staged)
        artifacts.commit(staged, kept)


def _put_folder(about: Path, papers: Mapping[str, bytes]) -> None:
    if about.is_dir():
        return
    staged = artifacts.staging_path(about)
    try:
        with artifacts.writing(about):
            staged.mkdir()
            for name, content in papers.items():
                (staged / FILES[name]).write_bytes(content)
            artifacts.commit(staged, about)
    finally:
        artifacts.discard(staged)


def _put_objects(about: str, papers: Mapping[str, bytes]) -> None:
    if objects.exists(about):
        return
    with ending.scratch() as scratch:
        for name, content in papers.items():
            (scratch / FILES[name]).write_bytes(content)
        objects.put(scratch, about)


def _papers(about: str) -> Iterator[tuple[str, Paper]]:
    for name, file in FILES.items():
        uri = f"{about}/{file}"
        if objects.exists(uri) if objects.is_remote(uri) else Path(uri).is_file():
            yield name, Paper(uri, hashlib.sha256(_read(uri)).hexdigest())


def _read(uri: str) -> bytes:
    return objects.read_bytes(uri) if objects.is_remote(uri) else Path(uri).read_bytes()


def _require(uri: str, found: str, recorded: str) -> None:
    if found != recorded and objects.is_remote(uri):
        raise ObjectAltered(uri, found, recorded)
    if found != recorded:
        raise ArtifactAltered(Path(uri), found, recorded)


@contextmanager
def _alone(keep: Path) -> Iterator[None]:
    """Keep other processes out: two that keep the same content would write over each other."""
    keep.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(keep / ".lock", os.O_RDWR | os.O_CREAT, 0o664)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
