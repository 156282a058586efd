"""Searches over k and structures for the least BIC: four structures, k = 1 to 10, from k-means.

scikit-learn does so in a loop.
"""

import itertools
from functools import partial

import numpy as np

from benchmarks.suite.calls import OURS, THEIRS, mixture, public
from benchmarks.suite.clock import Call
from benchmarks.suite.problems import STRUCTURES, parse_shape

NUMBERS = range(1, 11)


def search(*, shape: str, library: str = OURS, threads: int = 1) -> Call:
    """The least BIC of mixtures of rows from so many overlapping clusters."""
    n, d, k = parse_shape(shape)
    random = np.random.default_rng(0)
    centers, spreads = random.normal(0, 3, (k, d)), random.uniform(0.5, 1.5, (k, d))
    part = random.integers(k, size=n)
    X = centers[part] + spreads[part] * random.standard_normal((n, d))
    return partial(_by_loop, X) if library == THEIRS else partial(_by_select, X, threads)


def _by_loop(X: np.ndarray) -> float:
    return min(
        mixture(THEIRS, n_components=k, covariance_type=name, random_state=0).fit(X).bic(X)
        for k, name in itertools.product(NUMBERS, STRUCTURES)
    )


def _by_select(X: np.ndarray, threads: int) -> float:
    found = public("select")(X, NUMBERS, STRUCTURES, random_state=0, n_jobs=threads)
    return float(np.nanmin(found.scores))
