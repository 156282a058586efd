"""Fits: EM from new starts, from fitted parameters, or on from a checkpoint."""

import copy
import warnings
from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from fastgmm.em import EMResult, Listener
from fastgmm.estimator.attributes import check_set_by_hand
from fastgmm.estimator.progress import CallbackSupportMixin, telling
from fastgmm.estimator.rows import FitRows, rows_to_fit
from fastgmm.fitting import START_BYTES, FitOptions, MixtureFit, MixtureModel
from fastgmm.initialization import bytes_to_draw, draw_starts, make_starts
from fastgmm.parameters import MixtureParameters
from fastgmm.persistence.checkpoints import DEFAULT_SECONDS, Checkpoint, fingerprint_of
from fastgmm.recovery import RecoveringFit
from fastgmm.sklearn_interface import NAMESPACE, left_to_sklearn, underflow_is_zero

_NOT_CONVERGED = (
    "Best performing initialization did not converge. "
    "Try different init parameters, or increase max_iter, "
    "tol, or check for degenerate data."
)


class FitMixin(CallbackSupportMixin, BaseEstimator):
    """`fit` and `fit_predict`."""

    _fit_dtype: ClassVar[Any] = None
    """Type that rows are fitted in, chunk by chunk; None is their own."""

    _listener: Listener | None = None
    """Hears of the progress of fits; None prints scikit-learn's messages, as `verbose` says."""

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X,
        y=None,
        sample_weight=None,
        *,
        checkpoint=None,
        checkpoint_every=DEFAULT_SECONDS,
    ):
        """Estimate the parameters by EM, from `n_init` starts; the best stays.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), path or source
            float32 and float64 keep their type; all else becomes float64. Besides arrays and
            frames, anything that :func:`fastgmm.open_source` opens: the path of a ``.npy`` or
            ``.parquet`` file or of a folder of these, a pyarrow Table or Dataset, a Zarr array, a
            list of such parts, of arrays or of frames. Its rows are read chunk by chunk, again in
            every iteration. Of more than 262,144 rows, or more than fit in 128 MiB,
            ``init_params="kmeans"``, ``"k-means++"`` and callables see a random sample;
            ``"random_from_data"`` does of more than 16,777,216, or 4,194,304 with weights;
            ``"random"`` never does.
        y : Ignored
        sample_weight : array-like of shape (n_samples,), str or int, default=None
            How often each row counts; any non-negative numbers. A row of weight 0 is as good as
            absent. Of files and tables, also the column that holds the weights.
        checkpoint : path, default=None
            File that the state of the run is kept in. If the process is killed, the same call goes
            on from there, and ends with the same bits as an undisturbed run; after the end it
            returns at once, or, if `max_iter` has ended it and is larger now, goes on (with one
            start only; of several, the best alone is kept). `random_state` should then be an
            integer, or None: a generator moves on as it is drawn from, so that with the same object
            the call is another one.
        checkpoint_every : float, default=30.0
            Least time between two writes of the checkpoint, in seconds. The first iteration, the
            end and ``KeyboardInterrupt`` are written in any case.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If arguments or data are out of range, a covariance degenerates, or the checkpoint
            belongs to another run.
        ModelFileError
            If the checkpoint is damaged.
        OSError
            If a file cannot be read, or the checkpoint cannot be written; its last state is kept.
        """
        if self._left_to_sklearn(sample_weight, checkpoint):
            return super().fit(X, y)
        with telling(self, X, y, sample_weight) as listener_for:
            self._fit(X, sample_weight, checkpoint, checkpoint_every, listener_for)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def fit_predict(
        self,
        X,
        y=None,
        sample_weight=None,
        *,
        checkpoint=None,
        checkpoint_every=DEFAULT_SECONDS,
    ):
        """Fit, and return the labels that `predict` then gives.

        Parameters
        ----------
        X, y, sample_weight, checkpoint, checkpoint_every
            See `fit`.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
        """
        if self._left_to_sklearn(sample_weight, checkpoint):
            return super().fit_predict(X, y)
        with telling(self, X, y, sample_weight) as listener_for:
            rows = self._fit(X, sample_weight, checkpoint, checkpoint_every, listener_for)
        return self._predict_rows(rows.given, "labels")

    def _left_to_sklearn(self, sample_weight, checkpoint) -> bool:
        """Whether scikit-learn has to fit, and knows what it is asked for."""
        ours = {"sample_weight": sample_weight, "checkpoint": checkpoint}
        if isinstance(self.reg_covar, str):
            ours["reg_covar='scale'"] = True
        if self.on_failure != "raise":
            ours["on_failure='recover'"] = True
        return left_to_sklearn(self, **ours)

    @underflow_is_zero
    def _fit(self, X, sample_weight, checkpoint, checkpoint_every, listener_for) -> FitRows:
        """Fit to data as the caller gives them; returns them checked."""
        rows = rows_to_fit(self, X, sample_weight)
        source = rows.source
        checked = self._checked_copy(source.n_features)
        tol = self._tolerance(source.total_weight * source.weight_scale)
        options = FitOptions(self.n_components, tol, self.reg_covar, self.max_iter)
        random_state = check_random_state(self.random_state)
        fit = MixtureFit(source, self._structure, self._engine, options)
        if self.on_failure == "recover":
            fit = RecoveringFit(source, self._structure, self._engine, options, random_state)
        model = self._model(checked, fit)
        if self.warm_start and hasattr(self, "lower_bound_"):
            warm, bound, n_starts = self._warm_parameters(source.n_features), self.lower_bound_, 1
            starts = iter([warm])
        else:
            warm, bound, n_starts = None, -np.inf, self.n_init
            starts = self._starts(fit, model, rows, random_state)
        attributes = partial(self._fitted_attributes, model=model, dtype=rows.given.dtype)
        listener = listener_for(attributes)
        run = partial(fit.run, model, listener=listener, lower_bound=float(bound))
        if checkpoint is None:
            result = run(starts)
        else:
            fingerprint = fingerprint_of(self, fit.source, fit.grid, warm)
            keeper = Checkpoint(checkpoint, fingerprint, random_state, checkpoint_every)
            result = keeper.run(run, starts, n_starts, self._structure)
        if not result.converged and self.max_iter > 0:
            warnings.warn(_NOT_CONVERGED, ConvergenceWarning, stacklevel=5)
        self._keep(result, model, rows.given.dtype)
        return rows

    def _starts(self, fit, model, rows: FitRows, random_state) -> Iterator[MixtureParameters]:
        """First parameters of all restarts, made when they are asked for."""
        k, method, dtype = self.n_components, rows.start, rows.given.dtype

        def make(X, weights):
            # Methods see the type that the rows were given in, as scikit-learn's do.
            X = None if X is None else X.astype(dtype, copy=False)
            return make_starts(X, k, method, random_state, weights, fit.engine)

        if rows.arrays is not None:
            return fit.starts(model, make(*rows.arrays), self.n_init)
        if not (isinstance(method, str) or callable(method)):
            return fit.starts(model, make(None, None), self.n_init)
        if isinstance(method, str) and bytes_to_draw(method, rows.source) <= START_BYTES:
            drawn = draw_starts(rows.source.astype(dtype), k, method, random_state)
            return fit.starts(model, drawn, self.n_init)
        return fit.sampled_starts(model, make, self.n_init, random_state)

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
        n_fitted, n_features_fitted = np.shape(self.means_)
        pruned = self.on_failure == "recover" and n_fitted < k
        if n_features_fitted != d or not (n_fitted == k or pruned):
            raise ValueError(
                f"warm_start=True goes on from means of shape {np.shape(self.means_)}, but "
                f"n_components and X ask for {(k, d)}. Set warm_start=False to start anew."
            )
        parameters = self._parameters()
        check_set_by_hand(self._structure, parameters)
        return parameters

    def _tolerance(self, total_weight):
        """Change of the bound below which EM stops, for rows of this weight."""
        return self.tol

    def _keep(self, result: EMResult, model, dtype) -> None:
        """Set the fitted attributes."""
        for name in ("n_batches_", "running_statistics_"):  # of a stream that is over now
            self.__dict__.pop(name, None)
        for name, value in self._fitted_attributes(result, model, dtype).items():
            setattr(self, name, value)

    def _fitted_attributes(self, result: EMResult, model, dtype) -> dict[str, Any]:
        """The fitted attributes that all mixtures have, in the type of the data."""
        parameters = result.parameters
        factors = parameters.precisions_cholesky
        arrays = {
            "weights_": parameters.weights,
            "means_": parameters.means,
            "covariances_": parameters.covariances,
            "precisions_": self._structure.precisions(factors),
            "precisions_cholesky_": factors,
        }
        return {
            **{name: array.astype(dtype) for name, array in arrays.items()},
            "converged_": result.converged,
            "n_iter_": result.n_iter,
            "lower_bound_": result.lower_bound,
            "lower_bounds_": result.lower_bounds,
            "diagnostics_": result.diagnostics,
        }
