"""`brakeline doctor` and `brakeline prune`: what is missing, and what is no longer needed."""

import typer

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
