"""The verbs of `brakeline` beside the run itself, a file for each subject; `cli.py` puts them together."""
