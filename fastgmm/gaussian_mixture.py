"""GaussianMixture: scikit-learn's estimator, on fastgmm's EM."""

import dataclasses
import math
from numbers import Real
from typing import ClassVar

import numpy as np
import sklearn.mixture
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from fastgmm.acceleration import METHODS
from fastgmm.convergence import TOL_KINDS
from fastgmm.estimator import later
from fastgmm.estimator.base import MixtureEstimator
from fastgmm.families import MaximumLikelihood
from fastgmm.families.frozen import masks_of, n_parameters
from fastgmm.saved import savable
from fastgmm.sklearn_interface import TAKES_NAMESPACE, constraints, left_to_sklearn

_OF_CRITERIA = ("score", "score_samples", "_n_parameters")
"""Methods that `bic` and `aic` are made of."""


@savable
class GaussianMixture(MixtureEstimator, sklearn.mixture.GaussianMixture):
    """Gaussian mixture fitted by EM, on all cores: a drop-in for scikit-learn's.

    Arguments, attributes, methods, errors and results are those of
    :class:`sklearn.mixture.GaussianMixture`; what differs is said here.

    Parameters
    ----------
    n_components, tol, max_iter, n_init
        As in scikit-learn.
    covariance_type : str, default='full'
        'full', 'tied', 'diag' and 'spherical' as in scikit-learn; 'tied_diag' and 'tied_spherical',
        one diagonal, or one number, for all components; and the names that mclust has for fourteen
        structures: 'EII', 'VII', 'EEI', 'VEI', 'EVI', 'VVI', 'EEE', 'VEE', 'EVE', 'VVE', 'EEV',
        'VEV', 'EVV', 'VVV', and 'E' and 'V' of one feature. Their letters say whether volume, shape
        and orientation are equal (E) or vary (V) between components; I stands for spheres, or for
        the axes of the features.
    reg_covar : float or 'scale', default=1e-6
        Added to every variance. 'scale' is 1e-6 of the feature's variance in X with its weights, so
        that a model follows the units of the features; 'spherical' takes the mean over features. A
        constant feature gets the mean of the others, or 1e-6 if there are none.
    init_params : {'kmeans', 'k-means++', 'random', 'random_from_data', 'hierarchical', \
'k-means||'}, array-like or callable, default='kmeans'
        The methods are scikit-learn's, but for 'hierarchical': Ward's clusters of at most 2000
        rows, of features scaled as mclust does for its own start; and 'k-means||' (Bahmani et al.
        2012), which clusters candidates from all rows, wherever they are. Besides: labels of shape
        (n_samples,); responsibilities of shape (n_samples, n_components), every row summing to 1;
        or a callable ``(X, n_components, random_state)`` that returns responsibilities.
    weights_init, means_init, precisions_init, random_state, warm_start, verbose, verbose_interval
        As in scikit-learn.
    on_failure : {'raise', 'recover'}, default='raise'
        What to do about covariances that are not positive definite. 'recover' moves a component
        that has collapsed to a random row, prunes it if it collapses again, raises the
        regularisation where that is no help, and gives up restarts, but not the fit; what was done
        stands in `diagnostics_`. As long as nothing fails, the result has the bits of 'raise'.
    n_jobs : int or None, default=None
        Threads: None is all cores that the process may use, 1 this thread only, -2 all but one. The
        result has the same bits for any number. Matrices of 800 features and more, and rows fewer
        than half of their features, go to BLAS, which has its own.

    noise : 'box', float or None, default=None
        A further component of constant density, 1 / V, for rows that belong to no Gaussian. V is
        the volume of the smaller of two boxes around the rows, that of the features and that of
        their principal axes (mclust's `hypvol`), or the number given. Labels have -1 for noise, and
        `predict_proba` has its column last. It counts two parameters more, of a given V one.
    noise_init : array-like of bool, shape (n_samples,), default=None
        The rows that are noise when the fit begins. By default those 5 % that are farthest from the
        means of their clusters, where `init_params` makes clusters, or chooses rows, to which the
        nearest ones then belong; else noise begins with a weight of 0.05 and no rows.
    freeze : dict or None, default=None
        What of the parameters stays as it is given: a dict from 'weights', 'means' or 'covariances'
        to True, or to a boolean array (n_components,). The values are those of `weights_init`,
        `means_init` and `precisions_init`. The other weights share what is left, and covariances of
        components whose means are frozen are taken about these. Where components share a part of
        their covariances, these are frozen for all or for none. What is frozen does not count in
        `n_parameters`, `bic` and `aic`.
    missing_values : {'error', 'em'}, default='error'
        What NaN means: an error, as in scikit-learn, or a value that is missing at random. 'em'
        fits by EM for missing values (Ghahramani & Jordan 1994), and predicts by the density of
        what there is. A start is made of the complete rows if they are at least 10 % of all and 50
        for each component, else of all rows, filled in with the means of their features. A row
        that has no value counts for nothing. Without missing values the result has the bits of
        'error'.
    accelerate : {'lbfgs', 'squarem', 'auto'}, default=None
        How to reach EM's fixed point in fewer passes over the rows, once EM has proved slow; see
        the documentation's page on acceleration. 'lbfgs' is for 'full', 'tied', 'diag' and
        'spherical', 'squarem' for every structure; 'auto' is 'lbfgs' where that is possible. Every
        pass counts as an iteration. `tol` should then be 1e-6 or less: with the default, EM stops
        before it is slow.
    tol_kind : {'change', 'aitken'}, default=None
        What `tol` is of: the change of the bound in an iteration, as in scikit-learn, or the
        distance of the bound from its limit, as it is estimated. None is 'change', but 'aitken' if
        `accelerate` is given.

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
        Fewer, here and in what follows, after components were pruned.
    noise_weight_ : float
        Of noise, if there is any; ``weights_.sum() + noise_weight_`` is 1.
    noise_volume_ : float
        V, in the product of the features' units.
    noise_box_ : ndarray of shape (n_features + 1, n_features)
        The box that `sample` draws noise in: a corner, and below it the edges. A given V makes the
        box around the rows so much larger or smaller.
    means_ : ndarray of shape (n_components, n_features)
    covariances_, precisions_, precisions_cholesky_ : ndarray
        Shape by `covariance_type`, as in scikit-learn; by mclust's names always (n_components,
        n_features, n_features). (n_features,) for 'tied_diag'; a float for 'tied_spherical'.
    converged_ : bool
    n_iter_ : int
    lower_bound_ : float
        Mean log-likelihood per sample before the last M-step.
    lower_bounds_ : list of float
        The same for every iteration of the best restart. A trial of an accelerated run that was
        refused repeats the bound before it.
    convergence_rate_ : float
        Share of the error that an iteration of EM leaves, near the end of the run: the fraction of
        missing information. It is estimated from the changes of the bound, or from the curvature
        that an accelerated run has met; NaN where there were too few iterations to tell.
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

    References
    ----------
    Bishop, Pattern Recognition and Machine Learning (2006), sec. 9.2. Murphy, Machine Learning: a
    Probabilistic Perspective (2012), sec. 11.4. Celeux & Govaert, Gaussian parsimonious clustering
    models (1995), Pattern Recognition 28(5).

    Examples
    --------
    >>> import numpy as np
    >>> from fastgmm import GaussianMixture
    >>> X = np.array([[1, 2], [1, 4], [1, 0], [10, 2], [10, 4], [10, 0]])
    >>> gm = GaussianMixture(n_components=2, random_state=0).fit(X)
    >>> gm.means_
    array([[10.,  2.],
           [ 1.,  2.]])
    >>> gm.predict([[0, 0], [12, 3]])
    array([1, 0])
    """

    _sklearn_class: ClassVar[type] = sklearn.mixture.GaussianMixture
    _family: ClassVar = MaximumLikelihood
    _parameter_constraints: ClassVar[dict] = {
        **constraints(_sklearn_class),
        "noise": [None, StrOptions({"box"}), Interval(Real, 0, None, closed="neither")],
        "noise_init": [None, "array-like"],
        "freeze": [dict, None],
        "missing_values": [StrOptions({"error", "em"})],
        "accelerate": [StrOptions(set(METHODS)), None],
        "tol_kind": [StrOptions(set(TOL_KINDS)), None],
    }

    def __init__(
        self,
        n_components=1,
        *,
        covariance_type="full",
        tol=1e-3,
        reg_covar=1e-6,
        max_iter=100,
        n_init=1,
        init_params="kmeans",
        weights_init=None,
        means_init=None,
        precisions_init=None,
        random_state=None,
        warm_start=False,
        verbose=0,
        verbose_interval=10,
        on_failure="raise",
        n_jobs=None,
        noise=None,
        noise_init=None,
        freeze=None,
        missing_values="error",
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
            weights_init=weights_init,
            means_init=means_init,
            precisions_init=precisions_init,
            random_state=random_state,
            warm_start=warm_start,
            verbose=verbose,
            verbose_interval=verbose_interval,
        )
        self.on_failure = on_failure
        self.n_jobs = n_jobs
        self.noise = noise
        self.noise_init = noise_init
        self.freeze = freeze
        self.missing_values = missing_values
        self.accelerate = accelerate
        self.tol_kind = tol_kind

    def bic(self, X, sample_weight=None):
        """Bayesian information criterion; the lower the better (Bishop 2006, eq. 4.139).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        sample_weight : array-like of shape (n_samples,), default=None
            Their sum stands for the number of rows.

        Returns
        -------
        bic : float
        """
        if left_to_sklearn(self, *_OF_CRITERIA, sample_weight=sample_weight):
            return super().bic(X)
        score, n = later.predicting.score(self, X, sample_weight)
        return -2 * score * n + self.n_parameters() * math.log(n)

    def aic(self, X, sample_weight=None):
        """Akaike information criterion; the lower the better (Bishop 2006, eq. 1.73).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        aic : float
        """
        if left_to_sklearn(self, *_OF_CRITERIA, sample_weight=sample_weight):
            return super().aic(X)
        score, n = later.predicting.score(self, X, sample_weight)
        return -2 * score * n + 2 * self.n_parameters()

    def bootstrap(self, X, n=999, sample_weight=None, random_state=None):
        """Standard errors and intervals by fits to rows with random weights.

        The weights are n_samples times a draw from the uniform Dirichlet distribution (Rubin 1981,
        "The Bayesian bootstrap"; O'Hagan et al. 2019, "Investigation of parameter uncertainty in
        clustering using a Gaussian mixture model via jackknife, bootstrap and weighted likelihood
        bootstrap"). EM starts from the fitted parameters. Components are matched to the fitted ones
        by the least sum of Kullback-Leibler divergences. Noise keeps its volume.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), path or source
            What the mixture was fitted to.
        n : int, default=999
            Number of fits.
        sample_weight : array-like of shape (n_samples,), str or int, default=None
            As for `fit`. A row that weighs 2 counts as two equal rows, each with its own draw.
        random_state : int, RandomState or None, default=None
            The result does not depend on the number of threads.

        Returns
        -------
        result : BootstrapResult
            ``result.standard_error.means`` and the like for weights and covariances, in the shapes
            of the attributes; ``low, high = result.interval(0.95)``; ``result.distribution``; with
            noise, ``result.noise_weight``.

        Raises
        ------
        ValueError
            If arguments are out of range, or fewer than two fits succeed.
        sklearn.exceptions.NotFittedError

        Warns
        -----
        UserWarning
            If X is far less likely than the rows that the mixture was fitted to.
        """
        return later.bootstrap.bootstrap(self, X, n, sample_weight, random_state)

    def impute(self, X, *, draws=None, random_state=None):
        """Fill in missing values, by what the mixture says of them given those that are there.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), path or source
            See `predict`. NaN and None are values that are missing, whatever `missing_values` is.
        draws : int, default=None
            Number of draws for every missing value; by default its conditional mean is taken, of
            all components by their responsibilities.
        random_state : int, RandomState or None, default=None
            For `draws`; by default that of the model.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features), or (draws, n_samples, n_features)
            A row without any value gets the mean of the mixture, or draws from it. Of a frame, too,
            this is an array, as scikit-learn's imputers return by default;
            ``pd.DataFrame(filled, frame.index, frame.columns)`` makes a frame of it.

        Raises
        ------
        ValueError
            If the rows are not what the model was fitted to, or hold infinity.
        """
        left_to_sklearn(self, impute=X)
        return later.conditioning.impute(self, X, draws, random_state)

    def marginal(self, features):
        """The mixture of some features, whatever the others are (Bishop 2006, eq. 2.98).

        Parameters
        ----------
        features : sequence of int, of str, or of bool
            Numbers of features, or their names if the model was fitted with names; in the order
            that the new model has them in. Or for each feature, whether it is one of them.

        Returns
        -------
        model : GaussianMixture
            Fitted, with the arguments of this model but for initial parameters. Where every
            component has a matrix of its own, its `covariance_type` is 'full'.

        Raises
        ------
        ValueError
            If there is no such feature.
        """
        left_to_sklearn(self, marginal=features)
        return later.conditioning.marginal(self, features)

    def conditional(self, X, features):
        r"""The mixture of the other features given some: Gaussian mixture regression.

        Given :math:`x_o`, component c has the mean :math:`\mu_u + \Sigma_{uo} \Sigma_{oo}^{-1}
        (x_o - \mu_o)` and the covariance :math:`\Sigma_{uu} - \Sigma_{uo} \Sigma_{oo}^{-1}
        \Sigma_{ou}` in the others (Bishop 2006, eq. 2.81 and 2.82).

        Parameters
        ----------
        X : array-like of shape (n, p), or (n, n_features), path or source
            Values of the p features that are given, in their order. Of rows with all features,
            these are taken; the others may be NaN. Of files with names they are taken by these.
        features : sequence of int, of str, or of bool
            What is given, by number, by name or by a mask.

        Returns
        -------
        conditional : ConditionalMixture
            A named tuple: weights (n, k), the responsibilities given X; means (n, k, q) of the q
            other features, in their order; covariances (k, q, q), the same for every row. Its
            properties `mean` (n, q) and `covariance` (n, q, q) are those of the whole mixture.

        Raises
        ------
        ValueError
            If there is no such feature, all are given, or X holds NaN or infinity in one of them.
        """
        left_to_sklearn(self, conditional=X)
        return later.conditioning.conditional(self, X, features)

    def n_parameters(self):
        """Number of free parameters; those that are frozen do not count.

        Noise has its weight, and with ``noise="box"`` the volume that is taken from the rows.

        Returns
        -------
        n_parameters : int

        Raises
        ------
        sklearn.exceptions.NotFittedError
        """
        check_is_fitted(self, "means_")
        return self._count_parameters(*np.shape(self.means_))

    def _count_parameters(self, n_components, n_features):
        structure = self._structure
        masks = masks_of(self.freeze, structure, n_components)
        of_box = self.noise == "box"
        return n_parameters(structure, masks, n_features, self.noise is not None) + of_box

    def _n_parameters(self):
        return self.n_parameters()

    def _estimate_log_prob(self, X, xp=None):
        """Log-densities (n, k) without the weights; private in scikit-learn, but widely called."""
        if left_to_sklearn(self):
            return super()._estimate_log_prob(X, **({"xp": xp} if TAKES_NAMESPACE else {}))
        parameters = self._family.parameters_of(self)
        unweighted = dataclasses.replace(parameters, weights=np.ones(len(parameters.means)))
        return later.predicting.predict_unchecked(self, X, "log_densities", unweighted)
