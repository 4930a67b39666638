"""Train: search, fit and calibrate a stopping-distance model, and export it as one ONNX graph."""

import stepkit as _stepkit  # noqa: F401  pins the arithmetic before numpy is imported

__version__ = "0.1.0"
