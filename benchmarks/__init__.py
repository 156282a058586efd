"""Benchmarks of fastgmm: the asv suite, and commands that print the figures in the documentation.

Run them from the top of the repository: ``python -m benchmarks.iteration``, ``.startup``,
``.memory``, or ``.figures`` for all three.
"""

import os
import tempfile
from pathlib import Path

# asv runs many commits on one machine: each gets a cache of compiled kernels of its own, set
# before Numba is imported. Belt and braces, for the cache key holds a digest of the sources.
if _commit := os.environ.get("ASV_COMMIT"):
    os.environ.setdefault(
        "NUMBA_CACHE_DIR", str(Path(tempfile.gettempdir()) / "fastgmm-asv-cache" / _commit)
    )
