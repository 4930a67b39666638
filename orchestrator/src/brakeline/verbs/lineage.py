"""`brakeline lineage`: where a version comes from, drawn as a tree and verified."""

import typer

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
