"""Rows of an array in memory."""

import copy

import numpy as np

from fastgmm.sources.base import Chunk
from fastgmm.sources.weights import NO_WEIGHTS, WeightScale


class ArraySource:
    """Rows of a two-dimensional array of numbers, of any layout; not copied as a whole.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    sample_weight : ndarray of shape (n,), float64, optional
        Any scale will do: weights are passed on divided by a power of two near their mean.
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
        self.n_rows, self.n_features = X.shape
        self.dtype = X.dtype if dtype is None else np.dtype(dtype)
        self._weights, self.total_weight = NO_WEIGHTS, float(self.n_rows)
        self.weight_scale = 1.0
        if sample_weight is not None:
            scale = WeightScale.of([sample_weight])
            self._weights, self.total_weight = scale.apply(sample_weight), scale.total
            self.weight_scale = scale.divisor

    def present(self) -> "ArraySource":
        """The same source without its rows of weight 0."""
        present = self._weights > 0
        if present.all():
            return self
        weights = self._weights[present] * self.weight_scale
        return ArraySource(self._rows[present], weights, self.dtype)

    def astype(self, dtype: np.dtype) -> "ArraySource":
        """The same rows in another type."""
        if self.dtype == dtype:
            return self
        other = copy.copy(self)
        other.dtype = np.dtype(dtype)
        return other

    def read(self, start: int, stop: int) -> Chunk:
        """Rows start to stop: views, where the type is right."""
        rows = self._rows[start:stop].astype(self.dtype, copy=False)
        return Chunk(start, stop, rows, self._weights[start:stop])
