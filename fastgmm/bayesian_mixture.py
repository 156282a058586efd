"""BayesianGaussianMixture: scikit-learn's estimator, on fastgmm's EM."""

from typing import ClassVar

import sklearn.mixture
from sklearn.utils._param_validation import StrOptions

from fastgmm.convergence import TOL_KINDS
from fastgmm.estimator.base import MixtureEstimator
from fastgmm.families.variational_bayes import VariationalBayes
from fastgmm.saved import savable
from fastgmm.sklearn_interface import constraints


@savable
class BayesianGaussianMixture(MixtureEstimator, sklearn.mixture.BayesianGaussianMixture):
    """Gaussian mixture fitted by variational Bayes, on all cores: a drop-in for scikit-learn's.

    Arguments, attributes, methods, errors and results are those of
    :class:`sklearn.mixture.BayesianGaussianMixture`; what differs is said here.

    Parameters
    ----------
    n_components, tol, max_iter, n_init
        As in scikit-learn.
    covariance_type : str, default='full'
        As in scikit-learn, or as mclust calls the same: 'VVV', 'EEE', 'VVI' or 'VII'; see
        :class:`fastgmm.GaussianMixture`. Other structures have no conjugate prior.
    reg_covar : float or 'scale', default=1e-6
        Added to every variance. 'scale' is 1e-6 of the feature's variance in X with its weights, so
        that a model follows the units of the features; 'spherical' takes the mean over features. A
        constant feature gets the mean of the others, or 1e-6 if there are none.
    init_params : {'kmeans', 'k-means++', 'random', 'random_from_data', 'hierarchical', \
'k-means||'}, array-like or callable, default='kmeans'
        As for :class:`fastgmm.GaussianMixture`.
    weight_concentration_prior_type, weight_concentration_prior, mean_precision_prior
        As in scikit-learn.
    mean_prior, covariance_prior
        As in scikit-learn. None is the mean, or the unbiased covariance, of X with its weights.
    degrees_of_freedom_prior, random_state, warm_start, verbose, verbose_interval
        As in scikit-learn.
    tol_per_sample : bool, default=False
        Whether `tol` is meant per row. The bound is a sum over rows, so that scikit-learn's rule
        asks the more of every row, the more there are, and a fit to many hardly ever converges.
    on_failure : {'raise', 'recover'}, default='raise'
        What to do about covariances that are not positive definite. 'recover' moves a component
        that has collapsed to a random row, prunes it if it collapses again, raises the
        regularisation where that is no help, and gives up restarts, but not the fit; what was done
        stands in `diagnostics_`. As long as nothing fails, the result has the bits of 'raise'.
    n_jobs : int or None, default=None
        Threads: None is all cores that the process may use, 1 this thread only, -2 all but one. The
        result has the same bits for any number. Matrices of 800 features and more go to BLAS, which
        has its own.
    accelerate : {'squarem', 'auto'}, default=None
        How to reach the fixed point in fewer passes over the rows, once it has proved slow, as for
        :class:`fastgmm.GaussianMixture`. 'auto' is 'squarem'.
    tol_kind : {'change', 'aitken'}, default=None
        As for :class:`fastgmm.GaussianMixture`; summed over rows like `tol`.

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
        Fewer, here and in what follows, after components were pruned.
    means_ : ndarray of shape (n_components, n_features)
    covariances_, precisions_, precisions_cholesky_ : ndarray
        Shape by `covariance_type`, as in scikit-learn.
    weight_concentration_ : tuple of two ndarray, or ndarray, of shape (n_components,)
    mean_precision_ : ndarray of shape (n_components,)
    degrees_of_freedom_ : ndarray of shape (n_components,), or float for 'tied'
    weight_concentration_prior_, mean_precision_prior_, degrees_of_freedom_prior_ : float
    mean_prior_ : ndarray of shape (n_features,)
    covariance_prior_ : float or ndarray
        Shape of one covariance.
    converged_ : bool
    n_iter_ : int
    lower_bound_ : float
        Bound on the log-evidence after the last M-step, summed over rows, without constants.
    lower_bounds_ : list of float
        The same for every iteration of the best restart. A trial of an accelerated run that was
        refused repeats the bound before it.
    convergence_rate_ : float
        As in `GaussianMixture`.
    diagnostics_ : list of dict
        What ``on_failure="recover"`` did, in order; empty if nothing failed. The keys are
        ``restart``, counted from 0; ``iteration``, counted from 1, or 0 for the start;
        ``component``, by its number at the time, or None for all; ``action``: 'reseed', 'prune',
        'regularize', 'widen' (the covariances of a start) or 'give up' (the restart); ``detail``
        and ``reason``, in words.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (d,)
    n_batches_ : int
        Batches that `partial_fit` has seen.
    running_statistics_ : SufficientStatistics
        What it keeps of them.

    Notes
    -----
    Rows in float32 are fitted in float64, chunk by chunk, and what comes out is float32.

    `sample_weight` in `fit` says how many rows each row stands for. Beside a prior that number
    matters: halving all weights is halving the evidence.

    References
    ----------
    Bishop, Pattern Recognition and Machine Learning (2006), sec. 10.2. Blei & Jordan, Variational
    inference for Dirichlet process mixtures (2006), Bayesian Analysis 1(1).

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm import BayesianGaussianMixture
    >>> X = np.array([[1, 2], [1, 4], [1, 0], [4, 2], [12, 4], [10, 7]])
    >>> bgm = BayesianGaussianMixture(n_components=2, random_state=42).fit(X)
    >>> bgm.means_.round(2)
    array([[2.49, 2.29],
           [8.45, 4.52]])
    >>> bgm.predict([[0, 0], [9, 3]])
    array([0, 1])
    """

    _sklearn_class: ClassVar[type] = sklearn.mixture.BayesianGaussianMixture
    _family: ClassVar = VariationalBayes
    _parameter_constraints: ClassVar[dict] = {
        **constraints(_sklearn_class),
        "tol_per_sample": ["boolean"],
        "accelerate": [StrOptions({"squarem", "auto"}), None],
        "tol_kind": [StrOptions(set(TOL_KINDS)), None],
    }

    def __init__(
        self,
        *,
        n_components=1,
        covariance_type="full",
        tol=1e-3,
        reg_covar=1e-6,
        max_iter=100,
        n_init=1,
        init_params="kmeans",
        weight_concentration_prior_type="dirichlet_process",
        weight_concentration_prior=None,
        mean_precision_prior=None,
        mean_prior=None,
        degrees_of_freedom_prior=None,
        covariance_prior=None,
        random_state=None,
        warm_start=False,
        verbose=0,
        verbose_interval=10,
        tol_per_sample=False,
        on_failure="raise",
        n_jobs=None,
        accelerate=None,
        tol_kind=None,
    ):
        super().__init__(
            n_components=n_components,
            covariance_type=covariance_type,
            tol=tol,
            reg_covar=reg_covar,
            max_iter=max_iter,
            n_init=n_init,
            init_params=init_params,
            weight_concentration_prior_type=weight_concentration_prior_type,
            weight_concentration_prior=weight_concentration_prior,
            mean_precision_prior=mean_precision_prior,
            mean_prior=mean_prior,
            degrees_of_freedom_prior=degrees_of_freedom_prior,
            covariance_prior=covariance_prior,
            random_state=random_state,
            warm_start=warm_start,
            verbose=verbose,
            verbose_interval=verbose_interval,
        )
        self.tol_per_sample = tol_per_sample
        self.on_failure = on_failure
        self.n_jobs = n_jobs
        self.accelerate = accelerate
        self.tol_kind = tol_kind
