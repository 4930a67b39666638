"""Validate: metrics, physical checks and gates over a model, to a verdict that fails closed and a dossier."""

import stepkit as _stepkit  # noqa: F401  pins the arithmetic before numpy is imported

__version__ = "0.1.0"

# Part of every verdict: two verdicts compare only if the same gate gave them.
GATE_VERSION = 4
