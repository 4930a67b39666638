"""The mechanism of a step: its command line, artifacts, errors and diary. It knows no feature name."""

from stepkit import determinism

determinism.pin_arithmetic()

__version__ = "0.1.0"
