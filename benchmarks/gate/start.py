"""What a process does first: it imports fastgmm, and fits. Imports of this file come before."""

import time

from benchmarks.gate.plants import plant_what_is_asked_for


def imported_from() -> str:
    """The file that ``import fastgmm`` finds."""
    import fastgmm

    return fastgmm.__file__


def own_start() -> dict[str, float]:
    """Seconds of importing fastgmm after scikit-learn, and of a first fit, kernels compiled."""
    import numpy as np

    import benchmarks.suite.calls  # noqa: F401  (brings scikit-learn)

    started = time.perf_counter()
    import fastgmm

    imported = time.perf_counter() - started
    plant_what_is_asked_for()
    started = time.perf_counter()
    fastgmm.GaussianMixture(2, random_state=0).fit(np.random.default_rng(0).random((100, 3)))
    return {
        "import fastgmm, after scikit-learn": imported,
        "first fit of a process": time.perf_counter() - started,
    }
