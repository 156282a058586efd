"""Starts that all structures of a search share: made once, with the bits of every fit's own."""

import threading
from itertools import islice
from typing import Any

import numpy as np

from fastgmm.batch.starts import ManyStarts
from fastgmm.engines.threads import ThreadEngine
from fastgmm.estimator.rows import FitRows
from fastgmm.estimator.starting import FoundStart, find_starts
from fastgmm.starts import LabelledRows, SingleRows

_MOST_ROWS_AT_ONCE = 8191
"""Rows up to which the kernel for many small data sets makes k-means, as scikit-learn's labels."""


class SharedStarts:
    """Starts by the rows, the seed and the method that they are made with.

    Structures do not enter a start. What draws while it is read, and what a fit draws beside its
    starts, is not shared.
    """

    def __init__(self) -> None:
        self._found: dict[tuple, list[FoundStart] | None] = {}
        self._locks: dict[tuple, threading.Lock] = {}
        self._lock = threading.Lock()

    def forget(self) -> None:
        """Let go of all starts, which are as long as the rows."""
        self._found.clear()

    def of(self, data: FitRows, part: int, model: Any) -> list[FoundStart] | None:
        """The starts of a fit, or None if it has to make its own.

        Parameters
        ----------
        data : FitRows
            With the start that the model asks for.
        part : int
            Number of these rows among all that the search fits.
        model : MixtureEstimator
            With an integer for a `random_state`.
        """
        method = data.start
        if not isinstance(method, str) or model.on_failure != "raise" or data.tally is not None:
            return None
        if data.labels is not None or getattr(model, "noise", None) is not None:
            return None  # starts depend on them
        key = part, model.n_components, method, model.random_state, model.n_init
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            if key not in self._found:
                self._found[key] = _made(data, method, model)
            return self._found[key]


def _made(data: FitRows, method: str, model: Any) -> list[FoundStart] | None:
    k, n_init, seed = model.n_components, model.n_init, model.random_state
    found: list[FoundStart] = []
    plain = data.arrays is not None and data.arrays[1] is None
    if plain and method in ("kmeans", "k-means++") and data.source.n_rows <= _MOST_ROWS_AT_ONCE:
        assert data.arrays is not None
        rows = np.ascontiguousarray(data.arrays[0])
        ends, seeds = np.array([0, len(rows)]), np.array([seed], dtype=np.uint32)
        many = ManyStarts([rows], rows, ends, seeds, k, method)
        for shares in many.restarts(n_init):
            if isinstance(shares, SingleRows):
                found.append((None, SingleRows(shares.rows[0])))
            else:
                found.append((None, LabelledRows(shares.shares, k)))
        return None if many.errors else found
    starts = find_starts(data, k, np.random.RandomState(seed), ThreadEngine(model.n_jobs))
    for drawn, start in islice(starts, n_init):
        if getattr(start, "in_order", False):  # drawn while it is read
            return None
        found.append((drawn, start))
    return found
