"""Same inputs and seed, same bytes: settings that must stand before numpy is first imported."""

import os

# numpy's exp, log and power differ by an ulp between CPUs with and without AVX-512 (float64, SVML).
NUMPY_WITHOUT_AVX512 = "X86_V4 AVX512_ICL AVX512_SPR"
# OpenBLAS picks its kernels by CPU; every supported x86-64 machine has Haswell's.
OPENBLAS_KERNELS = "Haswell"


def pin_arithmetic() -> None:
    """Make numpy and OpenBLAS compute alike on every x86-64 CPU. A value set by the caller stands."""
    os.environ.setdefault("NPY_DISABLE_CPU_FEATURES", NUMPY_WITHOUT_AVX512)
    os.environ.setdefault("OPENBLAS_CORETYPE", OPENBLAS_KERNELS)
