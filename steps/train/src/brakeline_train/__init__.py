"""Train: search, fit and calibrate a stopping-distance model, and export it as one ONNX graph."""

import os as _os

import stepkit as _stepkit  # noqa: F401  pins the arithmetic before numpy is imported

# scikit-learn would ask the program `cat` how many cores there are, and an image has none.
_os.environ.setdefault("LOKY_MAX_CPU_COUNT", str(_os.cpu_count() or 1))
# Threads that wait shall sleep: where two tasks share the cores, spinning ones took five times as long.
_os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

__version__ = "0.1.0"
