"""Predictions and scores from the public attributes alone, because people assign those by hand."""

import copy
import os

import numpy as np
from sklearn.base import BaseEstimator

from fastgmm.estimator.attributes import operands_set_by_hand
from fastgmm.estimator.rows import rows_to_predict
from fastgmm.outputs import open_output, overwrites
from fastgmm.parameters import MixtureParameters, Operands
from fastgmm.prediction import mean_log_likelihood, predict_rows
from fastgmm.sklearn_interface import left_to_sklearn, underflow_is_zero
from fastgmm.sources.array import array_source
from fastgmm.sources.base import RowSource
from fastgmm.sources.opening import files_of


class PredictMixin(BaseEstimator):
    """`predict`, `predict_proba`, `score_samples`, `score` and `sample`."""

    def predict(self, X, *, out=None):
        """Label of the most probable component of every row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), path or source
            As for `fit`. From files and tables, the features of the model are taken by their
            names, if it was fitted with names.
        out : path, default=None
            A ``.npy`` or ``.parquet`` file to write to, in chunks, instead of returning an array.
            It appears when it is complete; in Parquet, its column is ``value``.

        Returns
        -------
        labels : ndarray of int64, shape (n_samples,), or None
            None if `out` is given.

        Raises
        ------
        ValueError
            If the rows are not what the model was fitted to, or hold NaN or infinity, or `out` is a
            file that they are read from.
        OSError
            If `out` cannot be written. What was there before is then still there.
        """
        if left_to_sklearn(self, out=out):
            return super().predict(X)
        return self._predict(X, "labels", out)

    def predict_proba(self, X, *, out=None):
        """Responsibilities: the probability of every component, given the row.

        Parameters
        ----------
        X, out
            See `predict`. In Parquet, the columns are ``component_0``, ``component_1``, ...

        Returns
        -------
        responsibilities : ndarray of shape (n_samples, n_components), or None
        """
        if left_to_sklearn(self, out=out):
            return super().predict_proba(X)
        return self._predict(X, "responsibilities", out)

    def score_samples(self, X, *, out=None):
        """Log-likelihood of every row.

        Parameters
        ----------
        X, out
            See `predict`.

        Returns
        -------
        log_likelihoods : ndarray of shape (n_samples,), or None
            Natural logarithm of the density, in nats.
        """
        if left_to_sklearn(self, out=out):
            return super().score_samples(X)
        return self._predict(X, "log_likelihoods", out)

    def score(self, X, y=None, sample_weight=None):
        """Mean log-likelihood per row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), path or source
            See `predict`.
        y : Ignored
        sample_weight : array-like of shape (n_samples,), str or int, default=None
            As for `fit`.

        Returns
        -------
        log_likelihood : float
            In nats.
        """
        if left_to_sklearn(self, "score_samples", sample_weight=sample_weight):
            return super().score(X, y)
        return self._score(X, sample_weight)[0]

    def sample(self, n_samples=1):
        """Draw rows from the mixture.

        Parameters
        ----------
        n_samples : int, default=1

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
        y : ndarray of shape (n_samples,)
            Their components.
        """
        model, weights = self, getattr(self, "weights_", None)
        if isinstance(weights, np.ndarray) and weights.dtype == np.float32:
            total = weights.sum(dtype=np.float64)
            if weights[:-1].sum(dtype=np.float64) > 1.0 and np.isclose(total, 1.0):
                # NumPy draws in float64, and refuses weights that sum to more by rounding.
                model = copy.copy(self)
                model.weights_ = weights / total
        return super(PredictMixin, model).sample(n_samples)

    @underflow_is_zero
    def _score(self, X, sample_weight) -> tuple[float, float]:
        """Mean log-likelihood, and the number of rows that it is the mean of."""
        source, operands = self._prepared(rows_to_predict(self, X, sample_weight))
        score = mean_log_likelihood(source, self._structure, self._engine, operands)
        return score, source.total_weight * source.weight_scale

    def _predict(self, X, output, out):
        """Predictions for rows that a user gives."""
        if isinstance(out, (str, os.PathLike)) and overwrites(out, files_of(X)):
            raise ValueError(f"out={os.fspath(out)!r} is among the files that rows are read from.")
        return self._predict_rows(rows_to_predict(self, X), output, out=out)

    @underflow_is_zero
    def _predict_rows(self, source: RowSource, output, parameters=None, out=None):
        """Predictions for all rows of a source, returned, or written to a file."""
        source, operands = self._prepared(source, parameters)
        arguments = (source, self._structure, self._engine, operands, output)
        if out is None:
            return predict_rows(*arguments)
        columns, dtype = None, np.dtype(np.int64 if output == "labels" else source.dtype)
        if output == "responsibilities":
            columns = [f"component_{c}" for c in range(len(operands.means))]
        with open_output(out, source.n_rows, columns, dtype) as file:
            predict_rows(*arguments, file)
        return None

    def _prepared(
        self, source: RowSource, parameters: MixtureParameters | None = None
    ) -> tuple[RowSource, Operands]:
        """Source and operands for a pass: in float32 if rows and parameters are."""
        parameters = parameters or self._parameters()
        single = source.dtype == np.asarray(self.means_).dtype == np.float32
        dtype = np.dtype(np.float32 if single else np.float64)
        operands = operands_set_by_hand(self._structure, parameters, dtype)
        d = parameters.means.shape[1]
        if source.n_features != d:
            raise ValueError(
                f"X has {source.n_features} features, but {type(self).__name__} is expecting {d} "
                "features as input."
            )
        return source.astype(dtype), operands

    def _estimated(self, X, output, parameters=None):
        """Predictions for rows that are not checked, as scikit-learn's private methods ask for."""
        return self._predict_rows(array_source(np.asarray(X)), output, parameters)
