"""The thin orchestrator: one pipeline, its runners, and the command line `brakeline`."""

__version__ = "0.1.0"
