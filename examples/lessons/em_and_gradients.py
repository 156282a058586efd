"""
EM beside gradient methods
==========================

The likelihood of a mixture is a smooth function, so that any method of optimization can climb
it. Here SciPy's L-BFGS does, on the same likelihood and with its exact gradient, beside EM. Both
reach the same optimum. The passes over the rows and the seconds tell when each is the better
choice, and how much coordinates matter.
"""

# %%
# The gradient follows from sufficient statistics
# -----------------------------------------------
# A pass over the rows gives the responsibilities' sums :math:`N_c`, and the first and second
# moments :math:`f_c, S_c` about the means. All of the gradient follows from them (Salakhutdinov,
# Roweis & Ghahramani 2003, Optimization with EM and expectation-conjugate-gradient):
#
# .. math::
#    \frac{\partial L}{\partial a_c} = N_c - n \pi_c, \quad
#    \frac{\partial L}{\partial \mu_c} = U_c U_c^T f_c, \quad
#    \frac{\partial L}{\partial U_c} = N_c U_c^{-T} - S_c U_c
#
# with weights :math:`\pi = \mathrm{softmax}(a)` and precisions :math:`U_c U_c^T`, whose diagonals
# are kept as logarithms. So a step of either method costs one pass by the same kernels:
# ``accumulate``.
import time

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import approx_fprime, minimize
from scipy.special import softmax

from fastgmm import GaussianMixture, plotting

K, D = 3, 2
UPPER = np.triu_indices(D)
ON_DIAGONAL = UPPER[0] == UPPER[1]


def set_parameters(model, theta):
    """Numbers without bounds as the parameters of a mixture."""
    logits, means, factors = np.split(theta, [K, K + K * D])
    factors = factors.reshape(K, -1).copy()
    factors[:, ON_DIAGONAL] = np.exp(factors[:, ON_DIAGONAL])
    model.weights_, model.means_ = softmax(logits), means.reshape(K, D)
    model.precisions_cholesky_ = np.zeros((K, D, D))
    model.precisions_cholesky_[:, *UPPER] = factors


def parameters_of(model):
    """The parameters of a mixture as numbers without bounds."""
    factors = model.precisions_cholesky_[:, *UPPER].copy()
    factors[:, ON_DIAGONAL] = np.log(factors[:, ON_DIAGONAL])
    return np.concatenate([np.log(model.weights_), model.means_.ravel(), factors.ravel()])


def loss(theta, model, X, trace=None):
    """Minus the mean log-likelihood, and its gradient: one pass over the rows."""
    set_parameters(model, theta)
    s = model.accumulate(X)
    U = model.precisions_cholesky_
    of_means = np.einsum("cij,ckj,ck->ci", U, U, s.first)
    of_factors = s.weight[:, None, None] * np.linalg.inv(U).transpose(0, 2, 1) - s.second @ U
    of_factors = of_factors[:, *UPPER]
    of_factors[:, ON_DIAGONAL] *= np.diagonal(U, axis1=1, axis2=2)
    gradient = np.concatenate(
        [s.weight - len(X) * model.weights_, of_means.ravel(), of_factors.ravel()]
    )
    if trace is not None:
        trace.append(s.log_likelihood / len(X))
    return -s.log_likelihood / len(X), -gradient / len(X)


def rows(distance):
    """Three clusters, a number of standard deviations apart."""
    random = np.random.default_rng(0)
    centres = distance * np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 0.8]])
    return centres[random.integers(0, K, 4000)] + random.standard_normal((4000, 2))


# %%
# The gradient is right: finite differences agree. (With so large a tolerance, two iterations end
# the fit: all that a start needs.)
X = rows(3.0)
model = GaussianMixture(K, random_state=0, tol=1e9).fit(X)
theta = parameters_of(model)
numeric = approx_fprime(theta, lambda t: loss(t, model, X)[0], 1e-6)
np.testing.assert_allclose(loss(theta, model, X)[1], numeric, atol=1e-5)

# %%
# Side by side
# ------------
# All begin with the same parameters: on clusters that lie apart, on clusters that overlap, and on
# the latter in other units, with the second feature in thousandths. ``accelerate="lbfgs"`` is
# L-BFGS, too, in coordinates in which a step along the gradient is a step of EM.


def started(X, units):
    """A mixture at the start: two iterations from k-means, of rows in their own units."""
    model = GaussianMixture(K, random_state=0, tol=1e9).fit(X / units)
    model.means_ = model.means_ * units
    model.precisions_ = model.precisions_ / np.outer(units, units)
    model.precisions_cholesky_ = model.precisions_cholesky_ / units[:, np.newaxis]
    return model


def by_estimator(X, start, **arguments):
    """A mixture, fitted far beyond the default tolerance."""
    return GaussianMixture(
        K,
        weights_init=start.weights_,
        means_init=start.means_,
        precisions_init=start.precisions_,
        reg_covar=0.0,
        max_iter=4000,
        **arguments,
    ).fit(X)


def by_hand(X, start):
    """The same by SciPy, in 200 passes at most; the model holds the bounds that it met."""
    trace, model = [], GaussianMixture(K)
    minimize(
        loss,
        parameters_of(start),
        (model, X, trace),
        jac=True,
        method="L-BFGS-B",
        options={"maxfun": 200, "ftol": 1e-13, "gtol": 1e-7},
    )
    model.lower_bounds_ = np.maximum.accumulate(trace).tolist()
    return model


METHODS = {
    "EM": lambda X, start: by_estimator(X, start, tol=1e-11),
    "L-BFGS": by_hand,
    "L-BFGS in EM's coordinates": lambda X, start: by_estimator(
        X, start, accelerate="lbfgs", tol=1e-9
    ),
}
PROBLEMS = {
    "5 deviations apart": (rows(5.0), np.ones(2)),
    "2.2 deviations apart": (rows(2.2), np.ones(2)),
    "2.2 apart, other units": (rows(2.2) * [1.0, 1000.0], np.array([1.0, 1000.0])),
}
figure, axes = plt.subplots(1, 3, figsize=(10, 4), layout="constrained", sharey=True)
for ax, (title, (X, units)) in zip(axes, PROBLEMS.items()):
    start, fits = started(X, units), {}
    for name, fit in METHODS.items():
        begin = time.perf_counter()
        fits[name] = fit(X, start)
        seconds = time.perf_counter() - begin
        bounds = fits[name].lower_bounds_
        print(
            f"{title}, {name}: {len(bounds)} passes in {seconds:.2f} s, "
            f"log-likelihood per row {max(bounds):.8f}"
        )
    plotting.convergence(fits, gap=True, ax=ax)
    ax.set_title(title)
    if ax is not axes[0]:
        ax.get_legend().remove()
plt.show()

# %%
# When each is better
# -------------------
# Where components lie apart, all need a handful of passes, and EM's cost the least besides: an
# M-step is a formula, keeps every covariance positive definite by itself, and never goes down. It
# has no step length to choose. Its rate is the share of the information that the unknown labels
# hide, so that it slows down where components overlap: near its end a pass leaves
# ``convergence_rate_`` of the error, and at 0.99 a digit takes more than a hundred.
#
# There L-BFGS, which learns the curvature, needs far fewer passes. But a method of gradients sees
# the coordinates that it is given. By hand it has to find out by trial what a thousandth is, and
# makes little headway meanwhile; with strong overlap and more components it may stop far from any
# optimum. An EM step is a step along the gradient, too, in a metric of its own: the gradient times
# a matrix that depends on the parameters alone (Xu & Jordan 1996, On convergence properties of the
# EM algorithm for Gaussian mixtures, Neural Computation 8). In coordinates that make this matrix
# the identity, L-BFGS begins with steps of EM and does not see units: :doc:`that is what
# accelerate does </acceleration>`, which has figures for more problems.
#
# Stochastic gradients, as for networks, need a learning rate and end in noise. They are for rows
# that are too many for a single pass, and for mixtures that are part of a network; of the former,
# ``partial_fit`` makes mixtures by steps of EM on batches.
