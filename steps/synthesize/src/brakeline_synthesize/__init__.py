"""Synthesize: braking physics, drives and sensors to a dataset and a holdout under one data contract."""

import stepkit as _stepkit  # noqa: F401  pins the arithmetic before numpy is imported

__version__ = "0.1.0"
