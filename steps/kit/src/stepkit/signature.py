"""A step's typed signature: markers for its options, and the description that is derived from them."""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer
from typer.models import OptionInfo

from stepkit.executor import ExecutorInput

_TYPE_NAMES = {int: "INTEGER", float: "NUMBER", bool: "BOOLEAN", str: "STRING"}


class InputArtifact(OptionInfo):
    """An option that names an artifact to read; `many` for a list of them, `optional` if it may be left out."""

    kind = "Artifact"
    many = False
    optional = False


class OutputArtifact(OptionInfo):
    """An option that names an artifact to write, `optional` if it may be left out; the kit writes one `of_lineage`."""

    kind = "Artifact"
    of_lineage = False
    optional = False


class OutputParameter(OptionInfo):
    """An option that names a file for one small value."""

    value_type = "STRING"


def input_artifact(description: str, kind: str = "Artifact", *, optional: bool = False) -> InputArtifact:
    """Mark a `Path` parameter as an artifact to read. `kind` is KFP's artifact class.

    An `optional` one is for a parameter of type `Path | None`, which is None where nobody names it.
    """
    option = InputArtifact(**_path_option(description))
    option.kind, option.optional = kind, optional
    return option


def input_artifacts(description: str, kind: str = "Artifact") -> InputArtifact:
    """Mark a `list[Path]` parameter: the option repeats, or KFP's executor input holds the list."""
    option = input_artifact(description, kind)
    option.many = True
    return option


def output_artifact(description: str, kind: str = "Artifact") -> OutputArtifact:
    """Mark a `Path` parameter as an artifact to write. The step gets a path that is moved when all is done."""
    option = OutputArtifact(**_path_option(description))
    option.kind = kind
    return option


def output_lineage(description: str, *, optional: bool = False) -> OutputArtifact:
    """Mark a `Path` parameter as the file that tells where this call's other outputs come from.

    For a verb whose outputs are files, which have no room for that. The kit writes it when the verb is done. An
    `optional` one is for a parameter of type `Path | None`.
    """
    option = output_artifact(description)
    option.of_lineage, option.optional = True, optional
    return option


def output_parameter(description: str, value_type: type) -> OutputParameter:
    """Mark a `Path` parameter as the file of one small value, handed over in `Result.parameters`."""
    option = OutputParameter(**_path_option(description))
    option.value_type = _TYPE_NAMES[value_type]
    return option


def whole_number(description: str, low: int = 0, high: int = 10**12) -> OptionInfo:
    """An integer option. `200000`, `200000.0` and `2e5` are the same: KFP hands numbers over as text."""

    def parse(text: str | int) -> int:
        try:
            number = float(text)
        except ValueError:
            raise typer.BadParameter(f"found {text!r}, allowed a whole number") from None
        if not math.isfinite(number) or number != int(number) or not low <= number <= high:
            raise typer.BadParameter(f"found {text!r}, allowed a whole number from {low} to {high}")
        return int(number)

    option: OptionInfo = typer.Option(help=description, parser=parse, metavar="INTEGER")
    return option


def number(description: str, low: float = 0.0, high: float = math.inf) -> OptionInfo:
    """A number option, both ends allowed; infinity and NaN are no numbers."""
    allowed = f"a number from {low:g} to {high:g}" if math.isfinite(high) else f"a number from {low:g}"

    def parse(text: str | float) -> float:
        try:
            found = float(text)
        except ValueError:
            raise typer.BadParameter(f"found {text!r}, allowed {allowed}") from None
        # Written so that NaN is refused.
        if not (low <= found <= high and math.isfinite(found)):
            raise typer.BadParameter(f"found {text!r}, allowed {allowed}")
        return found

    option: OptionInfo = typer.Option(help=description, parser=parse, metavar="NUMBER")
    return option


def share(description: str) -> OptionInfo:
    """A number option from 0 to 1, both allowed."""
    return number(description, 0.0, 1.0)


def text(description: str) -> OptionInfo:
    """An option of free text."""
    option: OptionInfo = typer.Option(help=description)
    return option


@dataclass(frozen=True)
class Signature:
    """What a verb reads, writes and takes, by parameter name."""

    verb: str
    description: str
    inputs: dict[str, InputArtifact] = field(default_factory=dict)
    outputs: dict[str, OutputArtifact] = field(default_factory=dict)
    output_parameters: dict[str, OutputParameter] = field(default_factory=dict)
    parameters: dict[str, dict[str, Any]] = field(default_factory=dict)

    def describe(self) -> dict[str, Any]:
        """The signature as JSON: what `--describe` prints and the image carries as a label."""
        return {
            "verb": self.verb,
            "description": self.description,
            "inputs": {
                name: {
                    "kind": option.kind,
                    "many": option.many,
                    "optional": option.optional,
                    "description": option.help,
                }
                for name, option in self.inputs.items()
            },
            "outputs": {
                name: {"kind": option.kind, "optional": option.optional, "description": option.help}
                for name, option in self.outputs.items()
            },
            "output_parameters": {
                name: {"type": option.value_type, "description": option.help}
                for name, option in self.output_parameters.items()
            },
            "parameters": self.parameters,
        }


def read_signature(function: Callable[..., Any], verb: str) -> Signature:
    """Derive the signature of a step's function from its annotations.

    A parameter of type `ExecutorInput` is no option: the step is handed the pipeline's own record.
    """
    signature = Signature(verb, inspect.getdoc(function) or "")
    hints = get_type_hints(function, include_extras=True)
    for name, parameter in inspect.signature(function).parameters.items():
        if hints[name] is ExecutorInput:
            continue
        value_type, option = _split(hints[name])
        if isinstance(option, InputArtifact):
            signature.inputs[name] = option
        elif isinstance(option, OutputArtifact):
            signature.outputs[name] = option
        elif isinstance(option, OutputParameter):
            signature.output_parameters[name] = option
        else:
            described: dict[str, Any] = {"type": _TYPE_NAMES[value_type], "description": option.help}
            if parameter.default is not inspect.Parameter.empty:
                described["default"] = parameter.default
            signature.parameters[name] = described
    return signature


def _split(hint: Any) -> tuple[type, OptionInfo]:
    if get_origin(hint) is not Annotated:
        raise TypeError(f"a step's parameter needs a marker of stepkit.signature, found {hint}")
    value_type, option = get_args(hint)
    return value_type, option


def _path_option(description: str) -> dict[str, Any]:
    plain: OptionInfo = typer.Option(help=description, metavar="PATH")
    return {"default": plain.default, "help": plain.help, "metavar": plain.metavar, "path_type": Path}
