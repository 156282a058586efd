"""A plugin of pytest: what an ARM Mac has, as far as the tests of kernels can tell.

Vectors of 16 bytes, 32 registers for them, and a long double that is no wider than float64:
``python -m pytest -p tests.narrow tests/kernels``.
"""

import numpy as np

from fastgmm.kernels import target

# The name is part of the cache's key, so these kernels are kept apart from the host's own.
target.describe = lambda: ("arm64-apple-darwin", "narrow", "")
target.vector_bytes = lambda *_: 16
np.longdouble = np.float64
