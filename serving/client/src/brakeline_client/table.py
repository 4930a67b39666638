"""The answers as a table for people."""

from collections.abc import Sequence
from dataclasses import astuple

from rich.console import Console
from rich.table import Table

from brakeline_client.ask import Line


def show(lines: Sequence[Line]) -> None:
    """Print the answers beside the Highway Code's distances [m]."""
    table = Table(
        title="Way to standstill \\[m]: what the served model says, beside the UK Highway Code's braking distance"
    )
    for column in ("speed \\[mph]", "Highway Code", "dry", "dry, bound", "wet", "wet, bound"):
        table.add_column(column, justify="right")
    for line in lines:
        table.add_row(*map(str, astuple(line)))
    Console().print(table)
