"""
EM beside gradient methods
==========================

The likelihood of a mixture is a smooth function, so that any method of optimization can climb
it. Here SciPy's L-BFGS does, on the same likelihood and with its exact gradient, beside EM:
both reach the same optimum, and the number of passes over the rows tells when each is the
better choice.
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
# From the same start, on clusters that lie apart and on clusters that overlap.
figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained", sharey=True)
for ax, distance in zip(axes, (5.0, 2.2)):
    X = rows(distance)
    start = GaussianMixture(K, random_state=0, tol=1e9).fit(X)
    theta = parameters_of(start)

    begin = time.perf_counter()
    em = GaussianMixture(
        K,
        weights_init=start.weights_,
        means_init=start.means_,
        precisions_init=start.precisions_,
        reg_covar=0.0,
        tol=1e-11,
        max_iter=3000,
    ).fit(X)
    of_em = time.perf_counter() - begin

    trace = []
    begin = time.perf_counter()
    options = {"maxiter": 3000, "maxfun": 3000, "ftol": 1e-13, "gtol": 1e-7}
    minimize(
        loss, theta, (GaussianMixture(K), X, trace), jac=True, method="L-BFGS-B", options=options
    )
    of_gradient = time.perf_counter() - begin

    gradient = GaussianMixture(K)
    gradient.lower_bounds_ = np.maximum.accumulate(trace).tolist()
    plotting.convergence({"EM": em, "L-BFGS": gradient}, gap=True, ax=ax)
    ax.set_title(f"{distance:g} deviations apart")
    print(
        f"{distance:g} deviations apart: EM {em.n_iter_} passes in {of_em:.2f} s, "
        f"L-BFGS {len(trace)} passes in {of_gradient:.2f} s; "
        f"log-likelihoods per row {em.lower_bound_:.9f} and {max(trace):.9f}"
    )
plt.show()

# %%
# When each is better
# -------------------
# Where components lie apart, both need a handful of passes. EM's cost the least besides: an
# M-step is a formula, keeps every covariance positive definite by itself, and never goes down.
# Its rate is the share of the information that the unknown labels hide, so that it slows down
# where components overlap (Xu & Jordan 1996, On convergence properties of the EM algorithm for
# Gaussian mixtures). There L-BFGS, which learns the curvature, needs far fewer passes. It has to
# be given a parametrization without bounds, may evaluate the likelihood several times for a step,
# and is as good as its line search.
