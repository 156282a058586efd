"""A plugin of pytest: what an ARM Mac has, as far as the tests of kernels can tell.

Vectors of 16 bytes, 32 registers for them, and a long double that is no wider than float64:
``python -m pytest -p tests.narrow tests/kernels``.
"""

import os

import numpy as np

from fastgmm.kernels import target

# Kernels are cached by processor, and this is still the same.
os.environ["FASTGMM_NUMBA_CACHE"] = "0"

target.vector_bytes = lambda *_: 16
target.has_many_registers = lambda *_: True
np.longdouble = np.float64
