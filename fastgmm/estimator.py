"""What the mixture estimators share: checks, fitting, predictions, and the way to scikit-learn."""

import copy
import warnings
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from fastgmm.covariance import STRUCTURES, CovarianceStructure
from fastgmm.em import EMResult
from fastgmm.engines.threads import ThreadEngine
from fastgmm.fitting import (
    FitOptions,
    MixtureFit,
    MixtureModel,
    mean_log_likelihood,
    predict_rows,
)
from fastgmm.initialization import given_start, make_starts
from fastgmm.outputs import open_output
from fastgmm.parameters import MixtureParameters
from fastgmm.persistence.checkpoints import Checkpoint, fingerprint_of
from fastgmm.persistence.models import save_model
from fastgmm.sklearn_interface import (
    NAMESPACE,
    checked_weights,
    copy_fitted,
    left_to_sklearn,
)
from fastgmm.sources.array import ArraySource
from fastgmm.sources.derived import present_mask, present_rows
from fastgmm.sources.opening import holds_rows, is_row_source, open_for_model, open_source

_NOT_CONVERGED = (
    "Best performing initialization did not converge. "
    "Try different init parameters, or increase max_iter, "
    "tol, or check for degenerate data."
)


class MixtureEstimator(BaseEstimator):
    """Work of an estimator, to be mixed in before the class of scikit-learn that it extends.

    A subclass supplies `_sklearn_class`, `_model` and `_parameters`.
    """

    _sklearn_class: ClassVar[Any]
    _fit_dtype: ClassVar[Any] = None
    """Type that rows are fitted in, chunk by chunk; None is their own."""

    # -- fitting -----------------------------------------------------------------------------------
    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None, *, checkpoint=None):
        """Estimate the parameters by EM, from `n_init` starts; the best stays.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            float32 and float64 keep their type; all else becomes float64.
        y : Ignored
        sample_weight : array-like of shape (n_samples,), default=None
            How often each row counts; any non-negative numbers. A row of weight 0 is as good as
            absent.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If arguments or data are out of range, or a covariance degenerates.
        """
        if left_to_sklearn(self, sample_weight):
            return super().fit(X, y)
        self._fit(X, sample_weight, checkpoint)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def fit_predict(self, X, y=None, sample_weight=None):
        """Fit, and return the labels that `predict` then gives.

        Parameters
        ----------
        X, y, sample_weight
            See `fit`.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
        """
        if left_to_sklearn(self, sample_weight):
            return super().fit_predict(X, y)
        X = self._fit(X, sample_weight)
        return self._predict_rows(X, "labels")

    def _fit(self, X, sample_weight, checkpoint=None):
        """Fit to data as the caller gives them; returns them checked."""
        if holds_rows(X):
            X, source, method, rows, weights = self._opened_rows(X, sample_weight)
        else:
            X, source, method, rows, weights = self._array_rows(X, sample_weight)
        checked = self._checked_copy(source.n_features)
        engine = self._engine
        tol = self._tolerance(source.total_weight * source.weight_scale)
        options = FitOptions(self.n_components, tol, self.reg_covar, self.max_iter)
        fit = MixtureFit(source, self._structure, engine, options)
        model = self._model(checked, fit)
        dtype = X.dtype
        if self.warm_start and hasattr(self, "lower_bound_"):
            first = iter([self._warm_parameters(source.n_features)])
            result = fit.run(model, first, _Verbose(self), float(self.lower_bound_))
        else:
            result = self._run(fit, model, method, rows, weights, checkpoint)
        if not result.converged and self.max_iter > 0:
            warnings.warn(_NOT_CONVERGED, ConvergenceWarning, stacklevel=4)
        self._keep(result, model, dtype)
        return X

    def _run(self, fit, model, method, rows, weights, checkpoint) -> EMResult:
        """EM from new starts, or on from a checkpoint."""
        random_state = check_random_state(self.random_state)
        state, keeper = None, None
        if checkpoint is not None:
            keeper = Checkpoint(
                checkpoint, fingerprint_of(self, fit.source, fit.grid), random_state
            )
            state = keeper.resume(self._structure)
            if state is not None and state.finished:
                assert state.best is not None
                return state.best
        left = self.n_init if state is None else self.n_init - state.restart - 1

        def make(rows, weights):
            return make_starts(rows, self.n_components, method, random_state, weights, fit.engine)

        if rows is None and (isinstance(method, str) or callable(method)):
            starts = fit.sampled_starts(model, make, left, random_state)
        else:
            starts = fit.starts(model, make(rows, weights), left)
        if keeper is None:
            return fit.run(model, starts, _Verbose(self))
        try:
            result = fit.run(model, starts, _Verbose(self), resume=state, observe=keeper.update)
        except KeyboardInterrupt:
            keeper.flush()
            raise
        keeper.finish(result)
        return result

    def _opened_rows(self, X, sample_weight):
        X = open_source(X, weight=sample_weight) if not is_row_source(X) else X
        source = present_rows(X)
        if source.n_rows < max(self.n_components, 2):
            raise ValueError(
                "Expected n_samples >= n_components "
                f"but got n_components = {self.n_components}, "
                f"n_samples = {source.n_rows}"
            )
        method = self._start_method(X.n_rows)
        if hasattr(method, "take") and source is not X:
            method = method.take(present_mask(X))
        if self._fit_dtype is not None:
            source = source.astype(self._fit_dtype)
        self.n_features_in_ = source.n_features
        if source.feature_names is not None:
            self.feature_names_in_ = np.array(source.feature_names, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        return X, source, method, None, None

    def _array_rows(self, X, sample_weight):
        X = validate_data(self, X, dtype=[np.float64, np.float32], ensure_min_samples=2)
        weights = checked_weights(sample_weight, X)
        n_present = len(X) if weights is None else np.count_nonzero(weights)
        if n_present < self.n_components:
            raise ValueError(
                "Expected n_samples >= n_components "
                f"but got n_components = {self.n_components}, "
                f"n_samples = {n_present}"
            )
        method = self._start_method(len(X))
        rows = X
        if weights is not None and n_present < len(X):
            present = weights > 0
            rows, weights = X[present], weights[present]
            method = method.take(present) if hasattr(method, "take") else method
        return X, ArraySource(rows, weights, self._fit_dtype), method, rows, weights

    def _start_method(self, n_rows):
        """`init_params`, with arrays checked."""
        if isinstance(self.init_params, str) or callable(self.init_params):
            return self.init_params
        return given_start(self.init_params, n_rows, self.n_components)

    def _model(self, checked, fit: MixtureFit) -> MixtureModel:
        """The model to fit, from a copy of this estimator whose arguments have been checked."""
        raise NotImplementedError

    def _checked_copy(self, n_features):
        """A copy of the estimator whose arguments scikit-learn has checked, in its words.

        It overwrites some with arrays, or sets attributes, hence the copy. Of the rows only their
        length enters a check.
        """
        checked = copy.copy(self)
        checked._check_parameters(np.zeros((2, n_features)), **NAMESPACE)
        return checked

    def _warm_parameters(self, n_features) -> MixtureParameters:
        """The fitted parameters, to go on from."""
        k, d = self.n_components, n_features
        if np.shape(self.means_) != (k, d):
            raise ValueError(
                f"warm_start=True goes on from means of shape {np.shape(self.means_)}, but "
                f"n_components and X ask for {(k, d)}. Set warm_start=False to start anew."
            )
        return self._parameters()

    def _tolerance(self, total_weight):
        """Change of the bound below which EM stops, for rows of this weight."""
        return self.tol

    def _keep(self, result: EMResult, model, dtype) -> None:
        """Set the fitted attributes that all mixtures have, in the type of the data."""
        parameters = result.parameters
        self.weights_ = parameters.weights.astype(dtype)
        self.means_ = parameters.means.astype(dtype)
        self.covariances_ = parameters.covariances.astype(dtype)
        self.precisions_cholesky_ = parameters.precisions_cholesky.astype(dtype)
        self.precisions_ = self._structure.precisions(parameters.precisions_cholesky).astype(dtype)
        self.converged_ = result.converged
        self.n_iter_ = result.n_iter
        self.lower_bound_ = result.lower_bound
        self.lower_bounds_ = result.lower_bounds

    def __sklearn_tags__(self):
        if isinstance(self.init_params, str):
            return super().__sklearn_tags__()
        # scikit-learn asks whether `init_params` is among some names, which an array cannot answer.
        named = copy.copy(self)
        named.init_params = "kmeans"
        return super(MixtureEstimator, named).__sklearn_tags__()

    # -- predictions -------------------------------------------------------------------------------
    def predict(self, X, *, out=None):
        """Label of the most probable component of every row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        labels : ndarray of int64, shape (n_samples,)
        """
        if left_to_sklearn(self):
            return super().predict(X)
        return self._predict_rows(self._checked_rows(X), "labels", out=out)

    def predict_proba(self, X, *, out=None):
        """Responsibilities: the probability of every component, given the row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        responsibilities : ndarray of shape (n_samples, n_components)
        """
        if left_to_sklearn(self):
            return super().predict_proba(X)
        return self._predict_rows(self._checked_rows(X), "responsibilities", out=out)

    def score_samples(self, X, *, out=None):
        """Log-likelihood of every row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        log_likelihoods : ndarray of shape (n_samples,)
            Natural logarithm of the density, in nats.
        """
        if left_to_sklearn(self):
            return super().score_samples(X)
        return self._predict_rows(self._checked_rows(X), "log_likelihoods", out=out)

    def score(self, X, y=None, sample_weight=None):
        """Mean log-likelihood per row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : Ignored
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        log_likelihood : float
            In nats.
        """
        if left_to_sklearn(self, sample_weight):
            return super().score(X, y)
        return self._score(X, sample_weight)[0]

    def save(self, path):
        """Write the model to a file; `fastgmm.load` reads it.

        Parameters
        ----------
        path : path
        """
        save_model(self, path)

    # -- scikit-learn and back ---------------------------------------------------------------------
    def to_sklearn(self):
        """The same model as scikit-learn's own class, for tools and machines that know only it.

        Returns
        -------
        model : sklearn.mixture.GaussianMixture or sklearn.mixture.BayesianGaussianMixture
            `init_params` that scikit-learn does not know become its default.
        """
        known = self._sklearn_class().get_params(deep=False)
        arguments = {name: getattr(self, name) for name in known}
        if not isinstance(self.init_params, str):
            arguments["init_params"] = "kmeans"
        return copy_fitted(self._sklearn_class(**arguments), self)

    @classmethod
    def from_sklearn(cls, model, n_jobs=None):
        """The same model as this class.

        Parameters
        ----------
        model : sklearn.mixture.GaussianMixture or sklearn.mixture.BayesianGaussianMixture
            Fitted or not; of this class's name.
        n_jobs : int or None, default=None

        Returns
        -------
        model : object
            Of this class.

        Raises
        ------
        TypeError
            If `model` is something else.
        """
        if not isinstance(model, cls._sklearn_class):
            raise TypeError(
                f"from_sklearn takes a sklearn.mixture.{cls._sklearn_class.__name__}, but got "
                f"{type(model).__name__}."
            )
        arguments = {**model.get_params(deep=False), "n_jobs": n_jobs}
        return copy_fitted(cls(**arguments), model)

    # -- helpers -----------------------------------------------------------------------------------
    @property
    def _structure(self) -> CovarianceStructure:
        return STRUCTURES[self.covariance_type]

    @property
    def _engine(self) -> ThreadEngine:
        return ThreadEngine(self.n_jobs)

    def _parameters(self) -> MixtureParameters:
        """The public attributes as they stand, perhaps set by hand."""
        raise NotImplementedError

    def _checked_rows(self, X):
        check_is_fitted(self)
        if holds_rows(X):
            names = getattr(self, "feature_names_in_", None)
            d = np.shape(self.means_)[1]
            return open_for_model(X, None if names is None else list(names), d)
        return validate_data(self, X, reset=False)

    def _prepared(self, X, sample_weight=None, parameters=None):
        """Source and operands for predictions: in float32 if rows and parameters are."""
        X = X if is_row_source(X) else np.asarray(X)
        parameters = parameters or self._parameters()
        k, d = parameters.means.shape
        n_features = X.n_features if is_row_source(X) else X.shape[1]
        if n_features != d:
            raise ValueError(
                f"X has {n_features} features, but {type(self).__name__} is expecting {d} features "
                "as input."
            )
        expected = self._structure.shape(k, d)
        if parameters.precisions_cholesky.shape != expected:
            raise ValueError(
                f"precisions_cholesky_ should have the shape of {expected} for "
                f"covariance_type={self.covariance_type!r}, but got "
                f"{parameters.precisions_cholesky.shape}."
            )
        single = X.dtype == np.asarray(self.means_).dtype == np.float32
        dtype = np.dtype(np.float32 if single else np.float64)
        source = X.astype(dtype) if is_row_source(X) else ArraySource(X, sample_weight, dtype)
        return source, self._structure.operands(parameters, dtype)

    def _predict_rows(self, X, output, parameters=None, out=None):
        source, operands = self._prepared(X, parameters=parameters)
        arguments = (source, self._structure, self._engine, operands, output)
        if out is None:
            return predict_rows(*arguments)
        columns, dtype = None, np.dtype(np.int64 if output == "labels" else source.dtype)
        if output == "responsibilities":
            columns = [f"component_{c}" for c in range(len(operands.means))]
        with open_output(out, source.n_rows, columns, dtype) as file:
            predict_rows(*arguments, file)
        return None

    def _score(self, X, sample_weight):
        """Mean log-likelihood, and the number of rows that it is the mean of."""
        X = self._checked_rows(X)
        weights = None if is_row_source(X) else checked_weights(sample_weight, X)
        source, operands = self._prepared(X, weights)
        score = mean_log_likelihood(source, self._structure, self._engine, operands)
        return score, source.total_weight * source.weight_scale


class _Verbose:
    """Passes progress on to scikit-learn's own messages."""

    def __init__(self, estimator):
        self._estimator = estimator

    def restart_begins(self, number):
        self._estimator._print_verbose_msg_init_beg(number)

    def iteration_ends(self, number, lower_bound, change):
        self._estimator._print_verbose_msg_iter_end(number, change)

    def restart_ends(self, lower_bound, converged):
        self._estimator._print_verbose_msg_init_end(lower_bound, converged)
