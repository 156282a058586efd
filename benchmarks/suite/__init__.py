"""The asv suite: what is measured at every commit.

asv imports this folder, from the present checkout, into environments that hold one commit of
fastgmm and its dependencies, and nothing else. So modules here import each other relatively, need
nothing but NumPy, SciPy, scikit-learn and threadpoolctl (pyarrow for Parquet alone), and import
fastgmm only when they run.

A benchmark whose figures are no longer comparable gets another ``version``; asv then forgets its
history. Everything has fixed seeds and, but for whole fits, a fixed number of iterations. Lower is
better everywhere.
"""

import os
import sys
from pathlib import Path

# asv installs many commits into one environment, which keeps the compiled kernels of each apart;
# set before Numba is imported. Belt and braces, for the cache key holds a digest of the sources.
if _commit := os.environ.get("ASV_COMMIT"):
    os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(sys.prefix) / "kernels" / _commit))
