"""A client of the served model."""

__version__ = "0.1.0"
