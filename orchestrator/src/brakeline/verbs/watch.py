"""`brakeline watch`: a run where the stated rule of drift holds."""

import typer

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
