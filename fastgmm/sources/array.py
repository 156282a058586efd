"""Rows of an array in memory."""

import numpy as np

from fastgmm.sources.base import Chunk

_NO_WEIGHTS = np.empty(0)


class ArraySource:
    """Rows of a two-dimensional array of numbers, of any layout; not copied as a whole.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    sample_weight : ndarray of shape (n,), float64, optional
        Any scale will do: weights are passed on divided by a power of two near their mean, which
        changes no digit, and keeps tiny ones above the guard against empty components.
    dtype : dtype, optional
        Of the chunks, float64 or float32; they are converted one by one.
    """

    def __init__(
        self,
        X: np.ndarray,
        sample_weight: np.ndarray | None = None,
        dtype: np.dtype | None = None,
    ):
        # Kernels are compiled for plain, aligned arrays.
        X = np.asarray(X)
        self._rows = X if X.flags.aligned else X.copy()
        self._weights = _NO_WEIGHTS
        if sample_weight is not None:
            self._weights = np.ldexp(sample_weight, -np.frexp(sample_weight.mean())[1])
        self.n_rows, self.n_features = X.shape
        self.dtype = X.dtype if dtype is None else np.dtype(dtype)
        self.total_weight = (
            float(self.n_rows) if sample_weight is None else float(self._weights.sum())
        )

    def read(self, start: int, stop: int) -> Chunk:
        """Rows start to stop: views, where the type is right."""
        rows = self._rows[start:stop].astype(self.dtype, copy=False)
        return Chunk(start, stop, rows, self._weights[start:stop])
