"""The command line of a step: a typer app whose verbs keep the step contract (`steps/README.md`)."""

import functools
import inspect
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

import stepkit
from stepkit import artifacts, diary, executor, reuse, signature
from stepkit.errors import SOFTWARE, ArtifactAltered, InputMissing, StepError, UnreadableArtifact, UsageError
from stepkit.signature import Signature

_TERMINATED = 128 + signal.SIGTERM


@dataclass(frozen=True)
class Result:
    """What a step hands back: metadata by artifact, small values by name, and facts for its one line of result."""

    metadata: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


class StepApp(typer.Typer):
    """A typer app that runs each verb under the step contract."""

    def __init__(self, name: str, version: str, description: str) -> None:
        super().__init__(
            name=name,
            help=description,
            no_args_is_help=True,
            add_completion=False,
            pretty_exceptions_enable=False,
            rich_markup_mode=None,
        )
        self.step_name, self.step_version = name, version
        self.signatures: list[Signature] = []
        self.callback(invoke_without_command=True)(self._top)

    def step(self, verb: str, *, of_the_world: bool = False) -> Callable[[Callable[..., Result]], Callable[..., None]]:
        """Register a function as a verb. Its parameters carry the markers of `stepkit.signature`.

        A verb is `of_the_world` if it reads or changes what is no artifact (a registry, a server): `--reuse` must
        not skip it, since its inputs do not tell what it would find.
        """

        def register(function: Callable[..., Result]) -> Callable[..., None]:
            described = signature.read_signature(function, verb)
            self.signatures.append(described)
            run = _under_contract(self.step_name, function, described, of_the_world)
            self.command(verb, help=described.description)(run)
            return run

        return register

    def _top(
        self,
        context: typer.Context,
        version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
        describe: Annotated[bool, typer.Option("--describe", help="Print the typed signature as JSON.")] = False,
    ) -> None:
        if version:
            print(f"{self.step_name} {self.step_version} (stepkit {stepkit.__version__})")
            raise typer.Exit
        if describe:
            verbs = [described.describe() for described in self.signatures]
            print(json.dumps({"step": self.step_name, "version": self.step_version, "verbs": verbs}))
            raise typer.Exit
        if context.invoked_subcommand is None:
            print(context.get_help())
            raise typer.Exit(2)


def _under_contract(
    step: str, function: Callable[..., Result], described: Signature, of_the_world: bool
) -> Callable[..., None]:
    hints = inspect.get_annotations(function, eval_str=True)
    wants_record = [name for name, hint in hints.items() if hint is executor.ExecutorInput]

    @functools.wraps(function)
    def run(executor_input: str = "", reuse: bool = False, describe: bool = False, **arguments: Any) -> None:
        work = _Work(step, described, of_the_world)
        _end_on_sigterm(work.discard_staged)
        started = time.monotonic()
        try:
            given = executor.ExecutorInput.parse(executor_input)
            ready = work.prepare(arguments | dict.fromkeys(wants_record, given), given)
            standing = work.standing() if reuse else None
            told = standing or work.finish(function(**ready))
            made = work.report(told, given)
        except StepError as error:
            work.discard_staged()
            diary.error(type(error).__name__, message=str(error), exit_code=error.exit_code, **error.facts)
            raise typer.Exit(error.exit_code) from error
        except OSError as error:
            work.discard_staged()
            failure = artifacts.writing_failed(Path(str(error.filename or "?")), error)
            diary.error(type(failure).__name__, message=f"{error}", exit_code=failure.exit_code)
            raise typer.Exit(failure.exit_code) from error
        except Exception as error:
            work.discard_staged()
            message = f"a bug in {step} {described.verb}: {type(error).__name__}: {error}"
            diary.error("Bug", message=message, exit_code=SOFTWARE, traceback=traceback.format_exc())
            raise typer.Exit(SOFTWARE) from error
        except BaseException:
            work.discard_staged()
            raise
        facts = {"seconds": round(time.monotonic() - started, 3), **told.facts}
        done = {"step": step, "verb": described.verb, "status": "unchanged" if standing else "done", **facts}
        print(json.dumps({**done, "artifacts": made, "parameters": told.parameters}, default=str))

    run.__signature__ = _command_line(function, described)  # type: ignore[attr-defined]
    run.__annotations__ = {name: p.annotation for name, p in run.__signature__.parameters.items()}  # type: ignore[attr-defined]
    return run


def _command_line(function: Callable[..., Any], described: Signature) -> inspect.Signature:
    """The function's own options, paths made optional (KFP may name them), and those of the contract."""
    hints = inspect.get_annotations(function, eval_str=True)
    options = []
    for name, parameter in inspect.signature(function).parameters.items():
        if hints[name] is executor.ExecutorInput:
            continue
        is_path = name not in described.parameters
        default = None if is_path and parameter.default is inspect.Parameter.empty else parameter.default
        options.append(parameter.replace(annotation=hints[name], default=default, kind=inspect.Parameter.KEYWORD_ONLY))
    text = Annotated[str, typer.Option(help="KFP's {{$}}: names inputs and outputs as JSON.", metavar="JSON")]

    def tell(wanted: bool) -> None:
        if wanted:
            print(json.dumps(described.describe()))
            raise typer.Exit

    told = "Print the typed signature as JSON."
    flag = Annotated[bool, typer.Option("--describe", help=told, is_eager=True, callback=tell)]
    kept = Annotated[bool, typer.Option("--reuse", help="End at once if the outputs stand for this very call.")]
    extra = [
        inspect.Parameter("executor_input", inspect.Parameter.KEYWORD_ONLY, default="", annotation=text),
        inspect.Parameter("reuse", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=kept),
        inspect.Parameter("describe", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=flag),
    ]
    return inspect.Signature([*options, *extra])


class _Work:
    """One call of a verb: its inputs checked, its outputs staged and, when all is well, put in place."""

    def __init__(self, step: str, described: Signature, of_the_world: bool) -> None:
        self._step, self._described = step, described
        self._why_never = reuse.why_never(described, of_the_world)
        self._call: reuse.Call | None = None
        self._staged: dict[str, tuple[Path, Path]] = {}
        self._parameter_files: dict[str, Path] = {}

    def prepare(self, arguments: dict[str, Any], given: executor.ExecutorInput) -> dict[str, Any]:
        """Resolve and check the inputs, stage the outputs; returns the function's arguments."""
        if given.output_file:
            # A stale "done" of an earlier attempt must not outlive the start of this one.
            given.output_file.unlink(missing_ok=True)
        ready, hashes = dict(arguments), dict[Path, str]()
        for name, option in self._described.inputs.items():
            ready[name] = _resolve(name, option.many, arguments[name], given, hashes)
        for name in self._described.outputs:
            target = arguments[name] or _path_of(given.output_uri(name))
            if target is None:
                raise UsageError(f"missing option --{name.replace('_', '-')}")
            self._staged[name] = (artifacts.staging_path(target), target)
            ready[name] = self._staged[name][0]
        for name in self._described.output_parameters:
            if file := ready.pop(name):
                self._parameter_files[name] = file
        if not self._why_never:
            self._call = self._identify(ready, hashes)
        return ready

    def _identify(self, ready: dict[str, Any], hashes: dict[Path, str]) -> reuse.Call:
        """Name what the outputs will follow from. The inputs are hashed before the work, as it will find them."""
        inputs, parameters = dict[str, list[str]](), dict[str, Any]()
        for name, value in ready.items():
            if name in self._described.inputs:
                paths = value if isinstance(value, list) else [value]
                inputs[name] = [hashes.get(path) or _sha256_of_input(path) for path in paths]
            elif name not in self._staged:
                parameters[name] = value.message if isinstance(value, executor.ExecutorInput) else value
        outputs = {name: str(target.absolute()) for name, (_, target) in self._staged.items()}
        return reuse.Call(self._step, self._described.verb, reuse.code_identity(), inputs, parameters, outputs)

    def standing(self) -> reuse.Told | None:
        """What an earlier run told, if its outputs stand for this call."""
        if self._call is None:
            diary.note("reuse", differs=self._why_never)
            return None
        return reuse.standing(self._call, self._parameter_files)

    def finish(self, result: Result) -> reuse.Told:
        """Put every output in its place and, once they stand, the record of what they follow from."""
        metadata: dict[str, dict[str, Any]] = {}
        for name, (staged, target) in self._staged.items():
            artifacts.commit(staged, target)
            artifacts.discard(artifacts.resume_path(staged))
            hashed = {"sha256": artifacts.sha256_of(target), "bytes": artifacts.size_of(target)}
            metadata[name] = {**result.metadata.get(name, {}), **hashed}
        told = reuse.Told(metadata, dict(result.parameters), dict(result.facts))
        if self._call:
            reuse.write(self._call, told)
        return told

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

    def discard_staged(self) -> None:
        """Leave nothing half-written behind."""
        for staged, _ in self._staged.values():
            artifacts.discard(staged)


def _resolve(name: str, many: bool, value: Any, given: executor.ExecutorInput, hashes: dict[Path, str]) -> Any:
    """The path or paths of an input, held to the pipeline's record; adds to `hashes` what had to be hashed for that."""
    records = given.inputs(name)
    paths = [record.path for record in records] if not value else value if many else [value]
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
    return paths if many else paths[0]


def _sha256_of_input(path: Path) -> str:
    try:
        return artifacts.sha256_of(path)
    except OSError as error:
        raise UnreadableArtifact(path, "file or folder", error.strerror or str(error)) from error


def _path_of(uri: str | None) -> Path | None:
    return executor.local_path(uri) if uri else None


def _end_on_sigterm(clean_up: Callable[[], None]) -> None:
    """End within a second of SIGTERM, even inside a long native call: a thread waits for the signal."""
    if threading.current_thread() is not threading.main_thread():
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    def wait() -> None:
        signal.sigwait({signal.SIGTERM})
        clean_up()
        diary.error("Terminated", message="ended by SIGTERM", exit_code=_TERMINATED)
        sys.stderr.flush()
        os._exit(_TERMINATED)

    threading.Thread(target=wait, name="sigterm", daemon=True).start()
