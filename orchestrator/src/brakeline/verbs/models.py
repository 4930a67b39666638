"""`brakeline models`: versions in the registry, listed, shown, compared, promoted, archived."""

import typer

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
