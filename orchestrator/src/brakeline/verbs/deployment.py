"""`brakeline deploy` and `brakeline rollback`: which version a server serves."""

import typer

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
