"""A plugin of pytest: what an ARM Mac has, as far as the tests of kernels can tell.

Vectors of 16 bytes, and a long double that is no wider than float64:
``python -m pytest -p tests.narrow tests/kernels``.
"""

import os

import llvmlite.binding
import numba  # noqa: F401  (it asks for the processor's features on its own account)
import numpy as np

# Kernels are cached by processor, and this is still the same.
os.environ["FASTGMM_NUMBA_CACHE"] = "0"

host_features = llvmlite.binding.get_host_cpu_features
llvmlite.binding.get_host_cpu_features = dict
try:
    from fastgmm.kernels.simd import LANE_BYTES
finally:
    llvmlite.binding.get_host_cpu_features = host_features

assert LANE_BYTES == 16
np.longdouble = np.float64
