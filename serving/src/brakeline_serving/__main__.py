"""`python -m brakeline_serving` is the console script."""

from brakeline_serving.cli import app

app()
