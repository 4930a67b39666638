"""Train: search, fit and calibrate a stopping-distance model, and export it as one ONNX graph."""

import os as _os

import stepkit as _stepkit  # noqa: F401  pins the arithmetic before numpy is imported

# scikit-learn would ask the program `cat` how many cores there are, and an image has none.
_os.environ.setdefault("LOKY_MAX_CPU_COUNT", str(_os.cpu_count() or 1))

__version__ = "0.1.0"
