"""The estimator that both mixtures extend: methods and what they promise; the work is elsewhere."""

import copy
from typing import Any, ClassVar

from sklearn.base import BaseEstimator, _fit_context
from sklearn.utils.metadata_routing import UNUSED

from fastgmm.covariance import STRUCTURES, CovarianceStructure
from fastgmm.em import Listener
from fastgmm.estimator import fitting, later
from fastgmm.estimator.missing import allows_missing
from fastgmm.estimator.progress import CallbackSupportMixin, telling
from fastgmm.families import Family
from fastgmm.families.noise import has_noise
from fastgmm.saved import DEFAULT_SECONDS
from fastgmm.sklearn_interface import check_arguments, left_to_sklearn
from fastgmm.statistics import SufficientStatistics


class MixtureEstimator(CallbackSupportMixin, BaseEstimator):
    """Methods of an estimator, to be mixed in before the class of scikit-learn that it extends.

    A subclass supplies `_sklearn_class` and `_family`.
    """

    _sklearn_class: ClassVar[Any]
    _family: ClassVar[type[Family]]

    _listener: Listener | None = None
    """Hears of the progress of fits; None prints scikit-learn's messages, as `verbose` says."""

    # Files are no metadata of the rows, to be routed to a step of a pipeline.
    __metadata_request__fit: ClassVar[dict] = {"checkpoint": UNUSED, "checkpoint_every": UNUSED}
    __metadata_request__predict: ClassVar[dict] = {"out": UNUSED}
    __metadata_request__predict_proba: ClassVar[dict] = {"out": UNUSED}

    def _validate_params(self):
        check_arguments(self, super()._validate_params)

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X,
        y=None,
        sample_weight=None,
        *,
        labels=None,
        checkpoint=None,
        checkpoint_every=DEFAULT_SECONDS,
    ):
        """Estimate the parameters by EM, from `n_init` starts; the best stays.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), path or source
            float32 and float64 keep their type; all else becomes float64. Besides arrays and
            frames, anything that :func:`fastgmm.open_source` opens: the path of a ``.npy``,
            ``.csv`` or ``.parquet`` file or of a folder of the last, a pyarrow Table or Dataset, a
            query of polars or DuckDB, a Zarr array, a list of such parts, of arrays or of frames.
            Its rows are read chunk by chunk, again in every iteration. Of more than 262,144 rows,
            or more than fit in 128 MiB, ``init_params="kmeans"``, ``"k-means++"``,
            ``"hierarchical"`` and callables see a random sample; ``"random_from_data"`` does of
            more than 16,777,216, or 4,194,304 with weights; ``"random"`` and ``"k-means||"``
            never do.
        y : Ignored
        sample_weight : array-like of shape (n_samples,), str or int, default=None
            How often each row counts; any non-negative numbers. A row of weight 0 is as good as
            absent. Of files and tables, also the column that holds the weights.
        labels : array-like of int, shape (n_samples,), str or int, default=None
            The components of rows, from 0, where they are known, and -1 where they are not. A
            labelled row belongs to its component in every iteration, and adds the logarithm of its
            weighted density to the bound; components with labelled rows begin at their means. Of
            frames, files and tables, also the column that holds the labels, which is then no
            feature.
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
        if fitting.fit_left_to_sklearn(self, sample_weight, labels, checkpoint):
            return super().fit(X, y)
        with telling(self, X, y, sample_weight, labels) as listener_for:
            fitting.fit(self, X, sample_weight, labels, checkpoint, checkpoint_every, listener_for)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def fit_predict(
        self,
        X,
        y=None,
        sample_weight=None,
        *,
        labels=None,
        checkpoint=None,
        checkpoint_every=DEFAULT_SECONDS,
    ):
        """Fit, and return the labels that `predict` then gives.

        Parameters
        ----------
        X, y, sample_weight, labels, checkpoint, checkpoint_every
            See `fit`.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
            Those that are given stay as they are.
        """
        if fitting.fit_left_to_sklearn(self, sample_weight, labels, checkpoint):
            return super().fit_predict(X, y)
        with telling(self, X, y, sample_weight, labels) as listener_for:
            arguments = (X, sample_weight, labels, checkpoint, checkpoint_every, listener_for)
            data = fitting.fit(self, *arguments, predicted=True)
        return later.predicting.labels_of_fit(self, X, data)

    def predict(self, X, *, out=None):
        """Label of the most probable component of every row; -1 for noise.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), path or source
            As for `fit`. From files and tables, the features of the model are taken by their
            names, if it was fitted with names.
        out : path, default=None
            A ``.npy``, ``.parquet`` or ``.csv`` file to write to, in chunks, instead of returning
            an array. It appears when it is complete; in Parquet, its column is ``component``.

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
        return later.predicting.predict(self, X, "labels", out)

    def predict_proba(self, X, *, out=None):
        """Responsibilities: the probability of every component, given the row.

        Parameters
        ----------
        X, out
            See `predict`. In Parquet, the columns are ``component_0``, ``component_1``, ..., and
            ``noise``.

        Returns
        -------
        responsibilities : ndarray of shape (n_samples, n_components), or None
            With noise, its probability stands in one more column, the last.
        """
        if left_to_sklearn(self, out=out):
            return super().predict_proba(X)
        return later.predicting.predict(self, X, "responsibilities", out)

    def score_samples(self, X, *, out=None):
        """Log-likelihood of every row.

        Parameters
        ----------
        X, out
            See `predict`. In Parquet, the column is ``log_likelihood``.

        Returns
        -------
        log_likelihoods : ndarray of shape (n_samples,), or None
            Natural logarithm of the density, in nats.
        """
        if left_to_sklearn(self, out=out):
            return super().score_samples(X)
        return later.predicting.predict(self, X, "log_likelihoods", out)

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
        return later.predicting.score(self, X, sample_weight)[0]

    def sample(self, n_samples=1):
        """Draw rows from the mixture.

        Parameters
        ----------
        n_samples : int, default=1

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
        y : ndarray of shape (n_samples,)
            Their components; -1 for noise, whose rows come last.
        """
        if has_noise(self):
            return later.conversion.sample_with_noise(self, n_samples)
        # scikit-learn draws, from a model that it knows.
        return super(MixtureEstimator, later.conversion.drawable(self)).sample(n_samples)

    def accumulate(self, X, sample_weight=None) -> SufficientStatistics:
        """E-step: sufficient statistics of rows under the present parameters.

        Statistics of parts of the data add to those of the whole, whatever process made them;
        `update` does the M-step. The model stays as it is.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), path or source
            As for `predict`; one row is enough.
        sample_weight : array-like of shape (n_samples,), str or int, default=None
            As for `fit`.

        Returns
        -------
        statistics : SufficientStatistics
            They add by ``+``, pickle, and are saved by their `save`.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If there are no parameters; ``fit`` with ``max_iter=0`` sets those of a start.
        ValueError
            If the rows are not what the model was fitted to, or hold NaN or infinity, or are so far
            from all components that sums overflow.
        """
        left_to_sklearn(self, accumulate=X)
        return later.by_hand.accumulate(self, X, sample_weight)

    @_fit_context(prefer_skip_nested_validation=True)
    def update(self, statistics):
        """M-step: set the parameters from statistics of all rows.

        One call is one iteration of `fit`. `lower_bounds_` and `n_iter_` go on counting, and
        `converged_` tells whether the bound changed by less than `tol`.

        Parameters
        ----------
        statistics : SufficientStatistics
            Sum of what `accumulate` gave for all rows, with the parameters as they still are.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If the statistics are those of other parameters, or a covariance degenerates.
        TypeError
            If they are no statistics.
        """
        left_to_sklearn(self, update=statistics)
        return later.by_hand.update(self, statistics)

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None, sample_weight=None):
        r"""One step of stepwise EM with a batch of a stream (Cappe & Moulines 2009).

        Running statistics s move towards those of the batch, :math:`s \leftarrow (1 - \eta_t) s +
        \eta_t s_{batch}`, both per row, and the M-step follows. The step is 1 for the first batch
        and :math:`\eta_t = (t + 2)^{-0.7}` after t batches
        (``fastgmm.estimator.merging.STEP_DELAY`` and ``STEP_DECAY``). Every batch counts alike,
        so let them be of about one size, well above the number of components, and in random order.

        The first call starts from the batch by `init_params`, unless there are parameters already,
        from `fit` or by hand: then it goes on from those. `fit` begins anew.

        `lower_bound_` is an estimate from the last batch alone, `n_iter_` the number of batches,
        and `converged_` stays False. A Bayesian mixture weighs its priors against all rows seen
        so far; those of a second pass over the same rows count again.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), path or source
            As for `fit`. The first batch needs as many rows as there are components.
        y : Ignored
        sample_weight : array-like of shape (n_samples,), str or int, default=None
            How often each row counts, within the batch.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            See `fit`.

        References
        ----------
        Cappe & Moulines, On-line expectation-maximization algorithm for latent data models (2009),
        Journal of the Royal Statistical Society B 71(3).
        """
        left_to_sklearn(self, partial_fit=X)
        return later.by_hand.partial_fit(self, X, sample_weight)

    def save(self, path):
        """Write the model, fitted or not, to a file that :func:`fastgmm.load` reads.

        The file holds numbers and names, no code and no pickle. It is replaced as a whole, or, if
        anything goes wrong, stays as it was.

        Parameters
        ----------
        path : path
            By custom ending in ``.npz``; NumPy opens it, too.

        Raises
        ------
        ValueError
            If an argument is a function, or attributes that were set by hand are no mixture's.
        TypeError
            If the model is of a subclass, which `load` could not know.
        OSError
            If the file cannot be written.
        """
        from fastgmm.saved.models import save_model

        save_model(self, path)

    def to_sklearn(self):
        """The same model as scikit-learn's own class, for tools and machines that know only it.

        Returns
        -------
        model : sklearn.mixture.GaussianMixture or sklearn.mixture.BayesianGaussianMixture
            `init_params` and `reg_covar` that scikit-learn does not know become its defaults.
        """
        return later.conversion.to_sklearn(self)

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
        return later.conversion.from_sklearn(cls, model, n_jobs)

    def __sklearn_tags__(self):
        named = self
        if not isinstance(self.init_params, str):
            # scikit-learn asks whether it is among some names, which an array cannot answer.
            named = copy.copy(self)
            named.init_params = "kmeans"
        tags = super(MixtureEstimator, named).__sklearn_tags__()
        tags.input_tags.allow_nan = allows_missing(self)
        return tags

    @property
    def _structure(self) -> CovarianceStructure:
        return STRUCTURES[self.covariance_type]
