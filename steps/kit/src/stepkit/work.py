"""One call of a verb: its inputs checked, its outputs staged and moved when they are whole, the record written last."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from stepkit import artifacts, diary, executor, lineage, reuse
from stepkit.errors import ArtifactAltered, InputMissing, UnreadableArtifact, UsageError
from stepkit.signature import InputArtifact, Signature


@dataclass(frozen=True)
class Result:
    """What a step hands back: metadata by artifact, small values by name, and facts for its one line of result."""

    metadata: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


class Work:
    """One call of a verb: its inputs checked, its outputs staged and, when all is well, put in place."""

    def __init__(self, step: str, version: str, described: Signature, of_the_world: bool) -> None:
        self._step, self._version, self._described = step, version, described
        self._why_never = reuse.why_never(described, of_the_world)
        self._call: reuse.Call | None = None
        self._made: lineage.Made | None = None
        self._before: list[lineage.Made] = []
        self._staged: dict[str, tuple[Path, Path]] = {}
        self._parameter_files: dict[str, Path] = {}

    def prepare(self, arguments: dict[str, Any], given: executor.ExecutorInput) -> dict[str, Any]:
        """Resolve and check the inputs, stage the outputs; returns the function's arguments."""
        if given.output_file:
            # A stale "done" of an earlier attempt must not outlive the start of this one.
            given.output_file.unlink(missing_ok=True)
        ready, hashes = dict(arguments), dict[Path, str]()
        for name, option in self._described.inputs.items():
            ready[name] = _resolve(name, option, arguments[name], given, hashes)
        for name, output in self._described.outputs.items():
            target = arguments[name] or _path_of(given.output_uri(name))
            if target is None and output.optional:
                continue
            if target is None:
                raise UsageError(f"missing option --{name.replace('_', '-')}")
            self._staged[name] = (artifacts.staging_path(target), target)
            ready[name] = self._staged[name][0]
        for name in self._described.output_parameters:
            if file := ready.pop(name):
                self._parameter_files[name] = file
        if self._staged:
            self._identify(ready, hashes)
        return ready

    def _identify(self, ready: dict[str, Any], hashes: dict[Path, str]) -> None:
        """Name what the outputs will follow from. The inputs are hashed before the work, as it will find them."""
        inputs, parameters, handed = dict[str, list[str]](), dict[str, Any](), dict[str, Any]()
        for name, value in ready.items():
            if name in self._described.inputs:
                paths = value if isinstance(value, list) else [value] if value else []
                hashes |= {path: _sha256_of_input(path) for path in paths if path not in hashes}
                inputs[name] = [hashes[path] for path in paths]
            elif isinstance(value, executor.ExecutorInput):
                handed[name] = value.message
            elif name not in self._staged:
                parameters[name] = value
        step, verb = self._step, self._described.verb
        self._made = lineage.of_call(step, verb, self._version, parameters, inputs)
        self._before = lineage.before(hashes)
        if not self._why_never:
            outputs = {name: str(target.absolute()) for name, (_, target) in self._staged.items()}
            self._call = reuse.Call(step, verb, reuse.code_identity(), inputs, parameters | handed, outputs)

    def standing(self) -> reuse.Told | None:
        """What an earlier run told, if its outputs stand for this call."""
        if self._call is None:
            diary.note("reuse", differs=self._why_never)
            return None
        return reuse.standing(self._call, self._parameter_files)

    def finish(self, result: Result) -> reuse.Told:
        """Put every output in its place and, once they stand, the record of what they follow from."""
        hashed = self._tell_lineage()
        metadata: dict[str, dict[str, Any]] = {}
        for name, (staged, target) in self._staged.items():
            artifacts.commit(staged, target)
            artifacts.discard(artifacts.resume_path(staged))
            known = {"sha256": hashed[name], "bytes": artifacts.size_of(target)}
            metadata[name] = {**result.metadata.get(name, {}), **known}
        told = reuse.Told(metadata, dict(result.parameters), dict(result.facts))
        if self._call:
            reuse.write(self._call, told)
        return told

    def _tell_lineage(self) -> dict[str, str]:
        """Write where the outputs come from, into each folder and as the output that is for it; hashes of all."""
        telling = [name for name, option in self._described.outputs.items() if option.of_lineage]
        hashed = {name: artifacts.sha256_of(at) for name, (at, _) in self._staged.items() if name not in telling}
        if self._made:
            calls = [*self._before, replace(self._made, outputs=hashed)]
            for name, (staged, _) in self._staged.items():
                if name in telling:
                    lineage.write(staged, calls)
                    hashed = {**hashed, name: artifacts.sha256_of(staged)}
                elif staged.is_dir():
                    # An artifact that was brought as it is tells of its own past already.
                    lineage.write(staged / lineage.FILE, [*lineage.before({staged: hashed[name]}), *calls])
        return hashed

    def report(self, told: reuse.Told, given: executor.ExecutorInput) -> dict[str, dict[str, Any]]:
        """Write the output parameters and, last, the executor output; returns the artifacts as reported."""
        made: dict[str, dict[str, Any]] = {}
        for name, (_, target) in self._staged.items():
            made[name] = {"uri": given.output_uri(name) or str(target), "metadata": dict(told.metadata[name])}
        for name, file in self._parameter_files.items():
            value = told.parameters[name]
            artifacts.write_text(file, value if isinstance(value, str) else json.dumps(value))
        if given.output_file:
            executor.write_output(given.output_file, made, dict(told.parameters))
        return made

    @property
    def places(self) -> str:
        """Where the outputs go, for people."""
        return ", ".join(str(target) for _, target in self._staged.values())

    def discard_staged(self) -> None:
        """Leave nothing half-written behind."""
        for staged, _ in self._staged.values():
            artifacts.discard(staged)


def _resolve(
    name: str, option: InputArtifact, value: Any, given: executor.ExecutorInput, hashes: dict[Path, str]
) -> Any:
    """The path or paths of an input, held to the pipeline's record; adds to `hashes` what had to be hashed for that."""
    records = given.inputs(name)
    paths = [record.path for record in records] if not value else value if option.many else [value]
    if not paths and option.optional:
        return [] if option.many else None
    if not paths:
        raise UsageError(f"missing option --{name.replace('_', '-')}")
    recorded = {record.path: record.sha256 for record in records}
    for path in paths:
        if not path.exists():
            raise InputMissing(name, path)
        expected = recorded.get(path)
        if expected:
            hashes[path] = found = _sha256_of_input(path)
            if found != expected:
                raise ArtifactAltered(path, found, expected)
    return paths if option.many else paths[0]


def _sha256_of_input(path: Path) -> str:
    try:
        return artifacts.sha256_of(path)
    except OSError as error:
        raise UnreadableArtifact(path, "file or folder", error.strerror or str(error)) from error


def _path_of(uri: str | None) -> Path | None:
    return executor.local_path(uri) if uri else None
