"""Train: search, fit and calibrate a stopping-distance model, and export it as one ONNX graph."""

import os as _os

import stepkit as _stepkit  # noqa: F401  pins the arithmetic before numpy is imported

# scikit-learn would ask the program `cat` how many cores there are, and an image has none.
_os.environ.setdefault("LOKY_MAX_CPU_COUNT", str(_os.cpu_count() or 1))
# A tree of these sizes leaves little to share: two threads of OpenMP gain a fifth on an idle machine, and where another
# task has the second core, they wait for each other ten times as long as the work takes. Scale comes from shards.
_os.environ.setdefault("OMP_NUM_THREADS", "1")

__version__ = "0.1.0"
