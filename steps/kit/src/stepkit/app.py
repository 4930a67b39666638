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
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

import stepkit
from stepkit import artifacts, diary, ending, executor, signature
from stepkit.errors import SOFTWARE, StepError, TryAgain
from stepkit.signature import Signature
from stepkit.work import Result, Work

__all__ = ["Result", "StepApp"]

_TERMINATED = 128 + signal.SIGTERM
_ENDING = threading.Event()


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
        self._questions: dict[str, tuple[str, Callable[[str], str]]] = {}
        self._listen()

    def step(self, verb: str, *, of_the_world: bool = False) -> Callable[[Callable[..., Result]], Callable[..., None]]:
        """Register a function as a verb. Its parameters carry the markers of `stepkit.signature`.

        A verb is `of_the_world` if it reads or changes what is no artifact (a registry, a server): `--reuse` must
        not skip it, since its inputs do not tell what it would find.
        """

        def register(function: Callable[..., Result]) -> Callable[..., None]:
            described = signature.read_signature(function, verb)
            self.signatures.append(described)
            run = _under_contract(self, function, described, of_the_world)
            self.command(verb, help=described.description)(run)
            return run

        return register

    def question(self, option: str, about: str = "") -> Callable[[Callable[[str], str]], Callable[[str], str]]:
        """Register a function that answers `option` before any verb, in words for people; `about` names its value.

        Without `about` the option takes no value and the function gets an empty text.
        """

        def register(answer: Callable[[str], str]) -> Callable[[str], str]:
            self._questions[option] = (about, answer)
            self._listen()
            return answer

        return register

    def _listen(self) -> None:
        """(Re)make the options before the verbs."""

        def top(context: typer.Context, version: bool, describe: bool, **asked: Any) -> None:
            for option, (about, answer) in self._questions.items():
                value = asked[_identifier(option)]
                if value:
                    _answer(answer, value if about else "")
            self._top(context, version, describe)

        known = inspect.signature(self._top).parameters
        options = [entry.replace(kind=inspect.Parameter.KEYWORD_ONLY) for entry in known.values()]
        for option, (about, answer) in self._questions.items():
            kind, metavar = (str, about) if about else (bool, None)
            told = Annotated[kind, typer.Option(option, help=inspect.getdoc(answer), metavar=metavar)]  # type: ignore[valid-type]
            default: object = "" if about else False
            word = inspect.Parameter(
                _identifier(option), inspect.Parameter.KEYWORD_ONLY, default=default, annotation=told
            )
            options.append(word)
        top.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
        top.__annotations__ = {entry.name: entry.annotation for entry in options}
        self.callback(invoke_without_command=True)(top)

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


def _answer(answer: Callable[[str], str], value: str) -> None:
    """Print the answer to a question and end."""
    try:
        print(answer(value))
    except StepError as error:
        diary.error(type(error).__name__, message=str(error), exit_code=error.exit_code, **error.facts)
        raise typer.Exit(error.exit_code) from error
    raise typer.Exit


def _identifier(option: str) -> str:
    return option.lstrip("-").replace("-", "_")


def _under_contract(
    app: StepApp, function: Callable[..., Result], described: Signature, of_the_world: bool
) -> Callable[..., None]:
    hints = inspect.get_annotations(function, eval_str=True)
    wants_record = [name for name, hint in hints.items() if hint is executor.ExecutorInput]

    @functools.wraps(function)
    def run(executor_input: str = "", reuse: bool = False, describe: bool = False, **arguments: Any) -> None:
        work = Work(app.step_name, app.step_version, described, of_the_world)
        _end_on_sigterm(work.discard_staged)
        started = time.monotonic()
        try:
            given = executor.ExecutorInput.parse(executor_input)
            ready = work.prepare(arguments | dict.fromkeys(wants_record, given), given)
            standing = work.standing() if reuse else None
            told = standing or work.finish(function(**ready))
            made = work.report(told, given)
        except StepError as error:
            _abandon(work)
            diary.error(type(error).__name__, message=str(error), exit_code=error.exit_code, **error.facts)
            raise typer.Exit(error.exit_code) from error
        except OSError as error:
            _abandon(work)
            failure = artifacts.writing_failed(Path(str(error.filename or work.places)), error)
            message = str(failure if isinstance(failure, TryAgain) else error)
            diary.error(type(failure).__name__, message=message, exit_code=failure.exit_code)
            raise typer.Exit(failure.exit_code) from error
        except Exception as error:
            _abandon(work)
            message = f"a bug in {app.step_name} {described.verb}: {type(error).__name__}: {error}"
            diary.error("Bug", message=message, exit_code=SOFTWARE, traceback=traceback.format_exc())
            raise typer.Exit(SOFTWARE) from error
        except BaseException:
            _abandon(work)
            raise
        facts = {"seconds": round(time.monotonic() - started, 3), **told.facts}
        done = {"step": app.step_name, "verb": described.verb, "status": "unchanged" if standing else "done", **facts}
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
    text = Annotated[str, typer.Option(help="KFP's {{$}}: names inputs and outputs as JSON.", metavar="JSON|@FILE")]

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


def _abandon(work: Work) -> None:
    """Leave nothing half-written; after SIGTERM, errors of work that lost its files are not told: wait for the end."""
    if _ENDING.is_set():
        threading.Event().wait()
    work.discard_staged()


def _end_on_sigterm(clean_up: Callable[[], None]) -> None:
    """End within a second of SIGTERM, even inside a long native call: a thread waits for the signal."""
    if threading.current_thread() is not threading.main_thread():
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})

    def wait() -> None:
        signal.sigwait({signal.SIGTERM})
        _ENDING.set()
        ending.take_back()
        clean_up()
        diary.error("Terminated", message="ended by SIGTERM", exit_code=_TERMINATED)
        sys.stderr.flush()
        os._exit(_TERMINATED)

    threading.Thread(target=wait, name="sigterm", daemon=True).start()
