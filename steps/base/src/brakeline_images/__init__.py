"""Builds the microimages: what is in each, in which order, from what base; `python build.py` calls it."""

__version__ = "0.1.0"
