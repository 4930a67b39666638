"""`brakeline submit` and what goes with it: runs on Kubeflow Pipelines."""

import typer

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
