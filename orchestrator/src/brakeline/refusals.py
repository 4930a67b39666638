"""What a verb refuses, in words that name file, field, found and allowed; and the one place that says it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

USAGE, BAD_DATA, UNAVAILABLE, TRY_AGAIN = 2, 65, 69, 75


class Refused(Exception):
    """What ends a verb. `exit_code` is what the command ends with."""

    def __init__(self, message: str, exit_code: int = BAD_DATA) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def bad(place: object, field: str, found: object, allowed: object) -> Refused:
    """Bad data in a file, at a place in it that a person can find."""
    return Refused(f"{place}: {field}: found {found}, allowed {allowed}")


@contextmanager
def told(as_json: bool) -> Iterator[None]:
    """Say on stderr, and as JSON on stdout, why a block was refused, and end the command with the exit status."""
    try:
        yield
    except Refused as error:
        Console(stderr=True).print(str(error), highlight=False, markup=False, soft_wrap=True)
        if as_json:
            print(json.dumps({"status": "failed", "error": str(error)}))
        raise typer.Exit(error.exit_code) from error
