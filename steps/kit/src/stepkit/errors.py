"""The flat error tree of the steps: facts in, a message and an exit code (sysexits) out."""

from pathlib import Path
from typing import ClassVar

USAGE, BAD_DATA, UNAVAILABLE, SOFTWARE, TRY_AGAIN = 2, 65, 69, 70, 75


class StepError(Exception):
    """A failure that the step foresaw. `exit_code` is what the process ends with."""

    exit_code: ClassVar[int] = SOFTWARE

    def __init__(self, message: str, **facts: object) -> None:
        super().__init__(message)
        self.facts = {key: str(value) if isinstance(value, Path) else value for key, value in facts.items()}


class UsageError(StepError):
    """The command line cannot be obeyed: a value is out of range, an option is missing."""

    exit_code = USAGE


class OutputNotWritable(UsageError):
    """An output path cannot be made: a parent is not a folder, or may not be written."""

    def __init__(self, output: Path, reason: str) -> None:
        super().__init__(f"cannot write output {output}: {reason}", output=output, reason=reason)


class InputMissing(StepError):
    """An input artifact is not there."""

    exit_code = BAD_DATA

    def __init__(self, name: str, path: Path) -> None:
        super().__init__(f"input --{name.replace('_', '-')}: no such file or folder: {path}", input=name, path=path)


class ArtifactAltered(StepError):
    """An artifact's bytes are not those that its maker recorded."""

    exit_code = BAD_DATA

    def __init__(self, path: Path | str, found: str, recorded: str) -> None:
        super().__init__(
            f"{path} was altered: its sha256 is {found}, its maker recorded {recorded}",
            path=path,
            found=found,
            allowed=recorded,
        )


class NotAsMade(StepError):
    """A folder's bytes are not those that the lineage in it tells of."""

    exit_code = BAD_DATA

    def __init__(self, path: Path, found: str, lineage: Path) -> None:
        super().__init__(
            f"{path} was altered after it was made: its sha256 is {found}, and {lineage.name} in it tells of another; "
            "make it again, or remove that file to take the folder as it is",
            path=path,
            found=found,
            allowed=f"what {lineage} tells of",
        )


class UnreadableArtifact(StepError):
    """An artifact is not of the format it should be, or is cut short."""

    exit_code = BAD_DATA

    def __init__(self, path: Path | str, expected: str, reason: str) -> None:
        super().__init__(f"{path} is not a readable {expected}: {reason}", path=path, allowed=expected, found=reason)


class ContractViolation(StepError):
    """Data that breaks the data contract."""

    exit_code = BAD_DATA

    def __init__(self, artifact: Path, field: str, found: object, allowed: object) -> None:
        super().__init__(
            f"{artifact}: {field}: found {found}, allowed {allowed}",
            artifact=artifact,
            field=field,
            found=str(found),
            allowed=str(allowed),
        )


class Refused(StepError):
    """The safety gate's answer stands in the way: no passed verdict for this very model."""

    exit_code = BAD_DATA


class ServiceUnavailable(StepError):
    """A service did not answer, and trying again within the step did not help."""

    exit_code = UNAVAILABLE


class TryAgain(StepError):
    """A passing condition (a full disk, a lock): the same call may succeed later."""

    exit_code = TRY_AGAIN


class ObjectMissing(StepError):
    """A store has no such object, or not all of a folder's."""

    exit_code = BAD_DATA

    def __init__(self, uri: str, reason: str) -> None:
        super().__init__(f"{uri}: {reason}", uri=uri, reason=reason)


class ObjectDenied(StepError):
    """A store does not show the object to us, or does not take it from us."""

    exit_code = BAD_DATA

    def __init__(self, uri: str, known: str) -> None:
        super().__init__(f"{uri}: the store denies it; {known}", uri=uri, known=known)


class ObjectAltered(StepError):
    """An object's bytes are not those that its maker recorded."""

    exit_code = BAD_DATA

    def __init__(self, uri: str, found: str, recorded: str) -> None:
        super().__init__(
            f"{uri} was altered: its sha256 is {found}, its maker recorded {recorded}",
            uri=uri,
            found=found,
            allowed=recorded,
        )
